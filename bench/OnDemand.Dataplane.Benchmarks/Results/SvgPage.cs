using System.Globalization;
using System.Net;
using System.Text;

namespace OnDemand.Dataplane.Benchmarks.Results;

/// <summary>An SVG picture as text, legible in light and in dark, with nothing from elsewhere.</summary>
internal sealed class SvgPage
{
    /// <summary>How wide the pictures are.</summary>
    public const double Width = 860;

    // Okabe and Ito's colors, which color-blind readers can tell apart; the second is of dark pages.
    private static readonly (string Light, string Dark)[] Colors =
        [("#0072b2", "#56b4e9"), ("#d55e00", "#ff8c42"), ("#00805d", "#2fc79b"), ("#a8548a", "#e39bc8"), ("#666666", "#aaaaaa")];

    private readonly StringBuilder _text = new();
    private readonly double _height;

    public SvgPage(double height, string title, string subtitle)
    {
        _height = height;
        Text(24, 30, title, "title");
        Text(24, 50, subtitle, "muted");
    }

    public void Text(double x, double y, string text, string style = "", string anchor = "start", double turn = 0)
    {
        string turned = turn == 0 ? "" : $" transform=\"rotate({N(turn)} {N(x)} {N(y)})\"";
        Line($"<text class=\"{style}\" x=\"{N(x)}\" y=\"{N(y)}\" text-anchor=\"{anchor}\"{turned}>{WebUtility.HtmlEncode(text)}</text>");
    }

    public void Stroke(double x1, double y1, double x2, double y2, string style) =>
        Line($"<line class=\"{style}\" x1=\"{N(x1)}\" y1=\"{N(y1)}\" x2=\"{N(x2)}\" y2=\"{N(y2)}\"/>");

    public void Bar(double x, double y, double width, double height, int color) =>
        Line($"<rect class=\"f{color}\" x=\"{N(x)}\" y=\"{N(y)}\" width=\"{N(Math.Max(0.5, width))}\" height=\"{N(height)}\" rx=\"2\"/>");

    public void Curve(IEnumerable<(double X, double Y)> points, int color, string dashes) =>
        Line($"<polyline class=\"s{color}\" points=\"{string.Join(' ', points.Select(point => $"{N(point.X)},{N(point.Y)}"))}\"{Dashes(dashes)}/>");

    public void Mark(double x, double y, int color, bool hollow) =>
        Line($"<circle class=\"{(hollow ? "h" : "f")}{color}\" cx=\"{N(x)}\" cy=\"{N(y)}\" r=\"3.5\"/>");

    /// <summary>A key of the legend: a piece of the line and its name. Returns where the next may begin.</summary>
    public double Key(double x, double y, string name, int color, string dashes, bool marks, bool hollow)
    {
        Line($"<line class=\"s{color}\" x1=\"{N(x)}\" y1=\"{N(y)}\" x2=\"{N(x + 26)}\" y2=\"{N(y)}\"{Dashes(dashes)}/>");
        if (marks)
        {
            Mark(x + 13, y, color, hollow);
        }

        Text(x + 32, y + 4, name);
        return x + 32 + (name.Length * 7.3) + 18;
    }

    public void Save(string path)
    {
        string height = N(_height);
        File.WriteAllText(
            path,
            $"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{N(Width)}\" height=\"{height}\" viewBox=\"0 0 {N(Width)} {height}\" role=\"img\">\n" +
            $"<style>\n{Style()}</style>\n<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n{_text}</svg>\n");
    }

    private static string Style()
    {
        var style = new StringBuilder(
            "svg{--fg:#1a1a1a;--muted:#595959;--bg:#fff;--grid:#e3e3e3;font:13px system-ui,\"DejaVu Sans\",sans-serif}\n" +
            "text{fill:var(--fg)}.muted{fill:var(--muted);font-size:12px}.title{font-size:16px;font-weight:bold}.head{font-weight:bold}\n" +
            ".page{fill:var(--bg)}.grid{stroke:var(--grid)}.axis{stroke:var(--muted)}\n");
        for (int i = 0; i < Colors.Length; i++)
        {
            style.Append(Rules(i, Colors[i].Light));
        }

        style.Append("@media (prefers-color-scheme:dark){svg{--fg:#eee;--muted:#b3b3b3;--bg:#161616;--grid:#333}\n");
        for (int i = 0; i < Colors.Length; i++)
        {
            style.Append(Rules(i, Colors[i].Dark));
        }

        return style.Append("}\n").ToString();
    }

    private static string Rules(int i, string color) =>
        $".f{i}{{fill:{color}}}.s{i}{{stroke:{color};stroke-width:2;fill:none;stroke-linejoin:round}}.h{i}{{stroke:{color};stroke-width:2;fill:var(--bg)}}\n";

    private static string Dashes(string dashes) => dashes.Length == 0 ? "" : $" stroke-dasharray=\"{dashes}\"";

    private static string N(double value) => value.ToString("0.#", CultureInfo.InvariantCulture);

    private void Line(string text) => _text.Append(text).Append('\n');
}

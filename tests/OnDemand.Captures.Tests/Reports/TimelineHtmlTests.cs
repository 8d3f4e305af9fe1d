using System.Globalization;
using System.Xml;
using System.Xml.Linq;
using OnDemand.Captures.Reports;
using OnDemand.Dataplane;
using Xunit;

namespace OnDemand.Captures.Tests.Reports;

public class TimelineHtmlTests
{
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    [Fact]
    public void The_picture_holds_every_lane_window_and_move()
    {
        XElement svg = Draw(SampleReports.Move());

        Assert.Equal(6, WithClass(svg, "g", "flow").Count());
        Assert.Equal(4, WithClass(svg, "g", "prefix").Count());
        XElement window = Assert.Single(WithClass(svg, "rect", "window"));
        Assert.Equal("Replacement window from 2.500s to 7.500s: 2001:db8:6a:1::/64 is being replaced", window.Value);
        string[] labels = [.. WithClass(svg, "text", "move").Select(label => label.Value)];
        Assert.Contains("attach ar2 2.500s", labels);
        Assert.Contains("withdraw 2001:db8:a2:1::/64 8.000s", labels);
        Assert.Contains("detach 11.900s", labels);
        Assert.Equal(6, labels.Length);
    }

    [Fact]
    public void A_stranded_flow_has_a_cross_and_one_that_went_over_two_colors()
    {
        XElement svg = Draw(SampleReports.Move());

        XElement stranded = Lane(svg, 2);
        Assert.Single(WithClass(stranded, "path", "stranded"));
        Assert.Contains("stranded 2.500s", Texts(stranded));
        XElement wentOver = Lane(svg, 3);
        string[] bars = [.. wentOver.Elements(Svg + "rect").Select(bar => bar.Attribute("class")!.Value)];
        Assert.Equal(2, bars.Distinct().Count());
        Assert.Single(WithClass(wentOver, "path", "over"));
        Assert.Single(WithClass(wentOver, "path", "ticks"));
        Assert.Contains("refused 9.500s", Texts(Lane(svg, 6)));
    }

    [Fact]
    public void A_short_flow_has_its_letter_beside_its_bar()
    {
        ReplayReport report = SampleReports.Move();
        ReportFlow first = report.Flows[0] with { Spans = [report.Flows[0].Spans[0] with { From = SampleReports.At(5), To = SampleReports.At(5.001) }] };

        XElement lane = Lane(Draw(report with { Flows = [first] }), 1);

        double bar = Number(lane.Element(Svg + "rect")!, "x");
        XElement letter = Assert.Single(WithClass(lane, "text", "letter"));
        Assert.Equal("A", letter.Value);
        Assert.InRange(Number(letter, "x"), bar + 10, bar + 30);
    }

    [Fact]
    public void Every_color_has_a_letter_in_the_legend()
    {
        XDocument page = Page(SampleReports.Move());

        string legend = page.Descendants("ul").Single().Value;
        Assert.Contains("A 2001:db8:51:1:1234:5678:9abc:def0 session-lasting", legend, StringComparison.Ordinal);
        Assert.Contains("C 2001:db8:a2:1::cafe nonpersistent", legend, StringComparison.Ordinal);
    }

    [Fact]
    public void Texts_do_not_overlap()
    {
        foreach (ReplayReport report in (ReplayReport[])[SampleReports.Move(), SampleReports.Many(30), Crowded()])
        {
            // What the picture promises: no text is wider than its letters at seven pixels each, eleven pixels high.
            (double Left, double Right, double Top, string Text)[] boxes = [.. Draw(report).Descendants(Svg + "text").Select(Box)];
            for (int i = 0; i < boxes.Length; i++)
            {
                for (int j = i + 1; j < boxes.Length; j++)
                {
                    bool apart = boxes[i].Right <= boxes[j].Left || boxes[j].Right <= boxes[i].Left || Math.Abs(boxes[i].Top - boxes[j].Top) >= 11;
                    Assert.True(apart, $"'{boxes[i].Text}' and '{boxes[j].Text}' overlap");
                }

                Assert.InRange(boxes[i].Left, 0, 1360);
                Assert.InRange(boxes[i].Right, 0, 1360);
            }
        }
    }

    [Fact]
    public void Too_many_flows_are_cut_to_those_to_which_most_happened()
    {
        ReplayReport report = SampleReports.Many(1_000);
        XDocument page = Page(report);

        XElement[] lanes = [.. WithClass(page.Descendants(Svg + "svg").Single(), "g", "flow")];
        Assert.Equal(TimelineHtml.MostFlows, lanes.Length);
        Assert.Equal(100, lanes.Count(lane => WithClass(lane, "path", "stranded").Any()));
        Assert.Contains(page.Descendants("p"), note => note.Value.Contains("200 flows shown", StringComparison.Ordinal)
            && note.Value.Contains("805 flows left out", StringComparison.Ordinal));
    }

    [Fact]
    public void Nothing_is_fetched_and_no_script_runs()
    {
        string html = Html(SampleReports.Move());

        Assert.DoesNotContain("<script", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("href", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("src=", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("@import", html, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("prefers-color-scheme:dark", html, StringComparison.Ordinal);
    }

    [Fact]
    public void Names_from_outside_cannot_break_out_of_the_page()
    {
        ReplayReport report = SampleReports.Move() with
        {
            Input = "</title><script>alert(1)</script>\u0001\uFFFF",
            Moves = [new ReportMove(SampleReports.At(1), ReportMoveKind.Attach, "\"/><script>x</script>", 0, 0, 0)],
        };

        Assert.Empty(Page(report).Descendants("script"));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(1_000_000_000_000_000)]
    public void Any_span_of_time_can_be_drawn(long nanoseconds)
    {
        ReplayReport report = SampleReports.Move();
        XElement svg = Draw(report with { To = report.From.Add(new Duration(nanoseconds)) });

        Assert.InRange(svg.Elements(Svg + "line").Count(line => line.Attribute("class")!.Value == "grid"), 1, 11);
        Assert.DoesNotContain("NaN", svg.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void An_empty_report_is_a_page_too() => Assert.Empty(WithClass(Draw(new ReplayReport()), "g", "flow"));

    private static ReplayReport Crowded() => SampleReports.Move() with
    {
        Moves = [.. Enumerable.Range(0, 60).Select(i => new ReportMove(SampleReports.At((i * 0.19) + (i % 3 * 0.01)), ReportMoveKind.Attach, $"ar{i}", 0, 0, 0))],
    };

    private static (double Left, double Right, double Top, string Text) Box(XElement text)
    {
        double x = Number(text, "x");
        double width = text.Value.Length * 6.7;
        string anchor = text.Attribute("text-anchor")?.Value ?? (text.Attribute("class")?.Value.Contains("letter", StringComparison.Ordinal) == true ? "middle" : "start");
        double left = anchor switch { "end" => x - width, "middle" => x - (width / 2), _ => x };
        return (left, left + width, Number(text, "y"), text.Value);
    }

    private static double Number(XElement element, string name) => double.Parse(element.Attribute(name)!.Value, CultureInfo.InvariantCulture);

    private static XElement Lane(XElement svg, int flow) => WithClass(svg, "g", "flow").Single(lane => lane.Attribute("id")!.Value == $"flow{flow}");

    private static string[] Texts(XElement lane) => [.. lane.Elements(Svg + "text").Select(text => text.Value)];

    private static IEnumerable<XElement> WithClass(XElement under, string name, string style) =>
        under.Descendants(Svg + name).Where(element => element.Attribute("class")?.Value.Split(' ').Contains(style) == true);

    private static XElement Draw(ReplayReport report) => Page(report).Descendants(Svg + "svg").Single();

    // Reading it as XML is the test that every element is closed and every character escaped.
    private static XDocument Page(ReplayReport report)
    {
        using var reader = XmlReader.Create(new StringReader(Html(report)), new XmlReaderSettings { DtdProcessing = DtdProcessing.Ignore });
        return XDocument.Load(reader);
    }

    internal static string Html(ReplayReport report)
    {
        using var output = new StringWriter();
        TimelineHtml.Write(output, report);
        return output.ToString();
    }
}

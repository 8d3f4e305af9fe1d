namespace OnDemand.Dataplane.Benchmarks.Results;

/// <summary>One curve of a plot.</summary>
/// <param name="Name">Its name in the legend.</param>
/// <param name="Points">Its points, from left to right.</param>
/// <param name="Color">The number of its color.</param>
/// <param name="Dashes">Lengths of dashes and gaps; empty for a full line.</param>
/// <param name="Marks">Whether each point is marked.</param>
/// <param name="Hollow">Whether the marks are hollow, for curves of one color.</param>
internal sealed record Curve(string Name, IReadOnlyList<(double X, double Y)> Points, int Color, string Dashes = "", bool Marks = true, bool Hollow = false);

/// <summary>A plot of curves with labelled axes.</summary>
/// <param name="X">The axis below, and where it lies.</param>
/// <param name="Y">The axis at the left, which goes upwards.</param>
/// <param name="XLabel">What is below, with its unit.</param>
/// <param name="YLabel">What is at the left, with its unit.</param>
internal sealed record LinePanel(Scale X, Scale Y, string XLabel, string YLabel)
{
    /// <summary>Other ticks than round values at the left, with their labels.</summary>
    public IReadOnlyList<(double Value, string Label)>? YTicks { get; init; }

    /// <summary>Other ticks than round values below.</summary>
    public IReadOnlyList<double>? XTicks { get; init; }

    public void Draw(SvgPage page, IReadOnlyList<Curve> curves)
    {
        foreach (double tick in XTicks ?? X.Ticks())
        {
            page.Stroke(X.At(tick), Y.Start, X.At(tick), Y.End, "grid");
            page.Text(X.At(tick), Y.Start + 18, Scale.Label(tick), "muted", "middle");
        }

        foreach ((double value, string label) in YTicks ?? [.. Y.Ticks().Select(tick => (tick, Scale.Label(tick)))])
        {
            page.Stroke(X.Start, Y.At(value), X.End, Y.At(value), "grid");
            page.Text(X.Start - 8, Y.At(value) + 4, label, "muted", "end");
        }

        page.Stroke(X.Start, Y.Start, X.End, Y.Start, "axis");
        page.Stroke(X.Start, Y.Start, X.Start, Y.End, "axis");
        page.Text((X.Start + X.End) / 2, Y.Start + 38, XLabel, "muted", "middle");
        page.Text(X.Start - 48, (Y.Start + Y.End) / 2, YLabel, "muted", "middle", -90);
        foreach (Curve curve in curves.Reverse())   // the first lies on top
        {
            (double X, double Y)[] inside = [.. curve.Points.Where(point => point.X >= X.From && point.X <= X.To && point.Y >= Y.From)];
            page.Curve(inside.Select(point => (X.At(point.X), Y.At(point.Y))), curve.Color, curve.Dashes);
            foreach ((double x, double y) in curve.Marks ? inside : [])
            {
                page.Mark(X.At(x), Y.At(y), curve.Color, curve.Hollow);
            }
        }
    }

    /// <summary>The legend of curves, in lines of the picture's width.</summary>
    public static void Legend(SvgPage page, IReadOnlyList<Curve> curves, double x, double y)
    {
        double at = x;
        foreach (Curve curve in curves)
        {
            if (at > x && at + 50 + (curve.Name.Length * 7.3) > SvgPage.Width)
            {
                at = x;
                y += 20;
            }

            at = page.Key(at, y, curve.Name, curve.Color, curve.Dashes, curve.Marks, curve.Hollow);
        }
    }
}

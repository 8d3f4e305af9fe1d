using System.Globalization;
using OnDemand.Captures.Reports;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Control;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace OnDemand.Cli;

/// <summary>Draws what <c>ondemand top</c> shows.</summary>
internal static class TopView
{
    private const int MostPrefixes = 12;
    private const int MostDrops = 8;

    /// <summary>One frame.</summary>
    /// <param name="model">What to show.</param>
    /// <param name="help">The last line: what the user can do; null for none.</param>
    /// <returns>The frame.</returns>
    public static IRenderable Draw(TopModel model, string? help)
    {
        StatusResource status = model.Status;
        List<IRenderable> rows =
        [
            new Text(
                $"{ReportText.Printable(status.Configuration)}: " +
                $"{ControlTables.Attachment(status.Attachment, status.Since, status.Time)}, " +
                $"{ReportText.Count(status.Moves, "move")}; uplink {(status.UplinkUp ? "up" : "down")}; " +
                $"{ReportText.Count(status.Flows, "flow")} of {ReportText.Count(status.FlowCapacity)}",
                new Style(decoration: Decoration.Bold)),
            Types(model),
            Prefixes(status),
            Drops(model),
            Events(model, status.Time),
        ];
        if (help is not null)
        {
            rows.Add(new Text(help, new Style(Color.Grey)));
        }

        return new Rows(rows);
    }

    private static Table Types(TopModel model)
    {
        Table table = Framed(
            "Flows by type", ["type"], "flows", "packets/s", "octets/s", "packets", "size", "went over", "stranded", "refused");
        foreach (TypeRate type in model.Types)
        {
            table.AddRow(
                Cell(AddressTypes.ToName(type.Now.Type)), Cell(ReportText.Count(type.Now.Flows)), Cell(Rate(type.Packets)),
                Cell(Size(type.Octets)), Cell(ReportText.Count(type.Now.Packets)),
                Cell(ReportText.Size(type.Now.Octets)), Cell(ReportText.Count(type.Now.WentOver)),
                Cell(ReportText.Count(type.Now.Stranded), type.Now.Stranded > 0 ? Color.Red : null),
                Cell(ReportText.Count(type.Now.Refused), type.Now.Refused > 0 ? Color.Red : null));
        }

        return table;
    }

    // Open windows first: they are what somebody is waiting for.
    private static Table Prefixes(StatusResource status)
    {
        Table table = Framed("Prefixes and windows", ["prefix", "type", "state"], "window", "valid", "users");
        IEnumerable<PrefixResource> ordered = status.Prefixes
            .OrderBy(prefix => prefix.WindowLeft?.Nanoseconds ?? long.MaxValue).ThenBy(prefix => prefix.State == "ended");
        foreach (PrefixResource prefix in ordered.Take(MostPrefixes))
        {
            Color? color = prefix.State switch { "preferred" => Color.Green, "ended" => Color.Grey, _ => Color.Yellow };
            table.AddRow(
                Cell(prefix.Prefix.ToString()), Cell(AddressTypes.ToName(prefix.Type)), Cell(prefix.State, color),
                Cell(prefix.WindowLeft is { } window ? ControlTables.Short(window) : "-", color),
                Cell(prefix.State == "ended" ? "-" : ControlTables.Short(prefix.ValidLeft)),
                Cell(ReportText.Count(prefix.Users)));
        }

        if (status.Prefixes.Count > MostPrefixes)
        {
            table.AddRow(Cell($"and {ReportText.Count(status.Prefixes.Count - MostPrefixes)} more"));
        }

        return table;
    }

    private static Table Drops(TopModel model)
    {
        Table table = Framed("Drops", ["reason"], "frames/s", "frames");
        foreach (DropRate drop in model.Drops.Take(MostDrops))
        {
            table.AddRow(Cell(drop.Reason), Cell(Rate(drop.Rate), drop.Rate > 0 ? Color.Red : null), Cell(ReportText.Count(drop.Total)));
        }

        if (model.Drops.Count == 0)
        {
            table.AddRow(Cell("none", Color.Grey));
        }

        return table;
    }

    private static Table Events(TopModel model, Timestamp now)
    {
        Table table = Framed("Last events", ["what"], "ago");
        foreach ((Timestamp time, string what) in model.Events.Reverse())
        {
            table.AddRow(Cell(what), Cell(ControlTables.Age(time, now)));
        }

        if (!model.Events.Any())
        {
            table.AddRow(Cell("none since this view began", Color.Grey));
        }

        return table;
    }

    private static Table Framed(string title, string[] words, params string[] numbers)
    {
        var table = new Table { Border = TableBorder.Simple, Title = new TableTitle(title), Expand = true };
        table.AddColumns([.. words.Select(word => new TableColumn(new Text(word)).NoWrap())]);
        table.AddColumns([.. numbers.Select(number => new TableColumn(new Text(number)).RightAligned().NoWrap())]);
        return table;
    }

    private static Text Cell(string text, Color? color = null) => new(text, new Style(color)) { Overflow = Overflow.Ellipsis };

    private static string Rate(double rate) =>
        rate is > 0 and < 10 ? rate.ToString("0.0", CultureInfo.InvariantCulture) : ReportText.Count((long)Math.Round(rate));

    private static string Size(double rate) => ReportText.Size((long)Math.Round(rate));
}

using OnDemand.Captures.Reports;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Programs;

namespace OnDemand.Cli;

/// <summary>Bindings as tables for people.</summary>
internal static class BindingTables
{
    private const int AddressWidth = 39;

    /// <summary>What was granted.</summary>
    public static void Write(TextWriter output, IReadOnlyList<GrantResource> grants)
    {
        var table = new TextTable(
            Numbers("socket"), new TextColumn("type", 20), new TextColumn("address", AddressWidth), Numbers("preferred"), Numbers("valid"),
            new TextColumn("mapped", 6));
        foreach (GrantResource grant in grants)
        {
            table.Add(
                grant.Cookie, AddressTypes.ToName(grant.Type), grant.Address.ToString(), Short(grant.Preferred), Short(grant.Valid),
                grant.Map ? "yes" : "no");
        }

        table.Write(output);
    }

    /// <summary>What there is.</summary>
    public static void Write(TextWriter output, BindingsResource bindings)
    {
        if (bindings.Bindings.Count > 0)
        {
            var table = new TextTable(
                Numbers("socket"), Numbers("user"), new TextColumn("type", 20), new TextColumn("address", AddressWidth), Numbers("preferred"),
                Numbers("valid"), new TextColumn("mapped", 6), Numbers("since"));
            foreach (BindingResource binding in bindings.Bindings)
            {
                table.Add(
                    binding.Cookie, binding.User.ToString(System.Globalization.CultureInfo.InvariantCulture), AddressTypes.ToName(binding.Type),
                    binding.Address.ToString(), Short(binding.Preferred), Short(binding.Valid), binding.Map ? "yes" : "no",
                    ControlTables.Age(binding.Since, bindings.Time));
            }

            table.Write(output);
        }

        output.Write($"{ReportText.Count(bindings.Bindings.Count, "binding")}.\n");
    }

    /// <summary>A notice in a line.</summary>
    public static string Line(NoticeResource notice)
    {
        string line = $"{ReportText.Seconds(notice.Time)} {notice.Notice}";
        if (notice.Binding is { } binding)
        {
            line += $" socket {binding.Cookie} of user {binding.User}: {AddressTypes.ToName(binding.Type)} {binding.Address}";
        }

        return notice.Left is null ? line : $"{line}, {Short(notice.Left)} left";
    }

    private static string Short(decimal? seconds) =>
        ControlTables.Short(seconds is { } some ? Duration.FromMilliseconds((long)(some * 1000)) : Duration.Infinite);

    private static TextColumn Numbers(string title) => new(title, 20, IsNumber: true);
}

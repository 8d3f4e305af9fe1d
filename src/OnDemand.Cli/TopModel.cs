using OnDemand.Captures.Reports;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Control;

namespace OnDemand.Cli;

/// <summary>Rates of one type since the sample before.</summary>
/// <param name="Now">What the type carried.</param>
/// <param name="Packets">Packets a second.</param>
/// <param name="Octets">Octets a second.</param>
internal sealed record TypeRate(TypeResource Now, double Packets, double Octets);

/// <summary>Drops for one reason.</summary>
/// <param name="Reason">The reason.</param>
/// <param name="Total">Since the start.</param>
/// <param name="Rate">A second, since the sample before.</param>
internal sealed record DropRate(string Reason, long Total, double Rate);

/// <summary>What <c>ondemand top</c> shows: two samples, the rates between them, and what changed lately.</summary>
internal sealed class TopModel
{
    private const int MostEvents = 8;

    private readonly Queue<(Timestamp Time, string What)> _events = new();
    private StatusResource? _status;
    private CountersResource? _counters;

    /// <summary>The state.</summary>
    public StatusResource Status => _status ?? throw new InvalidOperationException("There is no sample yet.");

    /// <summary>What the types carry; those that carried nothing are left out.</summary>
    public IReadOnlyList<TypeRate> Types { get; private set; } = [];

    /// <summary>Drops, and what was lost at the TAP, the most frequent ones first.</summary>
    public IReadOnlyList<DropRate> Drops { get; private set; } = [];

    /// <summary>What happened lately, oldest first.</summary>
    public IEnumerable<(Timestamp Time, string What)> Events => _events;

    /// <summary>Takes the next sample.</summary>
    /// <param name="status">The state.</param>
    /// <param name="counters">The counters.</param>
    public void Add(StatusResource status, CountersResource counters)
    {
        double seconds = _counters is null ? 0 : (double)counters.Time.Since(_counters.Time).Nanoseconds / Timestamp.NanosecondsPerSecond;
        IEnumerable<TypeResource> used = counters.Types.Where(type => type.FlowsOpened > 0 || type.Refused > 0 || type.Packets > 0);
        Types = [.. used.Select(type => Rate(type, seconds))];
        Drops =
        [
            .. Rates(counters.Dropped, _counters?.Dropped, "", seconds).Concat(Rates(counters.Tap.Lost, _counters?.Tap.Lost, "tap: ", seconds))
                .OrderByDescending(drop => drop.Rate).ThenByDescending(drop => drop.Total),
        ];
        if (_status is not null && _counters is not null)
        {
            Compare(_status, status);
            Compare(_counters, counters);
        }

        _status = status;
        _counters = counters;
    }

    private TypeRate Rate(TypeResource type, double seconds)
    {
        TypeResource before = _counters?.Types.FirstOrDefault(one => one.Type == type.Type) ?? type;
        return new TypeRate(type, PerSecond(type.Packets - before.Packets, seconds), PerSecond(type.Octets - before.Octets, seconds));
    }

    private static IEnumerable<DropRate> Rates(
        IReadOnlyDictionary<string, long> now, IReadOnlyDictionary<string, long>? before, string where, double seconds) =>
        now.Select(drop => new DropRate(
            where + drop.Key, drop.Value, PerSecond(drop.Value - (before?.GetValueOrDefault(drop.Key) ?? drop.Value), seconds)));

    private static double PerSecond(long count, double seconds) => seconds > 0 ? Math.Max(0, count) / seconds : 0;

    private void Compare(StatusResource before, StatusResource now)
    {
        if (now.Moves != before.Moves || now.Attachment != before.Attachment)
        {
            Tell(now.Time, now.Attachment is { } name ? $"attached to {ReportText.Printable(name)}" : "detached");
        }

        if (now.UplinkUp != before.UplinkUp)
        {
            Tell(now.Time, now.UplinkUp ? "the uplink is back" : "the uplink is gone");
        }

        Dictionary<IpPrefix, PrefixResource> old = Living(before);
        Dictionary<IpPrefix, PrefixResource> present = Living(now);
        foreach (PrefixResource prefix in present.Values)
        {
            string name = $"{prefix.Prefix} ({AddressTypes.ToName(prefix.Type)})";
            if (!old.TryGetValue(prefix.Prefix, out PrefixResource? then))
            {
                Tell(now.Time, prefix.OnDemand ? $"{name} was asked for and granted" : $"{name} is new");
            }
            else if (then.State != prefix.State)
            {
                Tell(
                    now.Time,
                    prefix.WindowLeft is { } window ? $"{name} closes in {ControlTables.Short(window)}" : $"{name} is {prefix.State}");
            }
        }

        foreach (PrefixResource gone in old.Values.Where(prefix => !present.ContainsKey(prefix.Prefix)))
        {
            Tell(now.Time, $"{gone.Prefix} ({AddressTypes.ToName(gone.Type)}) has ended");
        }
    }

    private void Compare(CountersResource before, CountersResource now)
    {
        foreach (TypeResource type in now.Types)
        {
            TypeResource then = before.Types.FirstOrDefault(one => one.Type == type.Type) ?? type;
            string name = AddressTypes.ToName(type.Type);
            Tell(now.Time, type.Stranded - then.Stranded, $"{name} flow", "stranded");
            Tell(now.Time, type.WentOver - then.WentOver, $"{name} flow", "went over");
            Tell(now.Time, type.Refused - then.Refused, $"{name} flow", "refused");
        }
    }

    private void Tell(Timestamp time, long count, string one, string what)
    {
        if (count > 0)
        {
            Tell(time, $"{ReportText.Count(count, one)} {what}");
        }
    }

    private void Tell(Timestamp time, string what)
    {
        _events.Enqueue((time, what));
        if (_events.Count > MostEvents)
        {
            _events.Dequeue();
        }
    }

    private static Dictionary<IpPrefix, PrefixResource> Living(StatusResource status) =>
        status.Prefixes.Where(prefix => prefix.State != "ended").ToDictionary(prefix => prefix.Prefix);
}

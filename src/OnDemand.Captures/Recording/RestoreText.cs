using System.Globalization;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;

namespace OnDemand.Captures.Recording;

/// <summary>
/// Control records of what an engine was given that goes on where an earlier run stopped: the point of attachment, prefixes, addresses and
/// flows, a record each, then the end of it. Together they are one step. Times are nanoseconds since 1970.
/// </summary>
internal static class RestoreText
{
    /// <summary>The key by which these records are known.</summary>
    public const string Key = "restore";

    /// <summary>The last one.</summary>
    public const string Done = "{restore: done}";

    private static readonly string[] Kinds = ["attachment", "prefix", "address", "flow", "done"];

    /// <summary>The point of attachment.</summary>
    /// <param name="name">Its name; null while detached.</param>
    /// <returns>The record.</returns>
    public static string Of(string? name) => name is null ? "{restore: attachment}" : $"{{restore: attachment, name: {ControlText.Quoted(name)}}}";

    /// <summary>A prefix.</summary>
    /// <param name="saved">What it was.</param>
    /// <returns>The record.</returns>
    public static string Of(in PrefixSnapshot saved) => string.Create(
        CultureInfo.InvariantCulture,
        $"{{restore: prefix, prefix: \"{saved.Prefix}\", type: {(byte)saved.Type}, state: {(byte)saved.State}, preferred-until: {saved.PreferredUntil.Nanoseconds}, "
        + $"valid-until: {saved.ValidUntil.Nanoseconds}, closes-at: {saved.ClosesAt.Nanoseconds}, home: {Truth(saved.IsHome)}, "
        + $"on-demand: {Truth(saved.IsOnDemand)}, present: {Truth(saved.IsOfPresentNetwork)}"
        + $"{(saved.IsClosedByDetachment ? ", detached: true" : string.Empty)}}}");

    /// <summary>A typed address.</summary>
    /// <param name="saved">What it was.</param>
    /// <returns>The record.</returns>
    public static string Of(in AddressSnapshot saved) => string.Create(
        CultureInfo.InvariantCulture,
        $"{{restore: address, address: \"{saved.Address}\", internal: \"{saved.Internal}\", prefix: \"{saved.Prefix}\", since: {saved.Since.Nanoseconds}, "
        + $"retired: {Truth(saved.IsRetired)}, exact: {Truth(saved.IsExact)}, packets: [{saved.PacketsOut}, {saved.PacketsIn}], "
        + $"octets: [{saved.OctetsOut}, {saved.OctetsIn}]}}");

    /// <summary>A flow.</summary>
    /// <param name="saved">What it was.</param>
    /// <returns>The record.</returns>
    public static string Of(in FlowSnapshot saved) => string.Create(
        CultureInfo.InvariantCulture,
        $"{{restore: flow, protocol: {saved.Identity.Protocol}, internal: \"{saved.Identity.Internal}\", local-port: {saved.Identity.LocalPort}, "
        + $"remote: \"{saved.Identity.Remote}\", remote-port: {saved.Identity.RemotePort}, address: \"{saved.Address}\", state: {(byte)saved.State}, "
        + $"idle-at: {saved.IdleAt.Nanoseconds}, inbound: {Truth(saved.IsInbound)}, native: {Truth(saved.IsNative)}, packets: {saved.Packets}, octets: {saved.Octets}, "
        + $"decision: [{(byte)saved.Decision.Origin}, {(byte)saved.Decision.Type}, {(byte)saved.Decision.Rule}, {saved.Decision.PolicyRule + 1}, {(byte)saved.Decision.Remarks}]"
        + $"{(saved.OldAddress is { } before ? $", before: \"{before}\"" : string.Empty)}}}");

    /// <summary>Reads one of these records.</summary>
    /// <param name="fields">Reads single values.</param>
    /// <param name="root">The record.</param>
    /// <returns>What it says.</returns>
    public static ControlRecord Read(ScenarioFields fields, ScenarioNode root)
    {
        ScenarioMap map = fields.Map(
            root, "a restored part", Key, "name", "prefix", "type", "state", "preferred-until", "valid-until", "closes-at", "home", "on-demand", "present", "detached",
            "address", "internal", "since", "retired", "exact", "packets", "octets", "protocol", "local-port", "remote", "remote-port", "idle-at", "inbound",
            "native", "decision", "before");
        switch (Kinds[fields.Word(map.Need(Key), "restored part", Kinds)])
        {
            case "attachment":
                string? name = map.Find("name") is { } given ? fields.Text(given, "a name") : null;
                return new ControlRecord(IsRestoredAttachment: true, RestoredName: name, Restore: (engine, now) => engine.RestoreAttachment(0, name is not null, now));
            case "prefix":
                PrefixSnapshot prefix = ReadPrefix(fields, map);
                return new ControlRecord(Restore: (engine, now) => engine.RestorePrefix(prefix, now));
            case "address":
                AddressSnapshot address = ReadAddress(fields, map);
                return new ControlRecord(Restore: (engine, now) => engine.RestoreAddress(address, now));
            case "flow":
                FlowSnapshot flow = ReadFlow(fields, map);
                return new ControlRecord(Restore: (engine, now) => engine.RestoreFlow(flow, now));
            default:
                return new ControlRecord(Restore: (engine, now) => engine.FinishRestore(now), RestoreEnds: true);
        }
    }

    private static PrefixSnapshot ReadPrefix(ScenarioFields fields, ScenarioMap map) => new()
    {
        Prefix = fields.Prefix(map.Need("prefix")),
        Type = (AddressType)Number(fields, map.Need("type"), AddressTypes.Count - 1),
        State = (PrefixState)Number(fields, map.Need("state"), (ulong)PrefixState.Ended),
        PreferredUntil = Time(fields, map, "preferred-until"),
        ValidUntil = Time(fields, map, "valid-until"),
        ClosesAt = Time(fields, map, "closes-at"),
        IsHome = fields.Truth(map.Need("home")),
        IsOnDemand = fields.Truth(map.Need("on-demand")),
        IsOfPresentNetwork = fields.Truth(map.Need("present")),
        IsClosedByDetachment = map.Find("detached") is { } detached && fields.Truth(detached),
    };

    private static AddressSnapshot ReadAddress(ScenarioFields fields, ScenarioMap map)
    {
        ulong[] packets = Numbers(fields, map, "packets", 2);
        ulong[] octets = Numbers(fields, map, "octets", 2);
        return new AddressSnapshot
        {
            Address = fields.Address(map.Need("address")),
            Internal = fields.Address(map.Need("internal")),
            Prefix = fields.Prefix(map.Need("prefix")),
            Since = Time(fields, map, "since"),
            IsRetired = fields.Truth(map.Need("retired")),
            IsExact = fields.Truth(map.Need("exact")),
            PacketsOut = packets[0],
            PacketsIn = packets[1],
            OctetsOut = octets[0],
            OctetsIn = octets[1],
        };
    }

    private static FlowSnapshot ReadFlow(ScenarioFields fields, ScenarioMap map)
    {
        ulong[] decision = Numbers(fields, map, "decision", 5);
        return new FlowSnapshot
        {
            Identity = new FlowIdentity(
                (byte)Number(fields, map.Need("protocol"), byte.MaxValue),
                fields.Address(map.Need("internal")),
                (ushort)Number(fields, map.Need("local-port"), ushort.MaxValue),
                fields.Address(map.Need("remote")),
                (ushort)Number(fields, map.Need("remote-port"), ushort.MaxValue)),
            Address = fields.Address(map.Need("address")),
            OldAddress = map.Find("before") is { } before ? fields.Address(before) : null,
            State = (FlowState)Number(fields, map.Need("state"), (ulong)FlowState.Stranded),
            IdleAt = Time(fields, map, "idle-at"),
            IsInbound = fields.Truth(map.Need("inbound")),
            IsNative = fields.Truth(map.Need("native")),
            Packets = (uint)Number(fields, map.Need("packets"), uint.MaxValue),
            Octets = Number(fields, map.Need("octets"), ulong.MaxValue),
            Decision = new Decision(
                (DecisionOrigin)decision[0], (AddressType)decision[1], (SelectionRule)decision[2], (short)((int)(ushort)decision[3] - 1), (DecisionRemarks)decision[4]),
        };
    }

    private static Timestamp Time(ScenarioFields fields, ScenarioMap map, string key) => new((long)Number(fields, map.Need(key), long.MaxValue));

    private static ulong[] Numbers(ScenarioFields fields, ScenarioMap map, string key, int count)
    {
        ScenarioNode node = map.Need(key);
        string expected = $"{count} whole numbers";
        ulong[] numbers = fields.List(node, expected, item => Number(fields, item, ulong.MaxValue));
        return numbers.Length == count ? numbers : throw fields.Wrong(node, "another number of them", expected);
    }

    private static ulong Number(ScenarioFields fields, ScenarioNode node, ulong most) => fields.Number(node, 0, most, $"a whole number up to {most}");

    private static string Truth(bool truth) => truth ? "true" : "false";
}

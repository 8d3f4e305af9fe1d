using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Recording;

/// <summary>What a control record says; exactly one is there, or it is an Advance.</summary>
/// <param name="Network">The network, or the host within it, did something.</param>
/// <param name="Answer">The network answered.</param>
/// <param name="Request">A program asked for an address, or, if it <paramref name="Closes"/>, names the socket that is closed.</param>
/// <param name="Closes">Whether a socket is closed.</param>
/// <param name="End">Why the recording ends.</param>
/// <param name="Socket">The kernel said whose a new flow is.</param>
/// <param name="Sockets">Something else about sockets that the kernel knows.</param>
/// <param name="Policy">Policy was set anew.</param>
/// <param name="Restore">Gives the engine a part of what an earlier run left.</param>
/// <param name="RestoredName">The point of attachment that is restored.</param>
/// <param name="IsRestoredAttachment">Whether that begins with this record.</param>
/// <param name="RestoreEnds">Whether that is all, so that the step is whole.</param>
internal readonly record struct ControlRecord(
    NetworkEvent? Network = null, PrefixAnswer? Answer = null, SetscRequest? Request = null, bool Closes = false, string? End = null,
    SocketAnswer? Socket = null, Action<EngineDrive, Timestamp>? Sockets = null, ScenarioPolicy? Policy = null,
    Action<DataplaneEngine, Timestamp>? Restore = null, string? RestoredName = null, bool RestoreEnds = false, bool IsRestoredAttachment = false);

/// <summary>Reads control records as <see cref="ControlText"/> writes them.</summary>
internal sealed class ControlReader
{
    /// <summary>The word for a prefix without a type.</summary>
    public const string Untyped = "untyped";

    private static readonly string[] Keys =
    [
        "attach", "withdraw", "advertise", "detach", "answer", "request", "close", "advance", "end", "window", "prefixes", "authenticated",
        "grant", "refuse", "unsupported", "protocol", "local-port", "internal", "type", "prefix", "on-net", "preferences",
        "socket", "end-socket", "release", "name-socket", "cookie", "native", "traits", "remote", "remote-port", "policy", "bits", "kept",
    ];

    private readonly ScenarioFields _fields;
    private readonly ScenarioMap _map;

    private ControlReader(string file, ScenarioNode root)
    {
        _fields = new ScenarioFields(file);
        _map = _fields.Map(root, "a control record", Keys);
    }

    /// <summary>Reads a record.</summary>
    /// <param name="file">What to call it in errors.</param>
    /// <param name="octets">The record.</param>
    /// <returns>What it says.</returns>
    /// <exception cref="ScenarioException">It is not understood.</exception>
    public static ControlRecord Read(string file, ReadOnlySpan<byte> octets)
    {
        ScenarioNode root = ScenarioTree.Read(file, octets);
        return root is MappingNode { Entries: [{ Key.Text: RestoreText.Key }, ..] }
            ? RestoreText.Read(new ScenarioFields(file), root) : new ControlReader(file, root).Read();
    }

    private ControlRecord Read()
    {
        string kind = _map.ExactlyOne(
            "attach", "withdraw", "advertise", "detach", "answer", "request", "close", "advance", "end", "socket", "end-socket", "release",
            "name-socket", "policy");
        ScenarioNode value = _map.Need(kind);
        ScenarioTime at = default;
        return kind switch
        {
            "attach" => new ControlRecord(Network: new AttachEvent(at, _map.Place, _fields.Text(value, "a name"), Prefixes(), Window())),
            "withdraw" => new ControlRecord(Network: new WithdrawEvent(at, _map.Place, _fields.Prefix(value), Window())),
            "advertise" => new ControlRecord(Network: new AdvertiseEvent(at, _map.Place, Prefixes(), Truth("authenticated"))),
            "detach" => new ControlRecord(Network: new DetachEvent(at, _map.Place)),
            "answer" => new ControlRecord(Answer: Answer((int)_fields.Number(value, 0, int.MaxValue, "a question's number"))),
            "request" => new ControlRecord(Request: Request() with { Token = _fields.Number(value, 0, ulong.MaxValue, "a request's number") }),
            "close" => new ControlRecord(Request: Request(), Closes: true),
            "socket" => new ControlRecord(Socket: Answer() with { Id = (int)_fields.Number(value, 0, int.MaxValue, "a question's number") }),
            "end-socket" or "release" or "name-socket" => new ControlRecord(Sockets: OfSocket(kind, Cookie(value))),
            "policy" => new ControlRecord(Policy: Policy(value)),
            "end" => new ControlRecord(End: _fields.Text(value, "why the recording ends")),
            _ => default,
        };
    }

    private PrefixAnswer Answer(int question) => _map.ExactlyOne("grant", "refuse", "unsupported") switch
    {
        "grant" => new PrefixAnswer(question, PrefixAnswerKind.Granted, Prefix(_map.Need("grant"))),
        "refuse" => new PrefixAnswer(question, PrefixAnswerKind.Refused, default),
        _ => new PrefixAnswer(question, PrefixAnswerKind.Unsupported, default),
    };

    private SocketAnswer Answer() => new()
    {
        Cookie = Cookie(_map.Need("cookie")),
        Traits = _map.Get("traits", node => _fields.Number(node, 0, ulong.MaxValue, "bits after 0x"), 0UL),
        Type = _map.Get("type", Type, AddressType.None),
        OnNet = Truth("on-net"),
        Preferences = Preferences(),
    };

    private Action<EngineDrive, Timestamp> OfSocket(string kind, ulong cookie)
    {
        if (kind != "name-socket")
        {
            return kind == "release"
                ? (engine, now) => engine.ReleaseRequest(cookie, now) : (engine, now) => engine.EndSocket(cookie, now);
        }

        var flow = new FlowIdentity(
            _fields.Protocol(_map.Need("protocol")), _fields.Address(_map.Need("internal")), Port(_map.Need("local-port")),
            _fields.Address(_map.Need("remote")), Port(_map.Need("remote-port")));
        return (engine, now) => engine.NameSocket(flow, cookie, now);
    }

    // Any prefix and internal address may be named: what the engine was given was checked against the file that it came from.
    private ScenarioPolicy Policy(ScenarioNode node)
    {
        ScenarioPolicy policy = new ScenarioPolicyReader(_fields, null, null).ReadPolicy(node);
        const string expected = "a different bit for each condition on sockets";
        ScenarioNode[] bits = _fields.List(_map.Find("bits"), expected, bit => bit);
        if (bits.Length != policy.Conditions.Count)
        {
            throw _fields.Wrong(_map.Node, $"{bits.Length} bits for {policy.Conditions.Count} conditions on sockets", expected);
        }

        var places = new SocketCondition?[ScenarioPolicy.MaximumConditions];
        for (int i = 0; i < bits.Length; i++)
        {
            ref SocketCondition? place = ref places[(int)_fields.Number(bits[i], 0, ScenarioPolicy.MaximumConditions - 1, "a bit from 0 to 63")];
            place = place is null ? policy.Conditions[i] : throw _fields.Wrong(bits[i], $"{bits[i].Description} a second time", expected);
        }

        return policy with { Conditions = places };
    }

    private ulong Cookie(ScenarioNode node) => _fields.Number(node, 0, ulong.MaxValue, "a socket's cookie");

    private ushort Port(ScenarioNode node) => (ushort)_fields.Number(node, 0, ushort.MaxValue, "a port from 0 to 65535");

    // A socket is known by its cookie, or by its protocol and port.
    private SetscRequest Request() => (_map.Has("cookie")
        ? new SetscRequest { Socket = Cookie(_map.Need("cookie")), Native = Truth("native") }
        : new SetscRequest { Protocol = _fields.Protocol(_map.Need("protocol")), LocalPort = Port(_map.Need("local-port")) }) with
    {
        Internal = _map.Get("internal", _fields.Address, IpAddress.Unspecified),
        Type = _map.Get("type", Type, AddressType.None),
        Prefix = _map.Maybe("prefix", _fields.Prefix),
        OnNet = Truth("on-net"),
        Preferences = Preferences(),
        Kept = _map.Get("kept", _fields.Address, IpAddress.Unspecified),
    };

    private AddressPreferences Preferences() => (AddressPreferences)(uint)_map.Get(
        "preferences", node => _fields.Number(node, 0, uint.MaxValue, "flags of RFC 5014 after 0x"), 0UL);

    private PrefixAdvertisement[] Prefixes() => _fields.List(_map.Find("prefixes"), "a list of prefixes", Prefix);

    // What the engine was given, also where a scenario would be refused: it ignores what it cannot use, and must have it to do so.
    private PrefixAdvertisement Prefix(ScenarioNode node)
    {
        ScenarioMap map = _fields.Map(node, "a prefix", "prefix", "type", "preferred", "valid", "home");
        return new PrefixAdvertisement(
            _fields.Prefix(map.Need("prefix")),
            map.Get("type", Type, AddressType.None),
            map.Get("preferred", _fields.Span, Duration.Infinite),
            map.Get("valid", _fields.Span, Duration.Infinite),
            map.Get("home", truth => _fields.Truth(truth), false));
    }

    private AddressType Type(ScenarioNode node) =>
        node is ScalarNode { Text: { Length: 1 } digit } && char.IsAsciiDigit(digit[0])
            ? (AddressType)(digit[0] - '0') : _fields.TypeOr(node, Untyped);

    private Duration? Window() => _map.Maybe("window", _fields.Span);

    private bool Truth(string key) => _map.Get(key, node => _fields.Truth(node), false);
}

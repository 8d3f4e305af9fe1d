using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Scenarios;

/// <summary>Reads what policy and programs ask for.</summary>
/// <param name="fields">Reads single values.</param>
/// <param name="inside">The internal addresses; null if any may be named.</param>
/// <param name="given">Every prefix that the network gives at some time; null if any may be named.</param>
internal sealed class ScenarioPolicyReader(ScenarioFields fields, IpPrefix[]? inside, IReadOnlyCollection<IpPrefix>? given)
{
    // An inbound rule without a type becomes one for each of the types that need one.
    private const int MostRules = ServicePolicy.MaximumRules / 4;

    private readonly SocketConditionReader _conditions = new(fields);

    /// <summary>Reads <c>policy</c>.</summary>
    public ScenarioPolicy ReadPolicy(ScenarioNode node)
    {
        ScenarioMap map = fields.Map(node, "policy", "default", "rules", "inbound", "graceful-udp", "session-lasting", "on-net");
        return new ScenarioPolicy
        {
            Default = map.Get("default", word => fields.TypeOr(word, "legacy"), AddressType.None),
            Rules = ReadRules(map.Find("rules"), ReadRule),
            Inbound = ReadRules(map.Find("inbound"), ReadInbound),
            GracefulDatagramsAtOnce = map.Get("graceful-udp", word => fields.Word(word, "treatment", "window-end", "at-once") == 1, false),
            PreferRoute = map.Get("session-lasting", word => fields.Word(word, "choice", "continuity", "route") == 1, false),
            OnNet = (OnNetReading)map.Get("on-net", word => fields.Word(word, "meaning", "draft-17", "sijeon-07"), 0),
        };
    }

    /// <summary>Reads one of <c>sockets</c>.</summary>
    public SocketRequest ReadSocket(ScenarioNode node)
    {
        ScenarioMap map = fields.Map(
            node, "a socket", "at", "close", "protocol", "local-port", "internal", "type", "on-net", "preferences", "prefix");
        AddressPreferences preferences = fields.Preferences(map.Find("preferences"));
        if (!map.Has("type") && !map.Has("prefix") && preferences == AddressPreferences.None)
        {
            throw fields.Wrong(node, "a socket that asks for nothing", "'type', 'prefix' or 'preferences'");
        }

        ScenarioTime at = map.Get("at", fields.Time, ScenarioTime.Start);
        ScenarioTime? close = map.Maybe("close", fields.Time);
        if (close is { } end && end.IsAbsolute == at.IsAbsolute && end.Nanoseconds < at.Nanoseconds)
        {
            throw fields.Wrong(map.Need("close"), $"a socket that closes at {end} after it asks at {at}", "a time that is not earlier");
        }

        return new SocketRequest
        {
            At = at,
            Close = close,
            Protocol = fields.Protocol(map.Need("protocol")),
            LocalPort = (ushort)fields.Number(map.Need("local-port"), 0, ushort.MaxValue, "a port from 0 to 65535"),
            Internal = map.Maybe("internal", ReadInternal),
            Type = ReadType(map),
            OnNet = ReadOnNet(map),
            Preferences = preferences,
            Prefix = map.Maybe("prefix", ReadGiven),
            Place = map.Place,
        };
    }

    private T[] ReadRules<T>(ScenarioNode? node, Func<ScenarioNode, T> read)
    {
        T[] rules = fields.List(node, "a list of rules", read);
        return rules.Length <= MostRules ? rules : throw fields.Wrong(node!, $"{rules.Length} rules", $"at most {MostRules}");
    }

    private ScenarioRule ReadRule(ScenarioNode node)
    {
        ScenarioMap map = fields.Map(
            node, "a rule",
            [
                "protocol", "remote", "remote-port", "local-port", "internal", "traffic-class", .. SocketConditionReader.Keys, "type", "prefix",
                "legacy", "on-net", "preferences",
            ]);
        AddressPreferences preferences = fields.Preferences(map.Find("preferences"));
        bool legacy = map.Get(
            "legacy", truth => fields.Truth(truth, "true") ? true : throw fields.Wrong(truth, truth.Description, "true"), false);
        if (preferences == AddressPreferences.None || legacy || map.Has("prefix") || map.Has("type"))
        {
            map.ExactlyOne("type", "prefix", "legacy");
        }

        return new ScenarioRule
        {
            Protocol = map.Maybe("protocol", fields.Protocol),
            Remote = map.Maybe("remote", fields.Prefix),
            RemotePort = map.Maybe("remote-port", fields.Ports),
            LocalPort = map.Maybe("local-port", fields.Ports),
            Internal = map.Maybe("internal", ReadInternalPrefix),
            TrafficClass = map.Maybe("traffic-class", ReadTrafficClass),
            Socket = _conditions.Read(map),
            Type = ReadType(map),
            Prefix = map.Maybe("prefix", ReadGiven),
            Legacy = legacy,
            OnNet = ReadOnNet(map),
            Preferences = preferences,
        };
    }

    private ScenarioInbound ReadInbound(ScenarioNode node)
    {
        ScenarioMap map = fields.Map(node, "an inbound rule", "type", "protocol", "local-port", "remote");
        return new ScenarioInbound
        {
            Type = map.Maybe("type", word => fields.TypeOr(word, "untyped")),
            Protocol = map.Maybe("protocol", fields.Protocol),
            LocalPort = map.Maybe("local-port", fields.Ports),
            Remote = map.Maybe("remote", fields.Prefix),
        };
    }

    private AddressType ReadType(ScenarioMap map)
    {
        if (map.Has("type") && map.Has("prefix"))
        {
            throw fields.Wrong(map.Key("prefix"), "'prefix' beside 'type'", "only one of them, for the prefix has its type");
        }

        return map.Get("type", fields.Type, AddressType.None);
    }

    private bool ReadOnNet(ScenarioMap map)
    {
        if (map.Has("on-net") && !map.Has("type"))
        {
            throw fields.Wrong(map.Key("on-net"), "'on-net' without 'type'", "a type that is asked for");
        }

        return map.Get("on-net", truth => fields.Truth(truth), false);
    }

    private byte ReadTrafficClass(ScenarioNode node)
    {
        const string expected = "a Traffic Class from 0 to 255 or from 0x00 to 0xff";
        return ScenarioText.TryOctet(fields.Text(node, expected), out byte octet)
            ? octet
            : throw fields.Wrong(node, node.Description, expected);
    }

    private IpAddress ReadInternal(ScenarioNode node)
    {
        IpAddress address = fields.Address(node);
        return inside is null || Array.Exists(inside, prefix => prefix.Contains(address)) ? address : throw NotInternal(node);
    }

    private IpPrefix ReadInternalPrefix(ScenarioNode node)
    {
        IpPrefix wanted = fields.Prefix(node);
        return inside is null || Array.Exists(inside, known => known.Contains(wanted.Address) || wanted.Contains(known.Address))
            ? wanted
            : throw NotInternal(node);
    }

    private ScenarioException NotInternal(ScenarioNode node) =>
        fields.Wrong(node, node.Description, $"one of the internal addresses {string.Join(", ", inside!.Take(8))}");

    private IpPrefix ReadGiven(ScenarioNode node)
    {
        IpPrefix prefix = fields.Prefix(node);
        return given is null || given.Contains(prefix) ? prefix : throw fields.UnknownWord(
            node, prefix.ToString(), "prefix", [.. given.Take(8).Select(known => known.ToString())]);
    }
}

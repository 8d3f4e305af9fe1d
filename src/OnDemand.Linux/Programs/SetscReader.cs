using System.Globalization;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Sockets;

namespace OnDemand.Linux.Programs;

/// <summary>Reads the body of <c>POST /v1/setsc</c>: whatever it holds, it becomes an order or one sentence.</summary>
/// <param name="name">What the request is called in errors.</param>
internal sealed class SetscReader(string name)
{
    /// <summary>How long the network may be waited for unless the request says otherwise.</summary>
    public static readonly TimeSpan UsualTimeout = TimeSpan.FromSeconds(10);

    /// <summary>The longest that it may be waited for.</summary>
    public static readonly TimeSpan LongestTimeout = TimeSpan.FromSeconds(60);

    private static readonly string[] Sockets = ["fd", "cookie", "flow"];
    private static readonly string[] Protocols = ["tcp", "udp"];

    private readonly ScenarioFields _fields = new(name);

    /// <summary>Reads a request.</summary>
    /// <param name="node">The request.</param>
    /// <returns>The order.</returns>
    /// <exception cref="ScenarioException">The request is wrong.</exception>
    public SetscOrder Read(ScenarioNode node)
    {
        ScenarioMap map = _fields.Map(node, "a request", [.. Sockets, "type", "on-net", "map", "timeout", "preferences"]);
        string socket = map.ExactlyOne(Sockets);
        AddressType type = map.Get("type", ReadType, AddressType.None);
        AddressPreferences preferences = _fields.Preferences(map.Find("preferences"));
        if (type == AddressType.None)
        {
            if (preferences == AddressPreferences.None)
            {
                throw _fields.Wrong(node, "a request with neither 'type' nor 'preferences'", "one of them");
            }

            map.Refuse("without a type", "on-net");
        }

        return new SetscOrder
        {
            Descriptor = socket == "fd" ? map.Maybe(socket, ReadDescriptor) : null,
            Cookie = socket == "cookie" ? map.Maybe(socket, ReadCookie) : null,
            Flow = socket == "flow" ? map.Maybe(socket, ReadFlow) : null,
            Type = type,
            OnNet = map.Get("on-net", truth => _fields.Truth(truth), false),
            Map = map.Get("map", truth => _fields.Truth(truth), false),
            Preferences = preferences,
            Timeout = map.Get("timeout", ReadTimeout, UsualTimeout),
        };
    }

    /// <summary>Reads a cookie.</summary>
    /// <param name="text">The text.</param>
    /// <param name="cookie">The cookie.</param>
    /// <returns>Whether it is one that a socket can have.</returns>
    public static bool TryCookie(string? text, out ulong cookie) =>
        ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out cookie) && cookie is > 0 and < ulong.MaxValue;

    // The numbers are those of the host's interface (draft-17 §6.1), not those on the wire.
    private AddressType ReadType(ScenarioNode node)
    {
        if (node is not ScalarNode { Text: { Length: > 0 } text } || !ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number))
        {
            return _fields.Type(node);
        }

        return number is >= (ulong)AddressType.Fixed and <= (ulong)AddressType.GracefulReplacement
            ? (AddressType)number
            : throw _fields.Wrong(
                node, number <= 7 ? $"type {number}, which is reserved" : node.Description,
                $"1, 2, 3, 4 or one of {string.Join(", ", ScenarioFields.TypeNames)}");
    }

    private int ReadDescriptor(ScenarioNode node) => (int)_fields.Number(node, 0, int.MaxValue, "a descriptor from 0 to 2147483647");

    private ulong ReadCookie(ScenarioNode node)
    {
        const string expected = "a socket's cookie (SO_COOKIE) as decimal digits in quotes";
        return TryCookie(_fields.Text(node, expected), out ulong cookie) ? cookie : throw _fields.Wrong(node, node.Description, expected);
    }

    private SocketQuery ReadFlow(ScenarioNode node)
    {
        ScenarioMap map = _fields.Map(node, "a flow", "protocol", "local", "remote");
        SocketProtocol protocol =
            _fields.Word(map.Need("protocol"), "protocol", Protocols) == 0 ? SocketProtocol.Tcp : SocketProtocol.Udp;
        (IpAddress local, ushort localPort) = ReadEnd(map.Need("local"));
        (IpAddress remote, ushort remotePort) = map.Get("remote", ReadEnd, default);
        return localPort == 0
            ? throw _fields.Wrong(map.Need("local"), "port 0", "the port that the socket is bound to")
            : new SocketQuery(protocol, local, localPort, remote, remotePort);
    }

    // [2001:db8::1]:443
    private (IpAddress Address, ushort Port) ReadEnd(ScenarioNode node)
    {
        const string expected = "an address and port such as [2001:db8::1]:443";
        string text = _fields.Text(node, expected);
        int bracket = text.LastIndexOf("]:", StringComparison.Ordinal);
        return text[0] == '[' && bracket > 0
            && IpAddress.TryParse(text[1..bracket], out IpAddress address)
            && ushort.TryParse(text.AsSpan(bracket + 2), NumberStyles.None, CultureInfo.InvariantCulture, out ushort port)
                ? (address, port)
                : throw _fields.Wrong(node, node.Description, expected);
    }

    private TimeSpan ReadTimeout(ScenarioNode node)
    {
        const string expected = "a number of seconds above 0 and up to 60";
        string text = _fields.Text(node, expected);
        return decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal seconds)
            && seconds >= 0.001m && seconds <= (decimal)LongestTimeout.TotalSeconds
                ? TimeSpan.FromTicks((long)(seconds * TimeSpan.TicksPerSecond))
                : throw _fields.Wrong(node, node.Description, expected);
    }
}

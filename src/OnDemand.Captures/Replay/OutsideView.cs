using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Replay;

/// <summary>
/// For captures taken outside: which internal address stands behind a typed one that the capture shows, and the engine's sockets bound
/// to just those typed addresses.
/// </summary>
internal sealed class OutsideView
{
    private const int MostSockets = 8192;

    private readonly DataplaneEngine _engine;
    private readonly Dictionary<IpAddress, IpAddress> _internal = [];
    private readonly Dictionary<Socket, IpAddress> _bound = [];
    private readonly Queue<Socket> _order = new();
    private readonly IpPrefix[] _prefixes;
    private readonly IpAddress[] _hosts;
    private int _next;

    public OutsideView(Scenario scenario, DataplaneEngine engine)
    {
        _engine = engine;
        _prefixes =
        [
            .. scenario.Network.OfType<AttachEvent>().SelectMany(attach => attach.Prefixes).Select(entry => entry.Prefix),
            .. scenario.Network.OfType<AdvertiseEvent>().SelectMany(advertise => advertise.Prefixes).Select(entry => entry.Prefix),
            .. scenario.OnDemand.Values.SelectMany(answers => answers).Where(answer => answer.Prefix is not null).Select(answer => answer.Prefix!.Value.Prefix),
        ];
        _hosts = [.. scenario.Internal.Where(prefix => prefix.IsSingleAddress).Select(prefix => prefix.Address)];
        foreach ((IpAddress typed, IpAddress inside) in scenario.Outside)
        {
            _internal.Add(typed, inside);
        }
    }

    /// <summary>The internal address behind a typed one: the scenario's, or the next one of its list as typed addresses appear.</summary>
    public bool TryGetInternal(IpAddress typed, out IpAddress inside)
    {
        if (_internal.TryGetValue(typed, out inside))
        {
            return true;
        }

        if (_hosts.Length == 0 || !_prefixes.Any(prefix => prefix.Contains(typed)))
        {
            return false;
        }

        inside = _hosts[Math.Min(_next++, _hosts.Length - 1)];
        _internal.Add(typed, inside);
        return true;
    }

    /// <summary>Makes the engine give a socket this very typed address.</summary>
    public void Bind(byte protocol, IpAddress inside, ushort localPort, IpAddress typed, Timestamp now)
    {
        var socket = new Socket(protocol, inside, localPort);
        if (_bound.TryGetValue(socket, out IpAddress known) && known == typed)
        {
            return;
        }

        bool isNew = !_bound.ContainsKey(socket);
        if (isNew && _bound.Count >= MostSockets && _order.TryDequeue(out Socket oldest))
        {
            _bound.Remove(oldest);
            _engine.CloseSocket(oldest.Protocol, oldest.Inside, oldest.LocalPort, now);
        }

        _bound[socket] = typed;
        if (isNew)
        {
            _order.Enqueue(socket);
        }

        _engine.Handle(
            new SetscRequest { Protocol = protocol, Internal = inside, LocalPort = localPort, Prefix = new IpPrefix(typed, 128) }, now);
    }

    private readonly record struct Socket(byte Protocol, IpAddress Inside, ushort LocalPort);
}

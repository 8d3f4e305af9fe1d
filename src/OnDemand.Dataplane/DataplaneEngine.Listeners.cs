using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <content>
/// Sockets that remotes turn to. One that is bound to its typed address gets packets as they are, and whoever connects to it does so too; which
/// port it has only the kernel knows, so that is asked where a socket has asked for an address to bind to. All others are mapped.
/// </content>
public sealed partial class DataplaneEngine
{
    // Whether the remote turns to a socket that is bound to the typed address. False, with a verdict, if the packet has to wait for the word on
    // that.
    private bool TryFindListener(
        ReadOnlySpan<byte> frame, in Prepared prepared, in FrameInfo info, Timestamp now, ref SourceChoice choice, out FlowKey key, out Verdict verdict)
    {
        verdict = default;
        key = prepared.Key;
        int to = prepared.Name.Number;
        byte protocol = prepared.Layout.Protocol;
        if (_pendingSockets is null || _addresses.Typed(to).NativeRequests == 0 || protocol is not (IpProtocol.Tcp or IpProtocol.Udp))
        {
            return true;
        }

        var native = new FlowKey(
            prepared.Source, protocol, FlowKey.NativeHost | to, prepared.Layout.DestinationPort, prepared.Layout.SourcePort);
        var flow = new FlowIdentity(
            protocol, prepared.Destination, prepared.Layout.DestinationPort, prepared.Source, prepared.Layout.SourcePort);
        int at = SocketOf(frame, native, _flows.Hash(native), flow, SocketQuestionKind.Listener, info, now, out verdict);
        if (at < 0)
        {
            return false;
        }

        ulong cookie = _pendingSockets[at].Answer.Cookie;
        if (cookie != 0 || _pendingSockets[at].IsOver)
        {
            key = native;
            choice.Cookie = protocol == IpProtocol.Udp ? cookie : 0;     // a connection has a socket of its own, when it has come about
            choice.Decision = choice.Decision with { Origin = DecisionOrigin.Native };
        }

        _pendingSockets.Remove(at);
        return true;
    }

    // A flow that the remote opened ends with its socket, too.
    private void AskReceiver(int id, in FlowEntry entry, Timestamp now)
    {
        if (_pendingSockets is null || entry.Protocol is not (IpProtocol.Tcp or IpProtocol.Udp) || _sockets!.CookieOf(id) != 0 || _sockets.IsGone(id))
        {
            return;
        }

        var key = new FlowKey(entry.Remote, entry.Tail);
        uint hash = _flows.Hash(key);
        if (_pendingSockets.Find(key, hash) < 0)
        {
            _ = AskSocket(key, hash, IdentityOf(entry), SocketQuestionKind.Receiver, now);
        }
    }

    // One more, or one less, of the sockets that may bind themselves to an address.
    private void CountNative(in SocketRequest request, int address, int change)
    {
        if (request.Native)
        {
            _addresses.Typed(address).NativeRequests = (ushort)(_addresses.Typed(address).NativeRequests + change);
        }
    }
}

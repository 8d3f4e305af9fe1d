using System.Buffers.Binary;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <content>
/// ICMPv6 errors in both directions (RFC 5508 §4, RFC 7915 §5.3): the flow is that of the packet they quote; they neither refresh nor end it.
/// </content>
public sealed partial class DataplaneEngine
{
    private const int ErrorHeaderLength = 8;

    // An error of the host about a packet of the remote: its own source, and the destination that it quotes, are the host's.
    private Verdict OutboundError(Span<byte> frame, ref Prepared prepared, in FrameInfo info, Timestamp now)
    {
        if (!TryReadQuote(frame, prepared, info, out FrameLayout quoted, out DropReason bad))
        {
            return Verdict.Dropped(bad);
        }

        IpAddress remote = SourceOf(frame, quoted);
        if (DestinationOf(frame, quoted) != prepared.Source)
        {
            return ErrorOfThisRouter(frame, prepared, quoted, info, now);
        }

        var key = new FlowKey(remote, quoted.Protocol, HostOf(prepared.Name), quoted.DestinationPort, quoted.SourcePort);
        int id = FindLive(key, now);
        if (id < 0 && quoted.Shape == FrameShape.LaterFragment)
        {
            id = FlowOfFragment(remote, quoted, frame, prepared.Source, outbound: false, prepared.Name);
        }

        if (id < 0)
        {
            if (!_options.PickUpMidFlow || !_attached || prepared.Name.IsTyped || quoted.Shape != FrameShape.Transport || _flows.IsFull)
            {
                return Verdict.Dropped(_attached ? DropReason.ErrorWithoutFlow : DropReason.Detached);
            }

            SourceChoice choice = Acquire(QuotedFacts(key, prepared.Source), prepared.Name.Number, key.Tail, -1, now);
            if (choice.Result != ChoiceResult.Chosen)
            {
                return choice.Result == ChoiceResult.Ask ? HoldFor(choice.Question, frame, info, now) : Verdict.Dropped(DropReason.ErrorWithoutFlow);
            }

            id = OpenFlow(key, _flows.Hash(key), PickedUp(choice), HairpinMark(remote), TcpTracker.Ack, key.IsTcp, now);
        }

        ref FlowEntry entry = ref _flows.Entry(id);
        ref TypedAddress address = ref _addresses.Typed(entry.Address);
        if (entry.State == FlowState.Stranded || _prefixes[address.Prefix].State == PrefixState.Ended)
        {
            return Verdict.Dropped(DropReason.AddressEnded, id);
        }

        if (!_attached)
        {
            return Verdict.Dropped(DropReason.Detached, id);
        }

        if ((entry.Marks & FlowMarks.Native) != 0)
        {
            return Verdict.Sent(ForwardReason.Native, id);
        }

        AddressRewrite.Error(frame, prepared.Layout, quoted, outbound: true, address.External, address.Difference, info.PartialChecksum);
        return _addresses.Find(prepared.Destination).IsTyped
            ? Hairpin(frame, info, id, _flows.Entry(id).Address, now) : Verdict.Sent(ForwardReason.Rewritten, id);
    }

    // The host's kernel is also the router between its links and the dataplane: what does not fit, it says of a packet of the remote that
    // it has not translated yet. Only the outer source is the host's own, and the remote would never hear it from an internal address.
    private Verdict ErrorOfThisRouter(Span<byte> frame, in Prepared prepared, in FrameLayout quoted, in FrameInfo info, Timestamp now)
    {
        AddressName name = _addresses.Find(DestinationOf(frame, quoted));
        if (!name.IsTyped || quoted.Shape != FrameShape.Transport)
        {
            return Verdict.Dropped(DropReason.ErrorWithoutFlow);
        }

        ref TypedAddress address = ref _addresses.Typed(name.Number);
        var key = new FlowKey(SourceOf(frame, quoted), quoted.Protocol, address.Host, quoted.DestinationPort, quoted.SourcePort);
        int id = address.Internal == prepared.Source && prepared.Destination == key.Remote ? FindLive(key, now) : -1;
        if (id < 0 || (_flows.Entry(id).Address != name.Number && _flows.Entry(id).OldAddress != name.Number))
        {
            return Verdict.Dropped(DropReason.ErrorWithoutFlow);
        }

        if (_prefixes[address.Prefix].State == PrefixState.Ended || !_attached)
        {
            return Verdict.Dropped(_attached ? DropReason.AddressEnded : DropReason.Detached, id);
        }

        AddressRewrite.Source(frame, prepared.Layout, address.External, address.Difference, info.PartialChecksum);
        return Verdict.Sent(ForwardReason.Rewritten, id);
    }

    // An error of the remote, or of a router, about a packet of the host: its own destination, and the source that it quotes, are the host's.
    private Verdict InboundError(Span<byte> frame, ref Prepared prepared, in FrameInfo info, Timestamp now)
    {
        if (!TryReadQuote(frame, prepared, info, out FrameLayout quoted, out DropReason bad))
        {
            return Verdict.Dropped(bad);
        }

        int to = prepared.Name.Number;
        if (SourceOf(frame, quoted) != prepared.Destination)
        {
            return Verdict.Dropped(DropReason.ErrorWithoutFlow);
        }

        IpAddress remote = quoted.Has(FrameMarks.SegmentsLeft)
            ? IpAddress.Read(frame[quoted.FinalDestinationOffset..]) : DestinationOf(frame, quoted);
        ref TypedAddress address = ref _addresses.Typed(to);
        var key = new FlowKey(remote, quoted.Protocol, address.Host, quoted.SourcePort, quoted.DestinationPort);
        int id = FindLive(key, now);
        if (id < 0 && address.NativeFlows > 0)
        {
            id = FindLive(new FlowKey(remote, quoted.Protocol, FlowKey.NativeHost | to, quoted.SourcePort, quoted.DestinationPort), now);
        }

        if (id < 0 && quoted.Shape == FrameShape.LaterFragment)
        {
            id = FlowOfFragment(address.Internal, quoted, frame, remote, outbound: true, prepared.Name);
        }

        if (id < 0)
        {
            if (!_options.PickUpMidFlow || quoted.Shape != FrameShape.Transport || _flows.IsFull)
            {
                return Verdict.Dropped(DropReason.ErrorWithoutFlow);
            }

            var choice = new SourceChoice
            {
                Address = to,
                Binding = -1,
                Decision = new Decision(DecisionOrigin.PickedUp, address.Type, default, -1, default),
            };
            id = OpenFlow(key, _flows.Hash(key), choice, HairpinMark(remote), TcpTracker.Ack, key.IsTcp, now);
        }

        ref FlowEntry entry = ref _flows.Entry(id);
        if (entry.Address != to && entry.OldAddress != to)
        {
            return Verdict.Dropped(DropReason.WrongAddress, id);
        }

        if ((entry.Marks & FlowMarks.Native) != 0)
        {
            return Verdict.Sent(ForwardReason.Native, id);
        }

        AddressRewrite.Error(
            frame, prepared.Layout, quoted, outbound: false, address.Internal, InternetChecksum.Negate(address.Difference), info.PartialChecksum);
        return Verdict.Sent(ForwardReason.Rewritten, id);
    }

    // Parses what an error quotes, up to its extension structure (RFC 4884 §4), and checks the error's own checksum (RFC 5508 REQ-3).
    private static bool TryReadQuote(
        ReadOnlySpan<byte> frame, in Prepared prepared, in FrameInfo info, out FrameLayout quoted, out DropReason bad)
    {
        FrameLayout layout = prepared.Layout;
        int begin = layout.UpperOffset + ErrorHeaderLength;
        int end = (int)Math.Min(frame.Length, layout.PacketEnd);
        bad = DropReason.BadQuote;
        quoted = default;
        if (begin > end)
        {
            return false;
        }

        bool whole = !layout.Has(FrameMarks.Cut) && !layout.Has(FrameMarks.Fragment) && !layout.Has(FrameMarks.SegmentsLeft)
            && !layout.Has(FrameMarks.HomeAddress) && !info.PartialChecksum;
        if (whole && !HasRightChecksum(frame[layout.UpperOffset..end], prepared))
        {
            bad = DropReason.BadIcmpChecksum;
            return false;
        }

        // The length attribute counts 64-bit words of the quoted packet; only unreachable and time exceeded have it.
        int attribute = frame[layout.UpperOffset] is 1 or 3 ? frame[layout.UpperOffset + 4] * 8 : 0;
        int quoteEnd = attribute > 0 ? Math.Min(end, begin + attribute) : end;
        FrameParser.Parse(frame[..quoteEnd], begin, out quoted);
        return quoted.Shape is FrameShape.Transport or FrameShape.LaterFragment;
    }

    private static bool HasRightChecksum(ReadOnlySpan<byte> message, in Prepared prepared)
    {
        uint sum = InternetChecksum.PseudoHeaderSum(prepared.Source, prepared.Destination, (uint)message.Length, IpProtocol.Icmpv6);
        return InternetChecksum.Fold(sum + InternetChecksum.Sum(message)) == ushort.MaxValue;
    }

    private int FindLive(in FlowKey key, Timestamp now)
    {
        int id = _flows.Find(key);
        return id >= 0 && !IsIdle(_flows.Entry(id), Ticks.At(now, _origin)) ? id : -1;
    }

    // A quoted fragment without ports: its datagram may still be remembered.
    private int FlowOfFragment(
        IpAddress source, in FrameLayout quoted, ReadOnlySpan<byte> frame, IpAddress destination, bool outbound, AddressName name)
    {
        uint identification = BinaryPrimitives.ReadUInt32BigEndian(frame[(quoted.FragmentHeaderOffset + 4)..]);
        int id = outbound ? _fragments.Find(source, destination, identification) : -1;
        if (!outbound)
        {
            // The remote's fragments came to a typed address of this host; each may be the one.
            for (int typed = name.IsInternal ? _addresses.Internal(name.Number).FirstTyped : -1; typed >= 0 && id < 0;
                typed = _addresses.Typed(typed).NextOfHost)
            {
                id = _fragments.Find(source, _addresses.Typed(typed).External, identification);
            }
        }

        if (id < 0 || _fragments[id].State != DatagramState.Known || _fragments[id].Flow < 0)
        {
            return -1;
        }

        int flow = _fragments[id].Flow;
        return _flows.Entry(flow).State != FlowState.Free && _flows.Entry(flow).Address == _fragments[id].Address ? flow : -1;
    }

    private static SourceChoice PickedUp(SourceChoice choice)
    {
        Decision decision = choice.Decision;
        choice.Decision = decision with { Origin = DecisionOrigin.PickedUp };
        return choice;
    }

    private static Selection.FlowFacts QuotedFacts(in FlowKey key, IpAddress host) => new(
        FlowKey.ProtocolOf(key.Tail), host, FlowKey.LocalPortOf(key.Tail), key.Remote, FlowKey.RemotePortOf(key.Tail));

    private static IpAddress SourceOf(ReadOnlySpan<byte> frame, in FrameLayout layout) => IpAddress.Read(frame[(layout.NetworkOffset + 8)..]);

    private static IpAddress DestinationOf(ReadOnlySpan<byte> frame, in FrameLayout layout) => IpAddress.Read(frame[(layout.NetworkOffset + 24)..]);
}

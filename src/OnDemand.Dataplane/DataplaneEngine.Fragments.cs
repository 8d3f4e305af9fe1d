using System.Buffers.Binary;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <content>
/// Fragments (RFC 8200 §4.5): only the first has ports, so the others follow what became of it, and wait for it if it comes late
/// (RFC 4787 REQ-14, RFC 6146 §3.4). Overlaps end the datagram (RFC 5722). Atomic fragments never come here (RFC 6946).
/// </content>
public sealed partial class DataplaneEngine
{
    private Verdict Fragment(Span<byte> frame, ref Prepared prepared, in FrameInfo info, bool outbound, Timestamp now)
    {
        ref FrameLayout layout = ref prepared.Layout;
        ReadOnlySpan<byte> header = frame.Slice(layout.FragmentHeaderOffset, 8);
        uint identification = BinaryPrimitives.ReadUInt32BigEndian(header[4..]);
        int offset = BinaryPrimitives.ReadUInt16BigEndian(header[2..]) >> 3;
        int id = _fragments.Find(prepared.Source, prepared.Destination, identification);
        if (id < 0)
        {
            id = _fragments.Add(prepared.Source, prepared.Destination, identification, now.Add(_options.FragmentTimeout));
            if (id < 0)
            {
                return Verdict.Dropped(DropReason.FragmentTableFull);
            }

            if (id == _fragments.Oldest)
            {
                SetDeadline();
            }
        }

        ref FragmentedDatagram datagram = ref _fragments[id];
        long length = layout.PacketEnd - layout.FragmentHeaderOffset - 8;
        if (datagram.State != DatagramState.Dropped && !_fragments.Mark(id, offset, (int)Math.Min(length, ushort.MaxValue)))
        {
            int lost = _hold.Discard(ref datagram.Queue);
            Counters.Drops[(int)DropReason.FragmentOfDropped] += lost;
            Counters.Verdicts[(int)VerdictKind.Drop] += lost;
            datagram.State = DatagramState.Dropped;
            return Verdict.Dropped(DropReason.OverlappingFragment);
        }

        return offset == 0
            ? FirstFragment(frame, ref prepared, info, outbound, id, now)
            : LaterFragment(frame, ref prepared, info, outbound, id, now);
    }

    private Verdict FirstFragment(Span<byte> frame, ref Prepared prepared, in FrameInfo info, bool outbound, int id, Timestamp now)
    {
        ref FragmentedDatagram datagram = ref _fragments[id];
        bool duplicate = datagram.State == DatagramState.Held && !_isReleasing;
        if (datagram.State is DatagramState.Dropped or DatagramState.Untouched || duplicate)
        {
            // Of what was dropped nothing passes; of what has passed as it was nothing may get another address, or it would meet none of
            // the others again; and behind one that waits its duplicate waits too.
            return LaterFragment(frame, ref prepared, info, outbound, id, now);
        }

        bool again = datagram.State == DatagramState.Known;
        if (again && HasEnded(datagram))
        {
            return Verdict.Dropped(DropReason.AddressEnded);
        }

        Verdict verdict = outbound ? OutboundWhole(frame, ref prepared, info, now) : InboundWhole(frame, ref prepared, info, now);
        if (again)
        {
            return verdict;   // whatever becomes of a duplicate, the others follow the first
        }

        datagram.Flow = verdict.Flow;
        switch (verdict.Kind)
        {
            case VerdictKind.Hold:
                datagram.State = DatagramState.Held;
                return verdict;
            case VerdictKind.Forward when verdict.Forward is ForwardReason.Rewritten or ForwardReason.Hairpin or ForwardReason.Native:
                datagram.State = DatagramState.Known;
                datagram.Reason = verdict.Forward;
                datagram.Address = outbound && verdict.Flow >= 0 ? _flows.Entry(verdict.Flow).Address : prepared.Name.Number;
                datagram.External = _addresses.Typed(datagram.Address).External;
                break;
            case VerdictKind.Forward:
                datagram.State = DatagramState.Untouched;
                datagram.Reason = verdict.Forward;
                break;
            default:
                datagram.State = DatagramState.Dropped;
                break;
        }

        _hold.Move(ref datagram.Queue, ref _released);
        return verdict;
    }

    private Verdict LaterFragment(Span<byte> frame, ref Prepared prepared, in FrameInfo info, bool outbound, int id, Timestamp now)
    {
        ref FragmentedDatagram datagram = ref _fragments[id];
        switch (datagram.State)
        {
            case DatagramState.Known:
                return FollowFirst(frame, prepared, info, outbound, datagram, now);
            case DatagramState.Untouched:
                return Verdict.Sent(datagram.Reason);
            case DatagramState.Dropped:
                return Verdict.Dropped(DropReason.FragmentOfDropped);
            default:
                // Behind the first fragment, wherever that waits: what comes out of there moves this queue too.
                return frame.Length <= _options.MaximumHeldFrameLength && _hold.TryAdd(ref datagram.Queue, frame, info, outbound, now)
                    ? Verdict.Held(datagram.State == DatagramState.Held ? HoldReason.Network : HoldReason.FirstFragment) : Verdict.Dropped(DropReason.HoldFull);
        }
    }

    private Verdict FollowFirst(
        Span<byte> frame, in Prepared prepared, in FrameInfo info, bool outbound, in FragmentedDatagram datagram, Timestamp now)
    {
        ref TypedAddress address = ref _addresses.Typed(datagram.Address);
        if (HasEnded(datagram))
        {
            return Verdict.Dropped(DropReason.AddressEnded);
        }

        if (!_attached)
        {
            return Verdict.Dropped(DropReason.Detached);
        }

        uint length = (uint)(prepared.Layout.PacketEnd - prepared.Layout.NetworkOffset);
        if (!outbound)
        {
            address.PacketsIn++;
            address.BytesIn += length;
            if (datagram.Reason != ForwardReason.Native)
            {
                AddressRewrite.Destination(frame, prepared.Layout, address.Internal, 0, partial: false);
            }

            return Verdict.Sent(datagram.Reason, datagram.Flow);
        }

        address.PacketsOut++;
        address.BytesOut += length;
        if (datagram.Reason != ForwardReason.Native)
        {
            AddressRewrite.Source(frame, prepared.Layout, address.External, 0, partial: false);
        }

        return datagram.Reason == ForwardReason.Hairpin ? Hairpin(frame, info, datagram.Flow, datagram.Address, now) : Verdict.Sent(datagram.Reason, datagram.Flow);
    }

    private bool HasEnded(in FragmentedDatagram datagram)
    {
        ref TypedAddress address = ref _addresses.Typed(datagram.Address);
        return address.Prefix < 0 || address.External != datagram.External || _prefixes[address.Prefix].State == PrefixState.Ended;
    }

    private void ExpireFragments(Timestamp now)
    {
        while (_fragments.Oldest >= 0 && _fragments[_fragments.Oldest].Expires <= now)
        {
            ref FragmentedDatagram oldest = ref _fragments[_fragments.Oldest];
            if (oldest.State == DatagramState.Waiting && !oldest.Queue.IsEmpty && _options.Untranslatable == UntranslatablePolicy.Pass)
            {
                // Nobody will ever know their ports; they pass as they are, like everything that cannot be rewritten safely.
                oldest.State = DatagramState.Untouched;
                oldest.Reason = ForwardReason.Untranslatable;
                _hold.Move(ref oldest.Queue, ref _released);
                _fragments.RenewOldest(now.Add(_options.FragmentTimeout));
                continue;
            }

            int lost = _hold.Discard(ref oldest.Queue);
            Counters.Drops[(int)DropReason.HoldTimeout] += lost;
            Counters.Verdicts[(int)VerdictKind.Drop] += lost;
            _fragments.RemoveOldest();
        }
    }
}

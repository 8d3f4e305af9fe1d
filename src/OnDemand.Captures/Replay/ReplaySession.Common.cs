using System.Runtime.CompilerServices;
using OnDemand.Captures.Files;
using OnDemand.Captures.Link;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Replay;

/// <content>
/// Common packets of a capture taken inside: TCP or UDP of live flows that go on as they were, when only OUT is wanted. They are rewritten
/// where they were read, many at a time. Whatever is not certain goes the ordinary way, which gives the same result.
/// </content>
internal sealed partial class ReplaySession
{
    private const int LeastGathered = 2;

    private readonly CapturedSlot[] _slots = new CapturedSlot[DataplaneEngine.MaximumCaptured];
    private readonly Timestamp[] _stamps = new Timestamp[DataplaneEngine.MaximumCaptured];
    private readonly int[] _ends = new int[DataplaneEngine.MaximumCaptured];    // where each record ends, from the first one's beginning
    private readonly byte[] _proofs = new byte[DataplaneEngine.MaximumCaptured * DataplaneEngine.ProofLength];
    private int _mostGathered = LeastGathered;

    private bool IsPlain => _host is null && _outside is null && !_options.Explain && _unsent.IsEmpty
        && _pending.Count + _heldWithPlace.Count + _heldWithout.Count == 0;

    /// <summary>Takes common packets off a reader, as long as one follows another.</summary>
    /// <param name="reader">The reader; what it gives next is no common packet, or not certain to be one.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void CopyCommon(CaptureReader reader)
    {
        if (!IsPlain)
        {
            return;
        }

        Timestamp limit = _schedule.Next < _engine.NextDeadline ? _schedule.Next : _engine.NextDeadline;
        int wanted;
        int done;
        do
        {
            wanted = _mostGathered;
            int gathered = Gather(reader, wanted, limit);
            done = _engine.HandleCaptured(reader.Block.Octets, _slots.AsSpan(0, gathered), _proofs);
            if (done > 0)
            {
                Account(_slots.AsSpan(0, done), reader.Block.Octets);
                Write(reader, done);
                reader.Skip(_ends[done - 1]);
            }

            // While flows begin, common packets come in short runs, and what was gathered behind one would be gathered again.
            _mostGathered = done < gathered
                ? Math.Max(LeastGathered, _mostGathered / 2) : Math.Min(_slots.Length, _mostGathered * 2);
        }
        while (done == wanted);
    }

    private int Gather(CaptureReader reader, int wanted, Timestamp limit)
    {
        int count = 0;
        int start = reader.PlaceInBlock;
        int end = 0;
        Timestamp now = _now;
        while (count < wanted)
        {
            int begin = end;
            if (!reader.TryPeek(ref end, out CaptureRecord record))
            {
                break;
            }

            Timestamp time = TimeOf(record) ?? default;
            ReadOnlySpan<byte> frame = record.Data;
            if (!record.HasTimestamp || time >= limit || !LinkLayer.TryFindIpv6(record.LinkType, frame, out int offset))
            {
                break;
            }

            now = time > now ? time : now;
            _stamps[count] = time;
            _ends[count] = end;
            _slots[count] = new CapturedSlot
            {
                Offset = start + begin + record.DataOffset,
                Length = frame.Length,
                NetworkOffset = offset,
                PartialChecksum = PartialChecksums.LooksPartial(frame, offset),
                Time = now,
            };
            count++;
        }

        return count;
    }

    private void Account(ReadOnlySpan<CapturedSlot> slots, ReadOnlySpan<byte> octets)
    {
        for (int i = 0; i < slots.Length; i++)
        {
            ref readonly CapturedSlot slot = ref slots[i];
            Counts.PacketsRead++;
            Counts.OctetsRead += slot.Length;
            if (slot.Inbound)
            {
                ReadOnlySpan<byte> proof = _proofs.AsSpan(i * DataplaneEngine.ProofLength, DataplaneEngine.ProofLength);
                Verify(proof[..(DataplaneEngine.ProofLength / 2)], proof[(DataplaneEngine.ProofLength / 2)..], 0);
            }

            if (_ledger.Find(slot.Flow) is { } flow)
            {
                ReadOnlySpan<byte> packet = octets[(slot.Offset + slot.NetworkOffset)..];
                flow.Count(!slot.Inbound, FrameParser.HeaderLength + ((packet[4] << 8) | packet[5]), slot.Time, dropped: false);
                flow.Claim(_stamps[i]);
            }
        }

        Counts.CountRewritten(slots.Length);
        _now = slots[^1].Time;
        _stamp = _stamps[slots.Length - 1];
        LastPacket = _now > LastPacket ? _now : LastPacket;   // no deadline has come since, so it is the latest packet's time
    }

    private void Write(CaptureReader reader, int count)
    {
        if (_network.TryLend(reader.Format, reader.PlaceInBlock, _ends[count - 1], count))
        {
            return;
        }

        int ahead = 0;
        while (ahead < _ends[count - 1] && reader.TryPeek(ref ahead, out CaptureRecord record))
        {
            _network.Write(record, default, null, null);
        }
    }
}

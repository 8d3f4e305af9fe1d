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
    private readonly CapturedSlot[] _slots = new CapturedSlot[DataplaneEngine.MaximumCaptured];
    private readonly Timestamp[] _stamps = new Timestamp[DataplaneEngine.MaximumCaptured];
    private readonly int[] _ends = new int[DataplaneEngine.MaximumCaptured];    // where each record ends, from the first one's beginning
    private readonly byte[] _proofs = new byte[DataplaneEngine.MaximumCaptured * DataplaneEngine.ProofLength];

    private bool IsPlain => _host is null && _outside is null && !_options.Explain && _unsent.IsEmpty
        && _pending.Count + _heldWithPlace.Count + _heldWithout.Count == 0;

    // When something else than packets is due.
    private Timestamp Limit => _schedule.Next < _engine.NextDeadline ? _schedule.Next : _engine.NextDeadline;

    /// <summary>Takes packets off a reader, as long as they may be common ones, or are the uncommon ones between them.</summary>
    /// <param name="reader">The reader; what it gives next is for <see cref="Packet"/> or <see cref="Other"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void TakeCommon(CaptureReader reader)
    {
        while (IsPlain)
        {
            int count = Gather(reader, Limit);
            if (count == 0)
            {
                return;
            }

            byte[] octets = reader.Block.Octets;
            Span<CapturedSlot> slots = _slots.AsSpan(0, count);
            _engine.LookAtCaptured(octets, slots);
            int next = 0;
            while (next < count)
            {
                int done = _engine.HandleCaptured(octets, slots, next, _proofs);
                if (done > 0)
                {
                    Account(next, done, octets);
                    Write(reader, next, done);
                    next += done;
                }

                if (next < count)
                {
                    _ = reader.TryRead(out CaptureRecord uncommon);
                    Packet(uncommon);
                    next++;
                    if (!IsPlain || slots[^1].Time >= Limit)
                    {
                        break;
                    }
                }
            }
        }
    }

    private int Gather(CaptureReader reader, Timestamp limit)
    {
        int count = 0;
        int start = reader.PlaceInBlock;
        int end = 0;
        Timestamp now = _now;
        while (count < _slots.Length)
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

    private void Account(int first, int count, ReadOnlySpan<byte> octets)
    {
        for (int i = first; i < first + count; i++)
        {
            ref readonly CapturedSlot slot = ref _slots[i];
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

        Counts.CountRewritten(count);
        _now = _slots[first + count - 1].Time;
        _stamp = _stamps[first + count - 1];
        LastPacket = _now > LastPacket ? _now : LastPacket;   // no deadline has come since, so it is the latest packet's time
    }

    // The records of packets that were handled, and past them.
    private void Write(CaptureReader reader, int first, int count)
    {
        int length = _ends[first + count - 1] - (first == 0 ? 0 : _ends[first - 1]);
        if (!_network.TryLend(reader.Format, reader.PlaceInBlock, length, count))
        {
            int ahead = 0;
            while (ahead < length && reader.TryPeek(ref ahead, out CaptureRecord record))
            {
                _network.Write(record, default, null, null);
            }
        }

        reader.Skip(length);
    }
}

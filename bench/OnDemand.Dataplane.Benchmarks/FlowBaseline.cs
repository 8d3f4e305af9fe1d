using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace OnDemand.Dataplane.Benchmarks;

/// <summary>
/// What the gate measures the engine by, in the same process and on the same packets: a copy of the frame, one look-up of its five-tuple in a
/// table with a cache line a flow, a new address and one addition to the checksum. It is nobody's product, only a stick that does not change.
/// Its memory is not the collector's, so that it lies alike in every run, and stays until the process ends.
/// </summary>
internal sealed unsafe class FlowBaseline
{
    private const int Network = 14;
    private const int Source = Network + 8;
    private const int Destination = Network + 24;
    private const int Upper = Network + 40;
    private const int Checksum = Upper + 16;
    private const int Line = 64;

    private readonly Entry* _table;
    private readonly ulong _mask;
    private readonly ulong* _at = (ulong*)NativeMemory.AlignedAlloc(FlowLoad.Batch * sizeof(ulong), Line);
    private readonly byte* _copies;
    private readonly int _ringLength;

    /// <summary>A table at most half full.</summary>
    /// <param name="flows">Flows that it will hold.</param>
    /// <param name="ringLength">Octets of the ring of frames.</param>
    public FlowBaseline(int flows, int ringLength)
    {
        nuint slots = BitOperations.RoundUpToPowerOf2((nuint)flows * 2);
        _mask = slots - 1;
        _table = (Entry*)NativeMemory.AlignedAlloc(slots * (nuint)sizeof(Entry), Line);
        NativeMemory.Clear(_table, slots * (nuint)sizeof(Entry));
        _copies = (byte*)NativeMemory.AlignedAlloc((nuint)ringLength, Line);
        _ringLength = ringLength;
    }

    /// <summary>Frames that were found in the table and rewritten.</summary>
    public long Rewritten { get; private set; }

    /// <summary>Enters the flow of a frame.</summary>
    public void Add(ReadOnlySpan<byte> frame)
    {
        fixed (byte* start = frame)
        {
            ulong at = Hash(start) & _mask;
            while (_table[at].Used != 0)
            {
                at = (at + 1) & _mask;
            }

            _table[at] = new Entry
            {
                SourceHigh = *(ulong*)(start + Source),
                SourceLow = *(ulong*)(start + Source + 8),
                DestinationHigh = *(ulong*)(start + Destination),
                DestinationLow = *(ulong*)(start + Destination + 8),
                Ports = *(uint*)(start + Upper),
                NewHigh = 0x0a00_b80d_0120,
                NewLow = at,
                Delta = (ushort)((at * 7) | 1),
                Used = 1,
            };
        }
    }

    /// <summary>Copies the frames of a batch and rewrites the copies.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public void HandleBatch(ReadOnlySpan<byte> ring, int slotLength)
    {
        ring.CopyTo(new Span<byte>(_copies, _ringLength));
        for (int slot = 0; slot < FlowLoad.Batch; slot++)
        {
            byte* frame = _copies + (slot * slotLength);
            bool isOurs = *(ushort*)(frame + 12) == 0xdd86 && frame[Network] >> 4 == 6 && frame[Network + 6] == 6;
            ulong at = isOurs ? Hash(frame) & _mask : 0;
            _at[slot] = at;
            if (Sse.IsSupported)
            {
                Sse.Prefetch0(_table + at);
            }
        }

        for (int slot = 0; slot < FlowLoad.Batch; slot++)
        {
            byte* frame = _copies + (slot * slotLength);
            Entry* entry = Find(frame, _at[slot]);
            if (entry->Used != 0)
            {
                *(ulong*)(frame + Source) = entry->NewHigh;
                *(ulong*)(frame + Source + 8) = entry->NewLow;
                uint sum = (uint)(ushort)~*(ushort*)(frame + Checksum) + entry->Delta;
                *(ushort*)(frame + Checksum) = (ushort)~((sum & 0xffff) + (sum >> 16));
                entry->Last++;
                Rewritten++;
            }
        }
    }

    private Entry* Find(byte* frame, ulong at)
    {
        while (true)
        {
            Entry* entry = _table + at;
            ulong difference = (entry->SourceHigh ^ *(ulong*)(frame + Source)) | (entry->SourceLow ^ *(ulong*)(frame + Source + 8))
                | (entry->DestinationHigh ^ *(ulong*)(frame + Destination)) | (entry->DestinationLow ^ *(ulong*)(frame + Destination + 8))
                | (entry->Ports ^ *(uint*)(frame + Upper));
            if (difference == 0 || entry->Used == 0)
            {
                return entry;
            }

            at = (at + 1) & _mask;
        }
    }

    private static ulong Hash(byte* frame) =>
        Mix(*(ulong*)(frame + Source) ^ *(ulong*)(frame + Destination) ^ 0x9e37_79b9_7f4a_7c15, *(ulong*)(frame + Source + 8) ^ 0xa076_1d64_78bd_642f)
        ^ Mix(*(ulong*)(frame + Destination + 8) ^ 0xe703_7ed1_a0b4_28db, *(uint*)(frame + Upper) ^ 0x8ebc_6af0_9c88_c6e3);

    private static ulong Mix(ulong a, ulong b) => Math.BigMul(a, b, out ulong low) ^ low;

    [StructLayout(LayoutKind.Sequential, Size = Line)]
    private struct Entry
    {
        public ulong SourceHigh;
        public ulong SourceLow;
        public ulong DestinationHigh;
        public ulong DestinationLow;
        public ulong Ports;
        public ulong NewHigh;
        public ulong NewLow;
        public uint Last;
        public ushort Delta;
        public ushort Used;
    }
}

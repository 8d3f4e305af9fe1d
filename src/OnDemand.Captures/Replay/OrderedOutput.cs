using System.Runtime.CompilerServices;
using OnDemand.Captures.Files;

namespace OnDemand.Captures.Replay;

/// <summary>
/// A capture that is written in the order of the input, although some packets are known only later: a fragment that came before its first
/// one keeps its place, and everything behind it waits. The waiting is bounded; past the bound the place is given up, and the packet goes
/// where the file is when it is known.
/// </summary>
internal sealed class OrderedOutput(CaptureWriter writer)
{
    private const long MostOctets = 64L << 20;
    private const int EntryOverhead = 256;

    private readonly LinkedList<Entry> _waiting = new();
    private long _octets;

    /// <summary>Packets written, injected ones included.</summary>
    public long Packets { get; private set; }

    /// <summary>Appends packets that stand one behind the other in the reader's memory, if nothing waits and the output takes them from
    /// there.</summary>
    /// <param name="format">The format they are in.</param>
    /// <param name="start">Where the first one begins in the reader's block.</param>
    /// <param name="length">Octets of all.</param>
    /// <param name="packets">How many there are.</param>
    /// <returns>Whether they were appended.</returns>
    public bool TryLend(CaptureFormat format, int start, int length, int packets)
    {
        if (_waiting.Count > 0 || !writer.TryLend(format, start, length))
        {
            return false;
        }

        Packets += packets;
        return true;
    }

    /// <summary>
    /// Writes a record of the input; a packet with other octets, of the same length, if they are given. Where the output takes packets from
    /// the reader's memory, the record itself has them from then on.
    /// </summary>
    public void Write(in CaptureRecord record, ReadOnlySpan<byte> data, long? time, string? comment)
    {
        if (_waiting.Count == 0)
        {
            WriteNow(record, data, time, comment);
            return;
        }

        var stored = new StoredRecord(record);
        if (record.Kind == CaptureRecordKind.Packet && !data.IsEmpty)
        {
            data.CopyTo(stored.Data);
        }

        Add(new Entry { Record = stored, Time = time, Comment = comment, Known = true });
    }

    /// <summary>Writes a packet that the input does not have.</summary>
    public void Inject(int interfaceIndex, long time, ReadOnlySpan<byte> data, string? comment)
    {
        if (_waiting.Count == 0)
        {
            InjectNow(interfaceIndex, time, data, comment);
            return;
        }

        Add(new Entry { Injected = data.ToArray(), Interface = interfaceIndex, Time = time, Comment = comment, Known = true });
    }

    /// <summary>Keeps a place for a packet that is not known yet.</summary>
    public object Reserve(in CaptureRecord record)
    {
        var entry = new Entry { Record = new StoredRecord(record) };
        Add(entry);
        return entry;
    }

    /// <summary>Fills a kept place; with nothing if the packet is not to be there.</summary>
    /// <returns>False if the place was given up meanwhile.</returns>
    public bool Fill(object place, ReadOnlySpan<byte> data, string? comment)
    {
        var entry = (Entry)place;
        if (entry.Known)
        {
            return false;
        }

        entry.Known = true;
        entry.Comment = comment;
        if (data.IsEmpty)
        {
            entry.Record = null;
        }
        else
        {
            data.CopyTo(entry.Record!.Data);
        }

        Settle();
        return true;
    }

    /// <summary>Gives up every place that is still kept.</summary>
    public void Finish()
    {
        foreach (Entry entry in _waiting.Where(entry => !entry.Known))
        {
            entry.Known = true;
            entry.Record = null;
        }

        Settle();
    }

    private void Add(Entry entry)
    {
        _waiting.AddLast(entry);
        entry.Length = EntryOverhead + (entry.Record?.Length ?? 0) + (entry.Injected?.Length ?? 0);
        _octets += entry.Length;
        while (_octets > MostOctets && _waiting.First is { } first)
        {
            if (!first.Value.Known)
            {
                first.Value.Known = true;
                first.Value.Record = null;
            }

            Settle();
        }
    }

    private void Settle()
    {
        while (_waiting.First is { Value.Known: true } first)
        {
            _waiting.RemoveFirst();
            Entry entry = first.Value;
            _octets -= entry.Length;
            if (entry.Record is { } record)
            {
                WriteNow(record.View(), default, entry.Time, entry.Comment);
            }
            else if (entry.Injected is { } data)
            {
                InjectNow(entry.Interface, entry.Time ?? 0, data, entry.Comment);
            }
        }
    }

    // Where the input ends within a block, nothing that comes behind could be read.
    private void InjectNow(int interfaceIndex, long time, ReadOnlySpan<byte> data, string? comment)
    {
        if (!writer.IsInsideBlock && writer.AppendPacket(interfaceIndex, time, (uint)data.Length, data, comment) != CaptureWriter.NoPacket)
        {
            Packets++;
        }
    }

    private void WriteNow(in CaptureRecord record, ReadOnlySpan<byte> data, long? time, string? comment)
    {
        bool isPlain = time is null && comment is null;
        if (isPlain && writer.TryLend(record, out Span<byte> own))
        {
            Packets++;
            data.CopyTo(own);   // nothing, where it stays as it is
            return;
        }

        int at = isPlain ? writer.Append(record) : writer.Append(record, time, comment);
        if (at == CaptureWriter.NoPacket)
        {
            return;
        }

        Packets++;
        if (!data.IsEmpty)
        {
            data.CopyTo(writer.Batch[at..]);
        }
    }

    private sealed class Entry
    {
        public StoredRecord? Record;
        public byte[]? Injected;
        public int Interface;
        public long? Time;
        public string? Comment;
        public bool Known;

        // What it takes, fixed when it is added.
        public int Length;
    }
}

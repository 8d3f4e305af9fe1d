using System.Runtime.CompilerServices;

namespace OnDemand.Captures.Files;

/// <summary>Encodes records in one format.</summary>
internal abstract class CaptureSink(OutputBatch batch)
{
    /// <summary>What an append returns that added no packet.</summary>
    public const int NoPacket = -1;

    /// <summary>The format that is written.</summary>
    public abstract CaptureFormat Format { get; }

    /// <summary>Why nothing more can be written; null while all is well.</summary>
    public string? Failure { get; protected set; }

    /// <summary>Whether the last piece of a large block is still to come, so that no packet can be added.</summary>
    public virtual bool IsInsideBlock => false;

    /// <summary>Where the octets go.</summary>
    protected OutputBatch Batch { get; } = batch;

    /// <summary>Begins a file that is not made from another one.</summary>
    public abstract void Begin(ushort linkType, ByteOrder order);

    /// <summary>Adds an interface to a file that is not made from another one.</summary>
    public abstract int AddInterface(ushort linkType, TimestampResolution resolution);

    /// <summary>Appends a record, converted if need be.</summary>
    /// <returns>Where the packet's octets are in the batch, or <see cref="NoPacket"/>.</returns>
    public abstract int Append(in CaptureRecord record, long? newTimestamp, ReadOnlySpan<char> comment);

    /// <summary>Appends a packet that the input does not have.</summary>
    /// <returns>Where the packet's octets are in the batch, or <see cref="NoPacket"/>.</returns>
    public abstract int AppendPacket(
        int interfaceIndex,
        long timestamp,
        uint originalLength,
        ReadOnlySpan<byte> data,
        ReadOnlySpan<char> comment);

    /// <summary>Appends what a whole file still lacks.</summary>
    public abstract void Complete();

    /// <summary>Appends a record as it stands.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    protected int AppendRaw(in CaptureRecord record)
    {
        record.Octets.CopyTo(Batch.Append(record.Octets.Length));
        return record.Kind == CaptureRecordKind.Packet ? Batch.Length - record.Octets.Length + record.DataOffset : NoPacket;
    }
}

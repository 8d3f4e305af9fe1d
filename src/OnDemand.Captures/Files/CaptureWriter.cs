using System.IO.Pipelines;
using System.Runtime.CompilerServices;

namespace OnDemand.Captures.Files;

/// <summary>Writes a capture file as a stream: the records of another one, packet by packet rewritten, converted or added to.</summary>
/// <remarks>
/// Records are appended to a batch of contiguous octets. Until the batch is flushed, the packets in it may be rewritten in place: Append
/// says where in <see cref="Batch"/> a packet's octets begin. Every record of the input is to be appended in its order, since the writer
/// learns byte order and interfaces from them.
/// </remarks>
public sealed class CaptureWriter : IAsyncDisposable
{
    /// <summary>What Append returns when no packet was added.</summary>
    public const int NoPacket = CaptureSink.NoPacket;

    private readonly PipeWriter _output;
    private readonly CaptureWriterOptions _options;
    private readonly OutputBatch _batch;
    private CaptureSink? _sink;
    private bool _completed;

    private CaptureWriter(PipeWriter output, CaptureWriterOptions options)
    {
        _output = output;
        _options = options;
        _batch = new OutputBatch(output, options.BatchLength);
    }

    /// <summary>The format that is written; null until the first record was appended.</summary>
    public CaptureFormat? Format => _sink?.Format;

    /// <summary>One sentence why the input cannot be written in the wanted format; null while all is well. Once set, nothing more is
    /// appended.</summary>
    public string? Failure { get; private set; }

    /// <summary>What was appended and not yet flushed. The octets of packets may be rewritten in place. Take the span again after each
    /// Append, which may move the batch; offsets stay valid until FlushAsync.</summary>
    public Span<byte> Batch => _batch.Written;

    /// <summary>How many octets were appended and not yet flushed.</summary>
    public int UnflushedLength => _batch.UnflushedLength;

    /// <summary>Whether the batch reached the length at which it is to be flushed.</summary>
    public bool ShouldFlush => _batch.UnflushedLength >= _options.FlushThreshold;

    /// <summary>Whether the last piece of a large block is still to be appended.</summary>
    internal bool IsInsideBlock => _sink?.IsInsideBlock ?? false;

    /// <summary>Writes a capture to a pipe, which the writer owns from now on.</summary>
    /// <param name="output">Where the file goes.</param>
    /// <param name="options">How to write; null for the input's format and the default sizes.</param>
    /// <returns>The writer; nothing was written yet.</returns>
    public static CaptureWriter Create(PipeWriter output, CaptureWriterOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(output);
        options ??= new CaptureWriterOptions();
        options.Validate();
        return new CaptureWriter(output, options);
    }

    /// <summary>Writes a capture to a file or to standard output, which the writer owns from now on.</summary>
    /// <param name="output">Where the file goes.</param>
    /// <param name="options">How to write; null for the input's format and the default sizes.</param>
    /// <returns>The writer; nothing was written yet.</returns>
    public static CaptureWriter Create(Stream output, CaptureWriterOptions? options = null)
    {
        options ??= new CaptureWriterOptions();
        return Create(PipeWriter.Create(output, new StreamPipeWriterOptions(minimumBufferSize: options.BatchLength)), options);
    }

    /// <summary>Begins a file that is not made from another one, with one interface; a pcapng interface has nanoseconds.</summary>
    /// <param name="format">The format to write.</param>
    /// <param name="linkType">The LINKTYPE_ value of interface 0.</param>
    /// <param name="bigEndian">Whether the most significant octet comes first.</param>
    /// <exception cref="InvalidOperationException">Something was appended already.</exception>
    public void Begin(CaptureFormat format, ushort linkType, bool bigEndian = false)
    {
        if (_sink is not null)
        {
            throw new InvalidOperationException("A capture file begins once.");
        }

        _sink = CreateSink(format);
        _sink.Begin(linkType, new ByteOrder(bigEndian));
    }

    /// <summary>Describes one more interface of a pcapng file.</summary>
    /// <param name="linkType">The LINKTYPE_ value.</param>
    /// <param name="resolution">The length of a timestamp tick.</param>
    /// <returns>The interface's index.</returns>
    /// <exception cref="InvalidOperationException">The file was not begun, or is a pcap file.</exception>
    public int AddInterface(ushort linkType, TimestampResolution resolution) => GetSink().AddInterface(linkType, resolution);

    /// <summary>Appends a record of the input: octet by octet when the formats agree, otherwise converted. What the output format has no
    /// place for is left out.</summary>
    /// <param name="record">The record.</param>
    /// <returns>Where the packet's octets begin in <see cref="Batch"/>, <see cref="CaptureRecord.CapturedLength"/> of them; or
    /// <see cref="NoPacket"/>.</returns>
    public int Append(in CaptureRecord record) => Append(record, newTimestamp: null, comment: default);

    /// <summary>Appends a record of the input with another time or a comment.</summary>
    /// <param name="record">The record.</param>
    /// <param name="newTimestamp">The packet's time in nanoseconds since 1970, rounded down to what the interface or format can hold;
    /// null to leave it. A Simple Packet Block has no place for it.</param>
    /// <param name="comment">A comment to add to a pcapng packet, at most 65,535 octets in UTF-8, the rest being cut off; empty for none.
    /// For its sake an obsolete Packet Block, and a Simple one that is given a time, becomes an Enhanced Packet Block; a Simple one
    /// without a time goes without. A pcap file has no place for comments.</param>
    /// <returns>Where the packet's octets begin in <see cref="Batch"/>, <see cref="CaptureRecord.CapturedLength"/> of them; or
    /// <see cref="NoPacket"/>.</returns>
    public int Append(in CaptureRecord record, long? newTimestamp, ReadOnlySpan<char> comment)
    {
        if (Failure is not null)
        {
            return NoPacket;
        }

        _sink ??= CreateSinkFor(record);
        if (_sink is null)
        {
            return NoPacket;
        }

        int at = _sink.Append(record, newTimestamp, comment);
        Failure = _sink.Failure;
        return at;
    }

    /// <summary>Records of a reader may be written from its own memory from now on, where the output can do that.</summary>
    /// <param name="reader">The reader, whose packets may be overwritten when they are appended by <see cref="TryLend(in CaptureRecord, out Span{byte})"/>.</param>
    internal void LendFrom(CaptureReader reader) => _batch.LendFrom(reader);

    /// <summary>Appends a packet of the reader without copying it, if its octets are in that reader's memory and the formats agree.</summary>
    /// <param name="record">The packet.</param>
    /// <param name="data">Its octets, to be changed until the next flush; the record shows the changes. Not a part of
    /// <see cref="Batch"/>, which begins anew behind it.</param>
    /// <returns>Whether it was appended.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal bool TryLend(in CaptureRecord record, out Span<byte> data)
    {
        data = default;
        if (Failure is not null || _sink?.Format != record.Format || record.Kind != CaptureRecordKind.Packet
            || !_batch.TryLend(record.Octets, out Span<byte> octets))
        {
            return false;
        }

        data = octets.Slice(record.DataOffset, record.CapturedLength);
        return true;
    }

    /// <summary>Appends packets that stand one behind the other in the lending reader's memory, if the formats agree.</summary>
    /// <param name="format">The format they are in.</param>
    /// <param name="start">Where the first one begins in the reader's block.</param>
    /// <param name="length">Octets of all.</param>
    /// <returns>Whether they were appended.</returns>
    internal bool TryLend(CaptureFormat format, int start, int length) =>
        Failure is null && _sink?.Format == format && _batch.TryLend(start, length);

    /// <summary>Appends a packet that the input does not have; in pcapng as an Enhanced Packet Block.</summary>
    /// <param name="interfaceIndex">The interface's index over all sections; it must be one of the section last appended.</param>
    /// <param name="timestamp">Nanoseconds since 1970, converted to the interface's resolution and offset.</param>
    /// <param name="originalLength">How many octets the packet had before it was cut.</param>
    /// <param name="data">The packet; not a part of <see cref="Batch"/>, which may move.</param>
    /// <param name="comment">A comment; empty for none. A pcap file has no place for it.</param>
    /// <returns>Where the packet's octets begin in <see cref="Batch"/>; or <see cref="NoPacket"/> with <see cref="Failure"/>.</returns>
    /// <exception cref="InvalidOperationException">No header was appended yet, or the last piece of a large block was not.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such interface in this section.</exception>
    public int AppendPacket(
        int interfaceIndex,
        long timestamp,
        uint originalLength,
        ReadOnlySpan<byte> data,
        ReadOnlySpan<char> comment = default)
    {
        if (Failure is not null)
        {
            return NoPacket;
        }

        CaptureSink sink = GetSink();
        int at = sink.AppendPacket(interfaceIndex, timestamp, originalLength, data, comment);
        Failure = sink.Failure;
        return at;
    }

    /// <summary>Sends off the batch. Offsets and spans taken before are invalid afterwards.</summary>
    /// <param name="cancellationToken">Stops the waiting.</param>
    /// <returns>Whether anyone still reads the output.</returns>
    public ValueTask<bool> FlushAsync(CancellationToken cancellationToken = default) => _batch.FlushAsync(cancellationToken);

    /// <summary>Appends what the file still lacks, sends everything off and closes the output.</summary>
    /// <param name="cancellationToken">Stops the waiting.</param>
    /// <returns>When that is done.</returns>
    public async ValueTask CompleteAsync(CancellationToken cancellationToken = default)
    {
        if (_completed)
        {
            return;
        }

        _completed = true;
        if (Failure is null)
        {
            _sink?.Complete();
        }

        await FlushAsync(cancellationToken).ConfigureAwait(false);
        await _output.CompleteAsync().ConfigureAwait(false);
    }

    /// <summary>Completes the file if that was not done.</summary>
    /// <returns>When that is done.</returns>
    public ValueTask DisposeAsync() => CompleteAsync();

    private CaptureSink GetSink() =>
        _sink ?? throw new InvalidOperationException("A capture file begins with a header: append that first, or call Begin.");

    private CaptureSink? CreateSinkFor(in CaptureRecord first)
    {
        if (first.Kind != CaptureRecordKind.Header)
        {
            throw new ArgumentException("The first record of a capture is its header.", nameof(first));
        }

        CaptureFormat format = _options.Format ?? first.Format;
        if (format == CaptureFormat.PcapModified && first.Format != format)
        {
            Failure = "The modified pcap format holds fields that no other format has; write pcap or pcapng instead.";
            return null;
        }

        return CreateSink(format);
    }

    private CaptureSink CreateSink(CaptureFormat format) =>
        format == CaptureFormat.PcapNg ? new PcapNgSink(_batch, _options.ChangesLengths) : new PcapSink(format, _batch);
}

using System.IO.Pipelines;
using OnDemand.Captures.Files;
using Xunit;

namespace OnDemand.Captures.Tests.Files;

/// <summary>Everything here completes synchronously on one thread, so that the thread's own count of allocations is exact.</summary>
public sealed class MemoryTests
{
    private const int Warm = 20_000;

    public static TheoryData<string> Files => ["pcap", "modified pcap", "pcapng"];

    [Theory]
    [MemberData(nameof(Files))]
    public async Task Hundreds_of_megabytes_pass_through_a_tiny_pipe_without_a_packet_allocating(string kind)
    {
        const long Total = 400_000_000;
        await using RepeatingStream input = new(Head(kind), Body(kind), Total);
        await using CaptureReader reader = CaptureReader.Create(PipeReader.Create(input, new StreamPipeReaderOptions(bufferSize: 4096)));
        await using CaptureWriter writer = CaptureWriter.Create(Stream.Null);
        int thread = Environment.CurrentManagedThreadId;
        long packets = 0;
        long before = 0;
        long copied = 0;
        while (await reader.ReadAsync(CancellationToken.None))
        {
            while (reader.TryRead(out CaptureRecord record))
            {
                copied += record.Octets.Length;
                int at = writer.Append(record);
                if (at != CaptureWriter.NoPacket)
                {
                    writer.Batch[at + record.CapturedLength - 1]++;
                    packets++;
                }
            }

            if (writer.ShouldFlush)
            {
                await writer.FlushAsync(CancellationToken.None);
            }

            if (before == 0 && packets > Warm)
            {
                before = GC.GetAllocatedBytesForCurrentThread();
            }
        }

        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.Equal(thread, Environment.CurrentManagedThreadId);
        Assert.Null(reader.Damage);
        Assert.Equal(input.Delivered, copied);
        Assert.InRange(copied, Total, Total + 1_000);
        Assert.True(packets > 3_000_000, $"Only {packets} packets.");

        // The array pool may give memory back to the collector and take it anew; per packet that is nothing.
        Assert.InRange(allocated, 0, 4 << 20);
    }

    [Theory]
    [MemberData(nameof(Files))]
    public async Task No_packet_allocates_once_the_path_is_warm(string kind)
    {
        // A collection gives up what is left of this thread's buffer and counts that as allocated; where another test has caused one, the
        // measurement is made again.
        long? allocated = null;
        for (int attempt = 0; attempt < 20 && allocated is null; attempt++)
        {
            allocated = await MeasureAsync(kind);
        }

        Assert.Equal(0, allocated);
    }

    private static async Task<long?> MeasureAsync(string kind)
    {
        byte[] body = Body(kind);
        byte[] file = [.. Head(kind), .. Enumerable.Repeat(body, 60_000).SelectMany(static octets => octets)];
        await using CaptureReader reader = CaptureReader.Create(
            PipeReader.Create(new ChunkedStream(file), new StreamPipeReaderOptions(bufferSize: 1 << 16)));
        await using CaptureWriter writer = CaptureWriter.Create(Stream.Null);
        await using CaptureWriter changing = CaptureWriter.Create(Stream.Null);
        await using CaptureWriter converting = CaptureWriter.Create(
            Stream.Null,
            new CaptureWriterOptions { Format = kind == "pcapng" ? CaptureFormat.PcapNanoseconds : CaptureFormat.PcapNg });
        byte[] injected = new byte[60];
        int thread = Environment.CurrentManagedThreadId;
        long packets = 0;
        long before = -1;
        int collections = -1;
        while (await reader.ReadAsync(CancellationToken.None))
        {
            while (reader.TryRead(out CaptureRecord record))
            {
                writer.Append(record);
                converting.Append(record);
                changing.Append(record, record.Timestamp + 1, "rewritten: source address");
                packets += record.Kind == CaptureRecordKind.Packet ? 1 : 0;
                if (packets > 0)
                {
                    changing.AppendPacket(0, record.Timestamp, 60, injected, "added");
                }
            }

            await writer.FlushAsync(CancellationToken.None);
            await changing.FlushAsync(CancellationToken.None);
            await converting.FlushAsync(CancellationToken.None);
            if (before < 0 && packets > Warm)
            {
                collections = GC.CollectionCount(0);
                before = GC.GetAllocatedBytesForCurrentThread();
                packets = 0;
            }
        }

        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.Equal(thread, Environment.CurrentManagedThreadId);
        Assert.True(packets > Warm, $"Only {packets} packets were measured.");
        return GC.CollectionCount(0) == collections ? allocated : null;
    }

    private static byte[] Head(string kind) => kind switch
    {
        "pcap" => new CaptureBytes(false).PcapHeader().ToArray(),
        "modified pcap" => new CaptureBytes(false).PcapHeader(CaptureBytes.Modified).ToArray(),
        _ => new CaptureBytes(false).Section().Interface().ToArray(),
    };

    private static byte[] Body(string kind) => kind switch
    {
        "pcap" => new CaptureBytes(false).PcapRecord(1, 2, new byte[90]).ToArray(),
        "modified pcap" => new CaptureBytes(false).ModifiedRecord(1, 2, new byte[90]).ToArray(),
        _ => new CaptureBytes(false).Enhanced(0, 1, new byte[60]).Block(5, new byte[20]).ToArray(),
    };

    /// <summary>A head once and a body over and over, ending with a whole body.</summary>
    private sealed class RepeatingStream(byte[] head, byte[] body, long atLeast) : SequentialStream
    {
        private byte[] _current = head;
        private int _position;

        public long Delivered { get; private set; }

        public override int Read(Span<byte> buffer)
        {
            int filled = 0;
            while (filled < buffer.Length)
            {
                if (_position == _current.Length)
                {
                    if (Delivered >= atLeast)
                    {
                        break;
                    }

                    _current = body;
                    _position = 0;
                }

                int length = Math.Min(_current.Length - _position, buffer.Length - filled);
                _current.AsSpan(_position, length).CopyTo(buffer[filled..]);
                _position += length;
                filled += length;
                Delivered += length;
            }

            return filled;
        }
    }
}

using System.Buffers.Binary;
using OnDemand.Captures.Files;
using Xunit;

namespace OnDemand.Captures.Tests.Files;

/// <summary>A capture file that two threads read in turns.</summary>
public sealed class ReadAheadFileTests
{
    // Blocks of 4096 octets: most records fit before the next part, some do not, some are longer than a block.
    private static readonly CaptureReaderOptions Small = new() { BufferLength = CaptureReaderOptions.ShortestBuffer };

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Records_of_any_length_come_out_in_their_order_whoever_reads(bool ahead)
    {
        byte[] octets = Capture(records: 2_000);
        (byte[] read, CaptureDamage? damage) = await ReadAsync(octets, ahead);

        Assert.Equal(octets, read);
        Assert.Null(damage);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_file_that_is_cut_anywhere_is_damaged_where_a_pipe_is(bool ahead)
    {
        byte[] octets = Capture(records: 20);
        for (int length = 0; length < octets.Length; length += 1 + (length / 7))
        {
            byte[] cut = octets[..length];
            (byte[] read, CaptureDamage? damage) = await ReadAsync(cut, ahead);
            CaptureRun pipe = await CaptureRun.ReadAsync(cut, Small, null, 100);

            Assert.Equal(pipe.Copy.Length, read.Length);
            Assert.Equal(pipe.Damage, damage);
        }
    }

    [Fact]
    public async Task No_more_than_a_few_parts_are_read_ahead()
    {
        string path = Path.GetTempFileName();
        await File.WriteAllBytesAsync(path, Capture(records: 100), TestContext.Current.CancellationToken);
        await using (CaptureReader reader = CaptureReader.Create(File.OpenRead(path), Small))
        {
            Assert.True(reader.TryReadAhead());
            Assert.True(reader.TryReadAhead());
            Assert.False(reader.TryReadAhead());
            Assert.True(await reader.ReadAsync(TestContext.Current.CancellationToken));
            Assert.True(reader.TryReadAhead());
            Assert.False(reader.TryReadAhead());
        }

        File.Delete(path);
    }

    private static async Task<(byte[] Octets, CaptureDamage? Damage)> ReadAsync(byte[] file, bool ahead)
    {
        string path = Path.GetTempFileName();
        await File.WriteAllBytesAsync(path, file);
        using var octets = new MemoryStream();
        CaptureDamage? damage;
        await using (CaptureReader reader = CaptureReader.Create(File.OpenRead(path), Small))
        {
            bool done = false;
            Task helper = Task.Run(() =>
            {
                while (ahead && !Volatile.Read(ref done))
                {
                    if (!reader.TryReadAhead())
                    {
                        Thread.Yield();
                    }
                }
            });
            while (await reader.ReadAsync())
            {
                while (reader.TryRead(out CaptureRecord record))
                {
                    octets.Write(record.Octets);
                }
            }

            damage = reader.Damage;
            Volatile.Write(ref done, true);
            await helper;
        }

        File.Delete(path);
        return (octets.ToArray(), damage);
    }

    private static byte[] Capture(int records)
    {
        var random = new Random(1);
        using var file = new MemoryStream();
        byte[] header = new byte[Pcap.FileHeaderLength];
        BinaryPrimitives.WriteUInt32LittleEndian(header, Pcap.GetMagic(CaptureFormat.PcapNanoseconds));
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(4), Pcap.MajorVersion);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(20), 1);
        file.Write(header);
        for (int i = 0; i < records; i++)
        {
            byte[] record = new byte[16 + random.Next(i % 10 == 0 ? 12_000 : 700)];
            random.NextBytes(record);
            BinaryPrimitives.WriteInt32LittleEndian(record.AsSpan(8), record.Length - 16);
            file.Write(record);
        }

        return file.ToArray();
    }
}

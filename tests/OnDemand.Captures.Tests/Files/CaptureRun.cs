using System.IO.Pipelines;
using OnDemand.Captures.Files;

namespace OnDemand.Captures.Tests.Files;

/// <summary>What a record was, kept beyond the reader's buffer.</summary>
internal sealed record Seen(
    CaptureRecordKind Kind,
    long Offset,
    string Octets,
    int DataOffset,
    int Captured,
    uint Original,
    int Interface,
    int LinkType,
    long? Timestamp,
    long Remaining);

/// <summary>Reads a whole capture, and copies it.</summary>
internal sealed class CaptureRun
{
    public List<Seen> Records { get; } = [];

    public List<CaptureInterface> Interfaces { get; } = [];

    public CaptureDamage? Damage { get; private set; }

    public byte[] Copy { get; private set; } = [];

    public string? Failure { get; private set; }

    public long End { get; private set; }

    public List<Seen> Packets => Records.FindAll(static record => record.Kind == CaptureRecordKind.Packet);

    public static Task<CaptureRun> ReadAsync(byte[] file, params int[] chunks) => ReadAsync(file, null, null, chunks);

    public static async Task<CaptureRun> ReadAsync(
        byte[] file,
        CaptureReaderOptions? reading,
        CaptureWriterOptions? writing,
        params int[] chunks)
    {
        CaptureRun run = new();
        using MemoryStream copy = new();
        await using CaptureReader reader = CaptureReader.Create(
            PipeReader.Create(new ChunkedStream(file, chunks), new StreamPipeReaderOptions(bufferSize: 64, minimumReadSize: 1)),
            reading);
        await using CaptureWriter writer = CaptureWriter.Create(copy, writing);
        while (await reader.ReadAsync())
        {
            while (reader.TryRead(out CaptureRecord record))
            {
                writer.Append(record);
                run.Add(record);
            }

            await writer.FlushAsync();
        }

        run.Damage = reader.Damage;
        run.End = reader.Position;
        run.Interfaces.AddRange(reader.Interfaces);
        await writer.CompleteAsync();
        run.Copy = copy.ToArray();
        run.Failure = writer.Failure;
        return run;
    }

    private void Add(in CaptureRecord record)
    {
        // Touching every octet here makes a record that reaches outside the buffer fail.
        Records.Add(new Seen(
            record.Kind,
            record.FileOffset,
            Convert.ToHexString(record.Octets),
            record.DataOffset,
            record.Data.Length,
            record.OriginalLength,
            record.InterfaceIndex,
            record.LinkType,
            record.HasTimestamp ? record.Timestamp : null,
            record.Remaining));
    }
}

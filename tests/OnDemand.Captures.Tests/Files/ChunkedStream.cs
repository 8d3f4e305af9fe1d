namespace OnDemand.Captures.Tests.Files;

/// <summary>A stream that hands out its octets in pieces of given lengths, over and over, and completes synchronously.</summary>
internal sealed class ChunkedStream(byte[] octets, params int[] chunks) : Stream
{
    private int _position;
    private int _reads;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        int wanted = chunks.Length == 0 ? buffer.Length : Math.Max(1, chunks[_reads++ % chunks.Length]);
        int length = Math.Min(Math.Min(wanted, buffer.Length), octets.Length - _position);
        octets.AsSpan(_position, length).CopyTo(buffer);
        _position += length;
        return length;
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult(Read(buffer.Span));

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}

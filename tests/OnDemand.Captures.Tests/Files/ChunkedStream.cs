namespace OnDemand.Captures.Tests.Files;

/// <summary>A stream that hands out its octets in pieces of given lengths, over and over, and completes synchronously.</summary>
internal sealed class ChunkedStream(byte[] octets, params int[] chunks) : SequentialStream
{
    private int _position;
    private int _reads;

    public override int Read(Span<byte> buffer)
    {
        int wanted = chunks.Length == 0 ? buffer.Length : Math.Max(1, chunks[_reads++ % chunks.Length]);
        int length = Math.Min(Math.Min(wanted, buffer.Length), octets.Length - _position);
        octets.AsSpan(_position, length).CopyTo(buffer);
        _position += length;
        return length;
    }
}

using Microsoft.Win32.SafeHandles;

namespace OnDemand.Captures.Files;

/// <summary>
/// A file that is read block by block, by whoever has time: a thread that has nothing else to do reads a few blocks ahead, and where none
/// is there, whoever needs the next one reads it.
/// </summary>
internal sealed class ReadAheadFile : IAsyncDisposable
{
    private const int MostAhead = 2;

    private readonly FileStream _stream;
    private readonly SafeFileHandle _file;
    private readonly BlockPool _pool;
    private readonly int _blockLength;
    private readonly Lock _reading = new();         // parts are read one after the other
    private readonly Queue<Part> _ahead = new();    // guards itself
    private long _position;                         // of the next part; for whoever holds _reading
    private Exception? _problem;                    // came up while nobody waited; comes out when it is its turn
    private bool _ended;

    /// <summary>Begins at the stream's position.</summary>
    /// <param name="stream">The file, owned from now on.</param>
    /// <param name="pool">Where blocks come from.</param>
    /// <param name="blockLength">The length of one.</param>
    public ReadAheadFile(FileStream stream, BlockPool pool, int blockLength)
    {
        _stream = stream;
        _file = stream.SafeFileHandle;
        _position = stream.Position;
        _pool = pool;
        _blockLength = blockLength;
        Headroom = blockLength / 8;
    }

    /// <summary>Octets that are left free before each part, for the end of the part before it.</summary>
    public int Headroom { get; }

    /// <summary>Reads a part ahead, if there is still one to read and not enough is there already.</summary>
    /// <returns>Whether it did.</returns>
    public bool TryReadAhead()
    {
        lock (_reading)
        {
            lock (_ahead)
            {
                if (_ended || _problem is not null || _ahead.Count >= MostAhead)
                {
                    return false;
                }
            }

            try
            {
                Part part = Read();
                lock (_ahead)
                {
                    _ahead.Enqueue(part);
                }
            }
            catch (Exception thrown) when (thrown is IOException or UnauthorizedAccessException or ObjectDisposedException)
            {
                _problem = thrown;
            }

            return true;
        }
    }

    /// <summary>Takes the next part of the file.</summary>
    /// <returns>The part, whose block the caller holds; of length 0 at the end of the file.</returns>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public Part Take()
    {
        lock (_ahead)
        {
            if (_ahead.TryDequeue(out Part ready))
            {
                return ready;
            }
        }

        lock (_reading)
        {
            lock (_ahead)
            {
                if (_ahead.TryDequeue(out Part ready))
                {
                    return ready;   // it was just being read
                }
            }

            return _problem is null ? Read() : throw new IOException(_problem.Message, _problem);
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _stream.DisposeAsync();

    private Part Read()
    {
        Block block = _pool.Rent(_blockLength);
        int length = RandomAccess.Read(_file, block.Octets.AsSpan(Headroom, _blockLength - Headroom), _position);
        _position += length;
        _ended = length == 0;
        return new Part(block, Headroom, length);
    }

    /// <summary>A part of the file.</summary>
    /// <param name="Block">What it is in.</param>
    /// <param name="Start">Where it begins there.</param>
    /// <param name="Length">Its octets.</param>
    internal readonly record struct Part(Block Block, int Start, int Length);
}

using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace OnDemand.Captures.Files;

/// <summary>
/// A pipe whose other end is a stream that a thread of its own writes, so that the system's copying overlaps with the work on what comes
/// next. Besides its own memory it takes parts of blocks that others read into, which are written from where they are. What is under way
/// is bounded: <see cref="FlushAsync"/> waits for its turn.
/// </summary>
internal sealed class WriteBehind : PipeWriter
{
    private const int MostUnderWay = 6;             // flushes
    private const int FewUnderWay = 3;              // once there are more than most, the next one waits for this, so that it waits seldom
    private const int LeastAlone = 16 << 10;        // shorter parts are gathered, so that a write is worth its call

    private readonly Stream _output;
    private readonly Func<bool>? _meanwhile;
    private readonly BlockPool _pool;
    private readonly Queue<Part[]> _queue = new();  // guards the fields that both threads use, and wakes them
    private readonly List<Part> _parts = [];        // since the last flush
    private readonly byte[] _gathered = new byte[4 * LeastAlone];
    private Block? _own;
    private int _used;                              // of its own memory
    private int _gatheredLength;
    private bool _completed;
    private bool _ended;
    private bool _isGivenUp;

    /// <summary>Begins to write a stream.</summary>
    /// <param name="output">The stream, which the pipe owns from now on.</param>
    /// <param name="blockLength">Octets of its own memory to take at a time.</param>
    /// <param name="meanwhile">Something short that the thread does while there is nothing to write, until it says false; null for
    /// nothing. It throws nothing.</param>
    public WriteBehind(Stream output, int blockLength, Func<bool>? meanwhile = null)
    {
        _output = output;
        _meanwhile = meanwhile;
        _pool = new BlockPool(blockLength);
        Written = Task.Factory.StartNew(WriteAll, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <summary>Ends when everything is in the stream and it is closed, or with its <see cref="IOException"/>.</summary>
    public Task Written { get; }

    /// <inheritdoc/>
    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        int needed = Math.Max(sizeHint, 1);
        if (_own is null || _own.Octets.Length - _used < needed)
        {
            _own?.Release();
            _own = _pool.Rent(needed);
            _used = 0;
        }

        return _own.Octets.AsMemory(_used);
    }

    /// <inheritdoc/>
    public override Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    /// <inheritdoc/>
    public override void Advance(int bytes)
    {
        if (bytes > 0)
        {
            Lend(_own!, _used, bytes);
            _used += bytes;
        }
    }

    /// <summary>Appends a part of a block, which is written from where it is. The caller may change it until the next flush, and nobody
    /// afterwards.</summary>
    /// <param name="block">The block.</param>
    /// <param name="start">Where the part begins.</param>
    /// <param name="length">Its octets.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Lend(Block block, int start, int length)
    {
        if (_parts.Count > 0)
        {
            ref Part last = ref CollectionsMarshal.AsSpan(_parts)[^1];
            if (last.Block == block && last.Start + last.Length == start)
            {
                last = last with { Length = last.Length + length };
                return;
            }
        }

        block.Hold();
        _parts.Add(new Part(block, start, length));
    }

    /// <inheritdoc/>
    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        lock (_queue)
        {
            ThrowIfGivenUp(cancellationToken);
            if (_parts.Count > 0 && !_ended)
            {
                _queue.Enqueue([.. _parts]);
                _parts.Clear();
                Monitor.PulseAll(_queue);
                if (_queue.Count > MostUnderWay && !_isGivenUp)
                {
                    WaitForFew(cancellationToken);
                }
            }

            return ValueTask.FromResult(new FlushResult(isCanceled: false, isCompleted: _ended));
        }
    }

    /// <inheritdoc/>
    public override void CancelPendingFlush()
    {
        // A flush waits for the stream alone, which cannot be called off.
    }

    /// <inheritdoc/>
    public override void Complete(Exception? exception = null)
    {
        lock (_queue)
        {
            _completed = true;
            Monitor.PulseAll(_queue);
        }
    }

    // Whoever reads the output may never go on; who gives up is not to wait for him.
    private void WaitForFew(CancellationToken cancellationToken)
    {
        CancellationTokenRegistration givesUp = cancellationToken.UnsafeRegister(
            static queue =>
            {
                lock (queue!)
                {
                    Monitor.PulseAll(queue);
                }
            },
            _queue);
        try
        {
            while (_queue.Count > FewUnderWay && !_ended)
            {
                ThrowIfGivenUp(cancellationToken);
                Monitor.Wait(_queue);
            }
        }
        finally
        {
            _ = givesUp.Unregister();   // not disposed of: that would wait for who waits for the lock
        }
    }

    // What is still handed over after that, which is little, is not waited for either.
    private void ThrowIfGivenUp(CancellationToken cancellationToken)
    {
        _isGivenUp |= cancellationToken.IsCancellationRequested;
        cancellationToken.ThrowIfCancellationRequested();
    }

    private void WriteAll()
    {
        try
        {
            using (_output)
            {
                while (Next() is { } parts)
                {
                    foreach (Part part in parts)
                    {
                        Write(part.Block.Octets.AsSpan(part.Start, part.Length));
                        part.Block.Release();
                    }

                    WriteGathered();
                    Done();
                }

                _output.Flush();
            }
        }
        finally
        {
            lock (_queue)
            {
                _ended = true;   // whoever flushes learns that nobody takes anything any more
                _queue.Clear();
                Monitor.PulseAll(_queue);
            }
        }
    }

    private void Write(ReadOnlySpan<byte> octets)
    {
        if (octets.Length < LeastAlone)
        {
            if (_gathered.Length - _gatheredLength < octets.Length)
            {
                WriteGathered();
            }

            octets.CopyTo(_gathered.AsSpan(_gatheredLength));
            _gatheredLength += octets.Length;
            return;
        }

        WriteGathered();
        _output.Write(octets);
    }

    private void WriteGathered()
    {
        if (_gatheredLength > 0)
        {
            _output.Write(_gathered.AsSpan(0, _gatheredLength));
            _gatheredLength = 0;
        }
    }

    // What comes next stays in the queue while it is written, so that the queue's length is what is under way.
    private Part[]? Next()
    {
        bool idle = false;
        while (true)
        {
            lock (_queue)
            {
                if (_queue.Count > 0 || _completed)
                {
                    return _queue.TryPeek(out Part[]? parts) ? parts : null;
                }

                if (idle)
                {
                    Monitor.Wait(_queue);
                }
            }

            idle = _meanwhile is null || !_meanwhile();
        }
    }

    private void Done()
    {
        lock (_queue)
        {
            _queue.Dequeue();
            if (_queue.Count == FewUnderWay)
            {
                Monitor.PulseAll(_queue);
            }
        }
    }

    private readonly record struct Part(Block Block, int Start, int Length);
}

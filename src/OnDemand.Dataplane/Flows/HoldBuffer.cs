namespace OnDemand.Dataplane.Flows;

/// <summary>A frame that waits.</summary>
internal struct HeldFrame
{
    public int FirstBlock;
    public int Length;
    public int NetworkOffset;
    public bool Outbound;
    public bool Partial;
    public long Tag;
    public Timestamp Since;
    public int Next;             // in its queue, or the next free number
}

/// <summary>A queue of held frames, by number.</summary>
internal struct HeldQueue
{
    public static readonly HeldQueue Empty = new() { First = -1, Last = -1 };

    public int First;
    public int Last;

    public readonly bool IsEmpty => First < 0;
}

/// <summary>
/// Copies of frames that wait for the network's answer or for a datagram's first fragment, bounded in number and in octets. Octets lie
/// in chained blocks, so that frames of any length leave no gaps behind.
/// </summary>
internal sealed class HoldBuffer
{
    private const int BlockLength = 2048;

    private readonly byte[] _octets;
    private readonly int[] _nextBlock;
    private readonly HeldFrame[] _frames;
    private int _freeBlock;
    private int _freeBlocks;
    private int _freeFrame;

    public HoldBuffer(int frames, int octets)
    {
        int blocks = octets / BlockLength;
        _octets = new byte[blocks * BlockLength];
        _nextBlock = new int[blocks];
        _frames = new HeldFrame[frames];
        for (int i = 0; i < blocks; i++)
        {
            _nextBlock[i] = i + 1 < blocks ? i + 1 : -1;
        }

        for (int i = 0; i < frames; i++)
        {
            _frames[i].Next = i + 1 < frames ? i + 1 : -1;
        }

        _freeBlocks = blocks;
    }

    /// <summary>Frames that wait.</summary>
    public int Count { get; private set; }

    public ref HeldFrame this[int id] => ref _frames[id];

    /// <summary>Copies a frame to the end of a queue.</summary>
    /// <returns>False if there is no room.</returns>
    public bool TryAdd(ref HeldQueue queue, ReadOnlySpan<byte> frame, in FrameInfo info, bool outbound, Timestamp now)
    {
        int blocks = Math.Max(1, (frame.Length + BlockLength - 1) / BlockLength);
        if (_freeFrame < 0 || blocks > _freeBlocks)
        {
            return false;
        }

        int id = _freeFrame;
        ref HeldFrame held = ref _frames[id];
        _freeFrame = held.Next;
        held = new HeldFrame
        {
            FirstBlock = _freeBlock,
            Length = frame.Length,
            NetworkOffset = info.NetworkOffset,
            Outbound = outbound,
            Partial = info.PartialChecksum,
            Tag = info.Tag,
            Since = now,
            Next = -1,
        };
        int last = -1;
        for (int done = 0; done < frame.Length || last < 0; done += BlockLength)
        {
            last = _freeBlock;
            _freeBlock = _nextBlock[last];
            frame.Slice(done, Math.Min(BlockLength, frame.Length - done)).CopyTo(_octets.AsSpan(last * BlockLength));
        }

        _nextBlock[last] = -1;
        _freeBlocks -= blocks;
        Count++;
        Append(ref queue, id);
        return true;
    }

    /// <summary>Copies the first frame of a queue out and frees it.</summary>
    public HeldFrame Take(ref HeldQueue queue, Span<byte> destination)
    {
        HeldFrame held = _frames[queue.First];
        int block = held.FirstBlock;
        for (int done = 0; block >= 0; done += BlockLength)
        {
            _octets.AsSpan(block * BlockLength, Math.Min(BlockLength, held.Length - done)).CopyTo(destination[done..]);
            block = _nextBlock[block];
        }

        FreeFirst(ref queue);
        return held;
    }

    /// <summary>Forgets every frame of a queue.</summary>
    /// <returns>How many there were.</returns>
    public int Discard(ref HeldQueue queue)
    {
        int count = 0;
        for (; !queue.IsEmpty; count++)
        {
            FreeFirst(ref queue);
        }

        return count;
    }

    /// <summary>Moves a whole queue to the end of another.</summary>
    public void Move(ref HeldQueue from, ref HeldQueue to)
    {
        if (from.IsEmpty)
        {
            return;
        }

        if (to.IsEmpty)
        {
            to.First = from.First;
        }
        else
        {
            _frames[to.Last].Next = from.First;
        }

        to.Last = from.Last;
        from = HeldQueue.Empty;
    }

    private void FreeFirst(ref HeldQueue queue)
    {
        int id = queue.First;
        int next = _frames[id].Next;
        queue.First = next;
        queue.Last = next < 0 ? -1 : queue.Last;
        for (int block = _frames[id].FirstBlock; block >= 0;)
        {
            int following = _nextBlock[block];
            _nextBlock[block] = _freeBlock;
            _freeBlock = block;
            _freeBlocks++;
            block = following;
        }

        _frames[id].Next = _freeFrame;
        _freeFrame = id;
        Count--;
    }

    private void Append(ref HeldQueue queue, int id)
    {
        if (queue.IsEmpty)
        {
            queue.First = id;
        }
        else
        {
            _frames[queue.Last].Next = id;
        }

        queue.Last = id;
    }
}

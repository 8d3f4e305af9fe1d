using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Tap;

/// <summary>
/// Reads or writes many frames of one file with one system call: io_uring(7). Every request is done, or has failed, when
/// <see cref="Submit"/> is back, because the file does not block. Only for one thread: that which made it.
/// </summary>
internal sealed unsafe class FrameRing : IDisposable
{
    // linux/io_uring.h
    private const byte WriteParts = 2;               // IORING_OP_WRITEV
    private const byte Read = 22;                    // IORING_OP_READ
    private const byte WriteWhole = 23;              // IORING_OP_WRITE
    private const uint CooperativeWork = 1 << 8;     // IORING_SETUP_COOP_TASKRUN, 5.19
    private const uint SingleIssuer = 1 << 12;       // IORING_SETUP_SINGLE_ISSUER, 6.0
    private const uint DeferredWork = 1 << 13;       // IORING_SETUP_DEFER_TASKRUN, 6.1
    private const uint SingleMapping = 1;            // IORING_FEAT_SINGLE_MMAP, 5.4
    private const uint GetEvents = 1;                // IORING_ENTER_GETEVENTS
    private const uint DoNotWait = 8;                // RWF_NOWAIT of linux/fs.h
    private const long RequestsOffset = 0x1000_0000; // IORING_OFF_SQES

    private readonly FileDescriptor _ring;
    private readonly int _file;
    private readonly nuint _length;
    private readonly nuint _requestsLength;
    private readonly nint _mapping;
    private readonly RingRequest* _requests;
    private readonly uint* _submitted;               // the tail of the submission ring: ours to write
    private readonly uint* _taken;                   // the head of the completion ring: ours to write
    private readonly uint* _completed;               // its tail
    private readonly RingResult* _results;
    private readonly uint _mask;
    private readonly uint _resultMask;
    private uint _queued;

    private FrameRing(FileDescriptor ring, int file, in RingParameters made, nint mapping, nuint length, nint requests, nuint requestsLength)
    {
        _ring = ring;
        _mapping = mapping;
        _length = length;
        _requests = (RingRequest*)requests;
        _requestsLength = requestsLength;
        byte* octets = (byte*)mapping;
        _submitted = (uint*)(octets + made.Submission.Tail);
        _taken = (uint*)(octets + made.Completion.Head);
        _completed = (uint*)(octets + made.Completion.Tail);
        _results = (RingResult*)(octets + made.Completion.Completions);
        _mask = *(uint*)(octets + made.Submission.Mask);
        _resultMask = *(uint*)(octets + made.Completion.Mask);
        uint* order = (uint*)(octets + made.Submission.Array);
        for (uint i = 0; i < made.Submissions; i++)
        {
            order[i] = i;
        }

        // Not registered: a ring that ends lets go of its files some time later, and the TAP would outlive the process that made it.
        _file = file;
    }

    /// <summary>Whether a submission has failed as a whole; the ring is then of no more use.</summary>
    public bool IsBroken { get; private set; }

    /// <summary>Makes a ring for the calling thread.</summary>
    /// <param name="file">The file, which does not block.</param>
    /// <param name="entries">Requests at once, a power of two.</param>
    /// <param name="error">Why there is none: ENOSYS where the kernel has no io_uring, EPERM where it may not be used.</param>
    /// <returns>The ring; null where there is none.</returns>
    public static FrameRing? TryOpen(int file, uint entries, out int error)
    {
        error = Errno.Einval;
        foreach (uint flags in (ReadOnlySpan<uint>)[SingleIssuer | DeferredWork, CooperativeWork, 0])
        {
            RingParameters made = new() { Flags = flags };
            nint number = Libc.SetUpRing(entries, &made);
            if (number >= 0)
            {
                return TryMap(FileDescriptor.Own((int)number), file, made, out error);
            }

            error = Libc.LastError;
            if (error != Errno.Einval)               // else a flag that this kernel does not know
            {
                return null;
            }
        }

        return null;
    }

    /// <summary>Queues a read.</summary>
    /// <param name="start">Where to read to; stays where it is until it is done.</param>
    /// <param name="length">Room.</param>
    public void QueueRead(nint start, int length) => Queue(Read, start, (uint)length, DoNotWait);

    /// <summary>Queues a write of a frame that lies in parts.</summary>
    /// <param name="parts">The parts; they and their table stay where they are until it is done.</param>
    /// <param name="count">How many.</param>
    public void QueueWrite(IoPart* parts, int count)
    {
        if (count == 1)
        {
            Queue(WriteWhole, parts->Start, (uint)parts->Length, 0);
        }
        else
        {
            Queue(WriteParts, (nint)parts, (uint)count, 0);
        }
    }

    /// <summary>Has everything done that was queued, in order.</summary>
    /// <param name="results">For each request in order: octets, or the negative errno. As many as were queued.</param>
    public void Submit(Span<int> results)
    {
        uint all = _queued;
        uint toBegin = all;
        uint left = all;
        _queued = 0;
        results.Fill(-Errno.Eio);
        Volatile.Write(ref *_submitted, *_submitted + all);
        while (left > 0)
        {
            nint begun = Libc.EnterRing(_ring.Number, toBegin, left, GetEvents);
            if (begun < 0 && Libc.LastError != Errno.Eintr)
            {
                IsBroken = true;
                return;
            }

            toBegin -= (uint)Math.Max(0, begun);
            left -= Collect(results);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _ = Libc.Unmap((nint)_requests, _requestsLength);
        _ = Libc.Unmap(_mapping, _length);
        _ring.Dispose();
    }

    private static FrameRing? TryMap(FileDescriptor ring, int file, in RingParameters made, out int error)
    {
        nuint length = Math.Max(
            made.Submission.Array + (made.Submissions * sizeof(uint)),
            made.Completion.Completions + (made.Completions * (uint)sizeof(RingResult)));
        nuint requestsLength = made.Submissions * (uint)sizeof(RingRequest);
        error = Errno.Enosys;
        if ((made.Features & SingleMapping) != 0)
        {
            nint mapping = Libc.Map(0, length, Libc.ProtectReadWrite, Libc.MapSharedNow, ring.Number, 0);
            nint requests = mapping == -1 ? -1 : Libc.Map(0, requestsLength, Libc.ProtectReadWrite, Libc.MapSharedNow, ring.Number, RequestsOffset);
            if (requests != -1)
            {
                return new FrameRing(ring, file, made, mapping, length, requests, requestsLength);
            }

            error = Libc.LastError;
            if (mapping != -1)
            {
                _ = Libc.Unmap(mapping, length);
            }
        }

        ring.Dispose();
        return null;
    }

    private void Queue(byte operation, nint address, uint length, uint flags)
    {
        _requests[(*_submitted + _queued) & _mask] = new RingRequest
        {
            Operation = operation,
            Descriptor = _file,
            Address = address,
            Length = length,
            OperationFlags = flags,
            Name = _queued,
        };
        _queued++;
    }

    private uint Collect(Span<int> results)
    {
        uint first = *_taken;
        uint end = Volatile.Read(ref *_completed);
        for (uint at = first; at != end; at++)
        {
            ref readonly RingResult done = ref _results[at & _resultMask];
            results[(int)done.Name] = done.Result;
        }

        Volatile.Write(ref *_taken, end);
        return end - first;
    }
}

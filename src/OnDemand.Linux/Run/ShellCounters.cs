namespace OnDemand.Linux.Run;

/// <summary>
/// What the shell around the engine counts: frames that never reached the engine, and verdicts that could not be carried out. Written by
/// the thread of the queue; read in a control command, which may take a copy elsewhere.
/// </summary>
internal sealed class ShellCounters
{
    /// <summary>Frames read from the TAP.</summary>
    public long FramesRead { get; internal set; }

    /// <summary>Their octets, Ethernet headers included.</summary>
    public long OctetsRead { get; internal set; }

    /// <summary>Frames written to the TAP; one that was written in a superpacket made here is one too.</summary>
    public long FramesWritten { get; internal set; }

    /// <summary>Their octets, Ethernet headers included.</summary>
    public long OctetsWritten { get; internal set; }

    /// <summary>Superpackets among the frames read.</summary>
    public long Superpackets { get; internal set; }

    /// <summary>Superpackets put together for writing.</summary>
    public long SuperpacketsMade { get; internal set; }

    /// <summary>Frames that were written in them.</summary>
    public long FramesJoined { get; internal set; }

    /// <summary>Superpackets that the kernel did not take: their frames went one by one, and so does what follows.</summary>
    public long SuperpacketsRefused { get; internal set; }

    /// <summary>Batches handed to the engine.</summary>
    public long Batches { get; internal set; }

    /// <summary>Batches read with one system call, over io_uring(7).</summary>
    public long RingBatches { get; internal set; }

    /// <summary>Frames shorter than an Ethernet header.</summary>
    public long ShortFrames { get; internal set; }

    /// <summary>Frames that filled the buffer, so that their end is missing.</summary>
    public long TruncatedFrames { get; internal set; }

    /// <summary>Frames that carry no IPv6, which nobody at the other end of the TAP could take.</summary>
    public long NotIpv6 { get; internal set; }

    /// <summary>Neighbor solicitations answered.</summary>
    public long NeighborAnswers { get; internal set; }

    /// <summary>Link-local and multicast frames: the link behind the TAP has no other node.</summary>
    public long LinkScope { get; internal set; }

    /// <summary>Frames that the kernel would have routed straight into the TAP again.</summary>
    public long Loops { get; internal set; }

    /// <summary>Reads that failed.</summary>
    public long ReadErrors { get; internal set; }

    /// <summary>Writes refused because the kernel's queue is full (EAGAIN, ENOBUFS, ENOMEM).</summary>
    public long WritesWithoutRoom { get; internal set; }

    /// <summary>Writes refused because the TAP is down (EIO) or gone.</summary>
    public long WritesWhileDown { get; internal set; }

    /// <summary>Writes refused for any other reason: the kernel did not like the frame.</summary>
    public long WritesRefused { get; internal set; }

    /// <summary>Control commands carried out.</summary>
    public long Commands { get; internal set; }

    /// <summary>Frames that are nobody's loss: no other node stands at the far end of the TAP for which they could be meant.</summary>
    public IReadOnlyList<(string Reason, long Frames)> Ignored => [("not-ipv6", NotIpv6), ("link-scope", LinkScope)];

    /// <summary>Frames that were lost between the kernel and the engine.</summary>
    public IReadOnlyList<(string Reason, long Frames)> Lost =>
    [
        ("short", ShortFrames), ("truncated", TruncatedFrames), ("loop", Loops), ("no-room", WritesWithoutRoom),
        ("tap-down", WritesWhileDown), ("refused-by-kernel", WritesRefused),
    ];

    /// <summary>Frames by queue of the TAP.</summary>
    public IReadOnlyList<(long Read, long Written)> Queues
    {
        get => field ?? [(FramesRead, FramesWritten)];
        private init;
    }

    /// <summary>What is counted now, for other threads.</summary>
    /// <returns>The copy, which nobody changes any more.</returns>
    public ShellCounters Copy() => (ShellCounters)MemberwiseClone();

    /// <summary>What several queues have counted together.</summary>
    /// <param name="queues">Each queue's counters, which their threads may be counting in.</param>
    /// <returns>The sums, which nobody changes any more.</returns>
    public static ShellCounters Sum(IReadOnlyCollection<ShellCounters> queues)
    {
        var all = new ShellCounters { Queues = [.. queues.Select(queue => (queue.FramesRead, queue.FramesWritten))] };
        foreach (ShellCounters queue in queues)
        {
            all.FramesRead += queue.FramesRead;
            all.OctetsRead += queue.OctetsRead;
            all.FramesWritten += queue.FramesWritten;
            all.OctetsWritten += queue.OctetsWritten;
            all.Superpackets += queue.Superpackets;
            all.SuperpacketsMade += queue.SuperpacketsMade;
            all.FramesJoined += queue.FramesJoined;
            all.SuperpacketsRefused += queue.SuperpacketsRefused;
            all.Batches += queue.Batches;
            all.RingBatches += queue.RingBatches;
            all.ShortFrames += queue.ShortFrames;
            all.TruncatedFrames += queue.TruncatedFrames;
            all.NotIpv6 += queue.NotIpv6;
            all.NeighborAnswers += queue.NeighborAnswers;
            all.LinkScope += queue.LinkScope;
            all.Loops += queue.Loops;
            all.ReadErrors += queue.ReadErrors;
            all.WritesWithoutRoom += queue.WritesWithoutRoom;
            all.WritesWhileDown += queue.WritesWhileDown;
            all.WritesRefused += queue.WritesRefused;
            all.Commands += queue.Commands;
        }

        return all;
    }
}

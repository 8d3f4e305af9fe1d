using System.Diagnostics.CodeAnalysis;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Sockets;

/// <summary>
/// Finds the process that has a socket. The kernel does not say: the descriptors of all processes of the socket's user have to be looked at.
/// Answers are kept by cookie, and checked when they are used, so that neither a number that another process has by now nor a program that
/// has become another one (execve(2)) is taken for the owner. Of processes that share a socket the first that is found counts: those in
/// which others were found last are looked into first, then the youngest. Belongs to one thread at a time.
/// </summary>
/// <param name="limits">How far it goes.</param>
/// <param name="time">Measures the time of a search.</param>
internal sealed class SocketOwners(SocketOwnerLimits limits, TimeProvider time)
{
    // Implementation choices.
    private const int GuessedProcesses = 3;
    private const int GuessesAhead = 3;
    private const int KnownFirst = 16;

    private readonly Dictionary<ulong, LinkedListNode<Kept>> _byCookie = [];
    private readonly LinkedList<Kept> _byUse = [];    // the most recent first

    private int _goOnAt = int.MaxValue;

    /// <summary>How many searches through <c>/proc</c> there have been.</summary>
    public long Searches { get; private set; }

    /// <summary>How many searches were given up at a limit.</summary>
    public long SearchesGivenUp { get; private set; }

    /// <summary>Whether the last search was given up at a limit; the next goes on from there.</summary>
    public bool HasGivenUp => _goOnAt != int.MaxValue;

    /// <summary>Finds the owner.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="owner">The owner.</param>
    /// <returns>Whether one was found within the limits.</returns>
    public bool TryFind(in SocketRecord socket, out SocketOwner owner)
    {
        owner = default;
        return TryFindHolder(socket, limits.Time, out SocketHolder holder) && TryName(holder, socket.Inode, out owner);
    }

    /// <summary>Takes a second descriptor of a socket, if it is where it is thought to be: where it was found before, or near to where the
    /// sockets are that were found last. Looks nowhere else, so that it takes microseconds.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="taken">The descriptor; the socket does not end before it is closed.</param>
    /// <returns>Whether it is there, and lets itself be taken.</returns>
    public bool TryTakeAtHand(in SocketRecord socket, [NotNullWhen(true)] out FileDescriptor? taken)
    {
        taken = null;
        if (!socket.HasProgram)
        {
            return false;
        }

        // The link in /proc need not be looked at before: the cookie of what is taken says whether it is the one.
        if (_byCookie.TryGetValue(socket.Cookie, out LinkedListNode<Kept>? kept))
        {
            return TakenSocket.TryTake(kept.Value.Holder, socket.Cookie, out taken);
        }

        foreach (SocketHolder guess in Guesses())
        {
            if (TakenSocket.TryTake(guess, socket.Cookie, out taken))
            {
                Keep(new Kept(socket.Cookie, guess));
                return true;
            }
        }

        return false;
    }

    /// <summary>Takes a second descriptor of a socket, wherever it is.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="most">The time that a search may take, if that is less than the limits say.</param>
    /// <param name="taken">The descriptor; the socket does not end before it is closed.</param>
    /// <returns>Whether the owner was found within the limits, and lets it be taken.</returns>
    public bool TryTake(in SocketRecord socket, TimeSpan most, [NotNullWhen(true)] out FileDescriptor? taken)
    {
        taken = null;
        return TryFindHolder(socket, most < limits.Time ? most : limits.Time, out SocketHolder holder)
            && TakenSocket.TryTake(holder, socket.Cookie, out taken);
    }

    // The program is read between two looks at the descriptor: so it is that of the process that has the socket.
    private static bool TryName(SocketHolder holder, uint inode, out SocketOwner owner)
    {
        owner = new SocketOwner(holder.ProcessId, ProcessSockets.ProgramOf(holder.ProcessId));
        return Has(holder, inode);
    }

    private static bool Has(SocketHolder holder, uint inode) =>
        ProcessSockets.TryGetInode(holder.ProcessId, holder.Descriptor, out uint found) && found == inode;

    /// <summary>Finds where a socket is.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="most">The time that a search may take.</param>
    /// <param name="holder">The process that has it, and the descriptor there.</param>
    /// <returns>Whether it was found within the limits.</returns>
    public bool TryFindHolder(in SocketRecord socket, TimeSpan most, out SocketHolder holder)
    {
        holder = default;
        if (!socket.HasProgram)
        {
            return false;
        }

        if (_byCookie.TryGetValue(socket.Cookie, out LinkedListNode<Kept>? kept))
        {
            _byUse.Remove(kept);
            holder = kept.Value.Holder;
            if (Has(holder, socket.Inode))
            {
                _byUse.AddFirst(kept);
                return true;
            }

            _byCookie.Remove(socket.Cookie);
        }

        Searches++;
        if (!TrySearch(socket, most, out holder))
        {
            return false;
        }

        Keep(new Kept(socket.Cookie, holder));
        return true;
    }

    // A program that has just had a new socket has the next one too, more often than not, and at the same or a near descriptor.
    private IEnumerable<SocketHolder> Guesses()
    {
        int processes = 0;
        int last = 0;
        foreach (Kept kept in _byUse)
        {
            if (kept.Holder.ProcessId == last)
            {
                continue;
            }

            if (processes++ == GuessedProcesses)
            {
                yield break;
            }

            last = kept.Holder.ProcessId;
            for (int ahead = 0; ahead < GuessesAhead; ahead++)
            {
                yield return kept.Holder.Ahead(ahead);
            }
        }
    }

    // Those first in which sockets were found last, then the youngest: who opens sockets is busy, or has just been started. After a search
    // that was given up the next begins where that ended, so that with a few searches all processes are looked into.
    private List<int> Processes()
    {
        List<int> processes = HasGivenUp ? [] : [.. _byUse.Select(kept => kept.Holder.ProcessId).Distinct().Take(KnownFirst)];
        HashSet<int> known = [.. processes];
        int[] others = [.. ProcessSockets.All().Where(process => !known.Contains(process)).OrderDescending()];
        int first = Math.Max(0, Array.FindIndex(others, process => process <= _goOnAt));
        processes.AddRange(others[first..]);
        processes.AddRange(others[..first]);
        return processes;
    }

    private bool TrySearch(in SocketRecord socket, TimeSpan most, out SocketHolder holder)
    {
        long start = time.GetTimestamp();
        int processes = 0;
        int descriptors = 0;
        foreach (int process in Processes())
        {
            if (processes == limits.Processes || time.GetElapsedTime(start) > most)
            {
                return GiveUp(process, out holder);
            }

            if (!ProcessSockets.IsOf(process, socket.Uid))
            {
                continue;
            }

            processes++;
            foreach (int descriptor in ProcessSockets.DescriptorsOf(process))
            {
                holder = new SocketHolder(process, descriptor);
                if (Has(holder, socket.Inode))
                {
                    _goOnAt = int.MaxValue;
                    return true;
                }

                // One process alone may be too much: it is left, or the next search would not come further.
                if (++descriptors == limits.Descriptors || time.GetElapsedTime(start) > most)
                {
                    return GiveUp(process - 1, out holder);
                }
            }
        }

        _goOnAt = int.MaxValue;
        holder = default;
        return false;
    }

    private bool GiveUp(int goOnAt, out SocketHolder holder)
    {
        SearchesGivenUp++;
        _goOnAt = goOnAt;
        holder = default;
        return false;
    }

    private void Keep(Kept kept)
    {
        if (_byCookie.Count >= limits.Kept && _byUse.Last is { } oldest)
        {
            _byUse.RemoveLast();
            _byCookie.Remove(oldest.Value.Cookie);
        }

        _byCookie[kept.Cookie] = _byUse.AddFirst(kept);
    }

    private readonly record struct Kept(ulong Cookie, SocketHolder Holder);
}

using System.Diagnostics.CodeAnalysis;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Sockets;

/// <summary>
/// Finds the process that has a socket. The kernel does not say: the descriptors of all processes of the socket's user have to be looked at.
/// Answers are kept by cookie, and checked when they are used, so that neither a number that another process has by now nor a program that
/// has become another one (execve(2)) is taken for the owner. Of processes that share a socket the first in <c>/proc</c> counts. Belongs to one
/// thread at a time.
/// </summary>
/// <param name="limits">How far it goes.</param>
/// <param name="time">Measures the time of a search.</param>
internal sealed class SocketOwners(SocketOwnerLimits limits, TimeProvider time)
{
    private const int Guesses = 4;
    private const int GuessesAhead = 3;

    private readonly Dictionary<ulong, LinkedListNode<Kept>> _byCookie = [];
    private readonly LinkedList<Kept> _byUse = [];    // the most recent first

    /// <summary>How many searches through <c>/proc</c> there have been.</summary>
    public long Searches { get; private set; }

    /// <summary>How many searches were given up at a limit.</summary>
    public long SearchesGivenUp { get; private set; }

    /// <summary>Finds the owner.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="owner">The owner.</param>
    /// <returns>Whether one was found within the limits.</returns>
    public bool TryFind(in SocketRecord socket, out SocketOwner owner)
    {
        owner = default;
        return TryFindHolder(socket, limits.Time, out SocketHolder holder) && TryName(holder, socket.Inode, out owner);
    }

    /// <summary>Takes a second descriptor of a socket.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="most">The time that a search may take, if that is less than the limits say.</param>
    /// <param name="taken">The descriptor; the socket does not end before it is closed.</param>
    /// <returns>Whether the owner was found within the limits, and lets it be taken.</returns>
    public bool TryTake(in SocketRecord socket, TimeSpan most, [NotNullWhen(true)] out FileDescriptor? taken)
    {
        taken = null;
        if (!socket.HasProgram)
        {
            return false;
        }

        // What is kept need not be looked at before: the cookie of what is taken says whether it is the one.
        if (_byCookie.TryGetValue(socket.Cookie, out LinkedListNode<Kept>? kept) && TakenSocket.TryTake(kept.Value.Holder, socket.Cookie, out taken))
        {
            _byUse.Remove(kept);
            _byUse.AddFirst(kept);
            return true;
        }

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

    private bool TryFindHolder(in SocketRecord socket, TimeSpan most, out SocketHolder holder)
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
        if (limits.Processes == 0 || most <= TimeSpan.Zero || (!TryGuess(socket, out holder) && !TrySearch(socket, most, out holder)))
        {
            SearchesGivenUp += limits.Processes == 0 || most <= TimeSpan.Zero ? 1 : 0;
            return false;
        }

        Keep(new Kept(socket.Cookie, holder));
        return true;
    }

    // A program that has just had a new socket has the next one too, more often than not, and at the same or the next descriptor.
    private bool TryGuess(in SocketRecord socket, out SocketHolder holder)
    {
        holder = default;
        int guesses = 0;
        foreach (Kept kept in _byUse)
        {
            if (guesses++ == Guesses)
            {
                break;
            }

            for (int ahead = 0; ahead < GuessesAhead; ahead++)
            {
                holder = kept.Holder with { Descriptor = kept.Holder.Descriptor + ahead };
                if (Has(holder, socket.Inode))
                {
                    return true;
                }
            }
        }

        return false;
    }

    private bool TrySearch(in SocketRecord socket, TimeSpan most, out SocketHolder holder)
    {
        long start = time.GetTimestamp();
        int processes = 0;
        int descriptors = 0;
        foreach (int process in ProcessSockets.All())
        {
            if (processes == limits.Processes || time.GetElapsedTime(start) > most)
            {
                break;
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
                    return true;
                }

                if (++descriptors == limits.Descriptors || time.GetElapsedTime(start) > most)
                {
                    SearchesGivenUp++;
                    return false;
                }
            }
        }

        if (processes == limits.Processes || time.GetElapsedTime(start) > most)
        {
            SearchesGivenUp++;
        }

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

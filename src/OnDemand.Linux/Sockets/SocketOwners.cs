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
    private readonly Dictionary<ulong, LinkedListNode<Holder>> _byCookie = [];
    private readonly LinkedList<Holder> _byUse = [];    // the most recent first

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
        if (!socket.HasProgram)
        {
            return false;
        }

        if (_byCookie.TryGetValue(socket.Cookie, out LinkedListNode<Holder>? kept))
        {
            _byUse.Remove(kept);
            if (TryName(kept.Value, socket.Inode, out owner))
            {
                _byUse.AddFirst(kept);
                return true;
            }

            _byCookie.Remove(socket.Cookie);
        }

        if (!TrySearch(socket, out Holder holder) || !TryName(holder, socket.Inode, out owner))
        {
            return false;
        }

        Keep(holder);
        return true;
    }

    // The program is read between two looks at the descriptor: so it is that of the process that has the socket.
    private static bool TryName(Holder holder, uint inode, out SocketOwner owner)
    {
        owner = default;
        if (!holder.Has(inode))
        {
            return false;
        }

        owner = new SocketOwner(holder.Process, ProcessSockets.ProgramOf(holder.Process));
        return holder.Has(inode);
    }

    private bool TrySearch(in SocketRecord socket, out Holder holder)
    {
        Searches++;
        long start = time.GetTimestamp();
        int processes = 0;
        int descriptors = 0;
        foreach (int process in ProcessSockets.All())
        {
            if (processes == limits.Processes || time.GetElapsedTime(start) > limits.Time)
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
                holder = new Holder(socket.Cookie, process, descriptor);
                if (holder.Has(socket.Inode))
                {
                    return true;
                }

                if (++descriptors == limits.Descriptors || time.GetElapsedTime(start) > limits.Time)
                {
                    SearchesGivenUp++;
                    return false;
                }
            }
        }

        if (processes == limits.Processes || time.GetElapsedTime(start) > limits.Time)
        {
            SearchesGivenUp++;
        }

        holder = default;
        return false;
    }

    private void Keep(Holder holder)
    {
        if (_byCookie.Count >= limits.Kept && _byUse.Last is { } oldest)
        {
            _byUse.RemoveLast();
            _byCookie.Remove(oldest.Value.Cookie);
        }

        _byCookie[holder.Cookie] = _byUse.AddFirst(holder);
    }

    private readonly record struct Holder(ulong Cookie, int Process, int Descriptor)
    {
        public bool Has(uint inode) => ProcessSockets.TryGetInode(Process, Descriptor, out uint found) && found == inode;
    }
}

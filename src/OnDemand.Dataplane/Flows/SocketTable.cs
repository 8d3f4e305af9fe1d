using System.Runtime.CompilerServices;

namespace OnDemand.Dataplane.Flows;

/// <summary>A socket of which the kernel has said which flows are its.</summary>
internal struct SocketEntry
{
    public ulong Cookie;
    public int FirstFlow;        // or the next free entry
    public int Flows;
    public bool Ended;           // its flows are being ended, a slice at a time
    public int NextEnded;
}

/// <summary>
/// Sockets by the kernel's cookie, and the flows of each as a chain, so that all of them can be ended when the socket is. Full: further
/// flows have no socket, and end by what their packets show.
/// </summary>
internal sealed class SocketTable
{
    private const int None = -1;
    private const int Gone = -2;

    private readonly SocketEntry[] _sockets;
    private readonly Link[] _links;
    private readonly ChainIndex _index;
    private readonly FlowHash _hash;
    private int _free = None;
    private int _fresh;
    private int _firstEnded = None;

    public SocketTable(int capacity, int flows, FlowHash hash)
    {
        _sockets = GC.AllocateArray<SocketEntry>(capacity, pinned: true);
        _links = GC.AllocateArray<Link>(flows, pinned: true);
        _index = new ChainIndex(capacity, capacity);
        _hash = hash;
    }

    /// <summary>Sockets in the table.</summary>
    public int Count => _index.Count;

    /// <summary>One past the highest entry that was ever used.</summary>
    public int HighWater => _fresh;

    /// <summary>The socket that is being ended, or -1.</summary>
    public int FirstEnded => _firstEnded;

    public ref SocketEntry this[int id] => ref _sockets[id];

    public int Find(ulong cookie) => _index.Find(_hash.Of(cookie), new Key(_sockets, cookie));

    /// <summary>The cookie of a flow's socket; 0 if it is not known or gone.</summary>
    public ulong CookieOf(int flow) => _links[flow].Socket > 0 ? _sockets[_links[flow].Socket - 1].Cookie : 0;

    /// <summary>Whether the flow's socket is gone.</summary>
    public bool IsGone(int flow) => _links[flow].Socket == Gone;

    /// <summary>A flow is this socket's; a flow that has one already keeps it.</summary>
    /// <returns>False if there is no room for another socket, or the socket is being ended.</returns>
    public bool TryLink(int flow, ulong cookie)
    {
        if (_links[flow].Socket != 0)
        {
            return false;
        }

        int id = Find(cookie);
        if (id >= 0 && _sockets[id].Ended)
        {
            return false;
        }

        if (id < 0)
        {
            if (_index.Count == _sockets.Length)
            {
                return false;
            }

            id = _free;
            if (id >= 0)
            {
                _free = _sockets[id].FirstFlow;
            }
            else
            {
                id = _fresh++;
            }

            _sockets[id] = new SocketEntry { Cookie = cookie, FirstFlow = None };
            _index.Add(_hash.Of(cookie), id);
        }

        ref SocketEntry socket = ref _sockets[id];
        _links[flow] = new Link { Socket = id + 1, Next = socket.FirstFlow, Previous = None };
        if (socket.FirstFlow >= 0)
        {
            _links[socket.FirstFlow].Previous = flow;
        }

        socket.FirstFlow = flow;
        socket.Flows++;
        return true;
    }

    /// <summary>The flow leaves its socket; the socket leaves the table with its last flow.</summary>
    /// <param name="flow">The flow.</param>
    /// <param name="gone">Whether it is to be remembered that the flow's socket is gone.</param>
    public void Unlink(int flow, bool gone)
    {
        Link link = _links[flow];
        _links[flow] = new Link { Socket = gone ? Gone : 0 };
        if (link.Socket <= 0)
        {
            return;
        }

        int id = link.Socket - 1;
        ref SocketEntry socket = ref _sockets[id];
        if (link.Previous >= 0)
        {
            _links[link.Previous].Next = link.Next;
        }
        else
        {
            socket.FirstFlow = link.Next;
        }

        if (link.Next >= 0)
        {
            _links[link.Next].Previous = link.Previous;
        }

        if (--socket.Flows == 0 && !socket.Ended)
        {
            Remove(id);
        }
    }

    /// <summary>Notes that a socket has ended; its flows follow by way of <see cref="FirstEnded"/>.</summary>
    public void End(int id)
    {
        ref SocketEntry socket = ref _sockets[id];
        if (!socket.Ended)
        {
            socket.Ended = true;
            socket.NextEnded = _firstEnded;
            _firstEnded = id;
        }
    }

    /// <summary>Forgets the ended socket that stands first; it has no flows any more.</summary>
    public void RemoveFirstEnded()
    {
        int id = _firstEnded;
        _firstEnded = _sockets[id].NextEnded;
        Remove(id);
    }

    private void Remove(int id)
    {
        _index.Remove(_hash.Of(_sockets[id].Cookie), id);
        _sockets[id] = new SocketEntry { FirstFlow = _free };
        _free = id;
    }

    private struct Link
    {
        public int Socket;           // number plus one; 0 none; Gone
        public int Next;
        public int Previous;
    }

    private readonly struct Key(SocketEntry[] sockets, ulong cookie) : IEntryKey
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public bool Matches(int id) => sockets[id].Cookie == cookie;
    }
}

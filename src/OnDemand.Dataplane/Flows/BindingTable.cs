using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace OnDemand.Dataplane.Flows;

/// <summary>
/// A socket's typed address: protocol, internal address and local port, once for each outcome of policy, because a mapping does not
/// depend on the destination within its type (RFC 4787 REQ-1, RFC 5382 REQ-1).
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 2)]
internal struct Binding
{
    public ulong Key;            // protocol (8), host (24), local port (16), outcome (16)
    public int Address;          // typed address for new flows; or the next free number
    public int Flows;
    public int Request;          // the socket request that made it, or -1
    public Decision Decision;
}

/// <summary>Bindings by number, found by socket and outcome. Full: the engine refuses new sockets, existing ones go on.</summary>
internal sealed class BindingTable
{
    private readonly Binding[] _bindings;
    private readonly ChainIndex _index;
    private readonly FlowHash _hash;
    private int _free = -1;
    private int _fresh;

    public BindingTable(int capacity, FlowHash hash)
    {
        _bindings = GC.AllocateArray<Binding>(capacity, pinned: true);
        _index = new ChainIndex(capacity, capacity);
        _hash = hash;
    }

    public int Count => _index.Count;

    public bool IsFull => _index.Count == _bindings.Length;

    /// <summary>Makes the key from a flow's tail: its remote port gives way to the outcome.</summary>
    public static ulong KeyOf(ulong tail, ushort outcome) => (tail & ~0xffffUL) | outcome;

    public ref Binding this[int id] => ref _bindings[id];

    public int Find(ulong key) => _index.Find(HashOf(key), new Key(_bindings, key));

    /// <summary>Asks for where the bindings of a flow's socket begin, before they are needed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Prefetch(ulong tail) => _index.Prefetch(HashOf(tail));

    /// <summary>A little later: asks for the first binding there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void PrefetchFirst(ulong tail)
    {
        int first = _index.First(HashOf(tail));
        if (first >= 0)
        {
            Memory.Prefetch(ref _bindings[first]);
            _index.PrefetchAfter(first);
        }
    }

    public int Add(ulong key)
    {
        int id = _free;
        if (id >= 0)
        {
            _free = _bindings[id].Address;
        }
        else
        {
            id = _fresh++;
        }

        _bindings[id] = new Binding { Key = key, Address = -1, Request = -1 };
        _index.Add(HashOf(key), id);
        return id;
    }

    public void Remove(int id)
    {
        _index.Remove(HashOf(_bindings[id].Key), id);
        _bindings[id].Address = _free;
        _free = id;
    }

    // Of the socket alone: what policy will say of a packet need not be known to look where its socket's bindings are.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ulong HashOf(ulong key) => _hash.Of(key >> 16);

    private readonly struct Key(Binding[] bindings, ulong key) : IEntryKey
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public bool Matches(int id) => bindings[id].Key == key;
    }
}

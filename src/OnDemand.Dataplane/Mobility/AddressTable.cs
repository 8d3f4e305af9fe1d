using System.Runtime.CompilerServices;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Mobility;

/// <summary>
/// Internal and typed addresses by number, and one index from sixteen octets to either. An ended address stays in the index until it is
/// freed or another takes its place, so that late packets to it are dropped and counted instead of passing by.
/// </summary>
internal sealed class AddressTable
{
    private const int RecentCount = 16;

    private readonly InternalAddress[] _internal;
    private readonly TypedAddress[] _typed;
    private readonly FlowIndex _index;
    private readonly FlowHash _hash;
    private readonly Recent[] _recent = new Recent[RecentCount];
    private int _internalCount;
    private int _typedFresh;
    private int _typedFree = -1;

    public AddressTable(int internalCapacity, int typedCapacity, FlowHash hash)
    {
        _internal = new InternalAddress[internalCapacity];
        _typed = new TypedAddress[typedCapacity];
        _index = new FlowIndex(internalCapacity + typedCapacity);
        _hash = hash;
        Forget();
    }

    public int InternalCount => _internalCount;

    public int TypedCount { get; private set; }

    /// <summary>Changes whenever a typed address is made or freed; names found before are then to be looked up again.</summary>
    public uint Generation { get; private set; }

    /// <summary>One past the highest number of a typed address that was ever used.</summary>
    public int TypedHighWater => _typedFresh;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref TypedAddress Typed(int id) => ref _typed[id];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref InternalAddress Internal(int id) => ref _internal[id];

    /// <summary>Finds an address.</summary>
    /// <returns>Its name, or <see cref="AddressName.Unknown"/>.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public AddressName Find(IpAddress address)
    {
        ref Recent recent = ref _recent[(int)(address.Low & (RecentCount - 1))];
        return recent.Low == address.Low && recent.High == address.High ? recent.Name : FindInIndex(address, ref recent);
    }

    // Leaves in every place an address that belongs in another, so that no look-up matches it.
    private void Forget()
    {
        for (int i = 0; i < RecentCount; i++)
        {
            _recent[i] = new Recent { Low = (ulong)i ^ 1 };
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private AddressName FindInIndex(IpAddress address, ref Recent recent)
    {
        var name = new AddressName(_index.Find(_hash.Of(address), new Key(this, address.High, address.Low)));
        if (name.IsKnown)
        {
            recent = new Recent { High = address.High, Low = address.Low, Name = name };
        }

        return name;
    }

    /// <summary>Adds an internal address that is not known yet; -1 if there is no room.</summary>
    public int AddInternal(IpAddress address)
    {
        if (_internalCount == _internal.Length)
        {
            return -1;
        }

        int id = _internalCount++;
        _internal[id] = new InternalAddress { Address = address, FirstTyped = -1 };
        _index.Add(_hash.Of(address), AddressName.OfInternal(id).Code);
        return id;
    }

    /// <summary>Adds a typed address; -1 if there is no room. It takes the place of an ended one with the same octets.</summary>
    public int AddTyped(IpAddress external, int host, int prefix, AddressType type, Timestamp now)
    {
        int id = _typedFree;
        if (id >= 0)
        {
            _typedFree = _typed[id].NextOfHost;
        }
        else if (_typedFresh < _typed.Length)
        {
            id = _typedFresh++;
        }
        else
        {
            return -1;
        }

        AddressName known = Find(external);
        ulong hash = _hash.Of(external);
        if (known.IsTyped)
        {
            _index.Remove(hash, known.Code);
        }

        IpAddress inner = _internal[host].Address;
        _typed[id] = new TypedAddress
        {
            External = external,
            Internal = inner,
            Prefix = prefix,
            Host = host,
            Difference = InternetChecksum.Difference(inner, external),
            Type = type,
            NextOfHost = _internal[host].FirstTyped,
            Since = now,
        };
        _internal[host].FirstTyped = id;
        _index.Add(hash, AddressName.OfTyped(id).Code);
        TypedCount++;
        Generation++;
        Forget();
        return id;
    }

    /// <summary>Frees a typed address that nothing refers to any more.</summary>
    public void FreeTyped(int id)
    {
        ref TypedAddress address = ref _typed[id];
        _index.Remove(_hash.Of(address.External), AddressName.OfTyped(id).Code);
        ref int link = ref _internal[address.Host].FirstTyped;
        while (link != id)
        {
            link = ref _typed[link].NextOfHost;
        }

        link = address.NextOfHost;
        address = default;
        address.Prefix = -1;
        address.NextOfHost = _typedFree;
        _typedFree = id;
        TypedCount--;
        Generation++;
        Forget();
    }

    // An address found lately: most packets come from, or go to, one of very few. Forgotten when any typed address is made or freed.
    private struct Recent
    {
        public ulong High;
        public ulong Low;
        public AddressName Name;
    }

    private readonly struct Key(AddressTable table, ulong high, ulong low) : IEntryKey
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public bool Matches(int id)
        {
            var name = new AddressName(id);
            ref readonly IpAddress address = ref (name.IsTyped ? ref table._typed[name.Number].External : ref table._internal[name.Number].Address);
            return ((address.High ^ high) | (address.Low ^ low)) == 0;
        }
    }
}

/// <summary>The number of an internal or a typed address in one word.</summary>
internal readonly record struct AddressName(int Code)
{
    public static readonly AddressName Unknown = new(-1);

    public bool IsKnown => Code >= 0;

    public bool IsTyped => Code >= 0 && (Code & 1) != 0;

    public bool IsInternal => Code >= 0 && (Code & 1) == 0;

    public int Number => Code >> 1;

    public static AddressName OfInternal(int id) => new(id << 1);

    public static AddressName OfTyped(int id) => new((id << 1) | 1);
}

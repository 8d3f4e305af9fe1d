using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
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
    private readonly ChainIndex _index;
    private readonly FlowHash _hash;
    private readonly Recent[] _recent = Memory.AllocateHot<Recent>(2 * RecentCount);
    private readonly PrefixSieve _sieve = new();
    private int _internalCount;
    private int _typedFresh;
    private int _typedFree = -1;

    public AddressTable(int internalCapacity, int typedCapacity, FlowHash hash)
    {
        _internal = new InternalAddress[internalCapacity];
        _typed = Memory.AllocateHot<TypedAddress>(typedCapacity);
        _index = new ChainIndex(internalCapacity + typedCapacity, 2 * Math.Max(internalCapacity, typedCapacity));
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

    /// <summary>The first typed address, for the numbers that flows have: they are this table's own, so they are not checked again.</summary>
    public ref TypedAddress FirstTyped
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => ref MemoryMarshal.GetArrayDataReference(_typed);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref InternalAddress Internal(int id) => ref _internal[id];

    /// <summary>Finds an address.</summary>
    /// <returns>Its name, or <see cref="AddressName.Unknown"/>.</returns>
    public AddressName Find(IpAddress address)
    {
        if (Lately.TryFind(address, typed: false, out int number, out _))
        {
            return AddressName.OfInternal(number);
        }

        return Lately.TryFind(address, typed: true, out number, out _) ? AddressName.OfTyped(number)
            : _sieve.MayHave(address) ? FindInIndex(address)
            : AddressName.Unknown;
    }

    /// <summary>The addresses that were met lately, until any is made or freed.</summary>
    public Recents Lately
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => new(ref MemoryMarshal.GetArrayDataReference(_recent));
    }

    // Leaves in every place an address that belongs in another, so that no look-up matches it.
    private void Forget()
    {
        for (int i = 0; i < _recent.Length; i++)
        {
            _recent[i] = new Recent { Address = new IpAddress(0, (ulong)(i % RecentCount) ^ 1) };
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private AddressName FindInIndex(in IpAddress address)
    {
        var name = new AddressName(_index.Find(_hash.Of(address), new Key(this, address)));
        if (name.IsKnown)
        {
            int host = name.IsTyped ? _typed[name.Number].Host : name.Number;
            _recent[Recents.PlaceOf(address, name.IsTyped)] = new Recent { Address = address, Number = name.Number, Host = FlowKey.HostBits(host) };
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
        _sieve.Add(address);
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
        ushort difference = InternetChecksum.Difference(inner, external);
        _typed[id] = new TypedAddress
        {
            External = external,
            Internal = inner,
            Prefix = prefix,
            Host = host,
            Difference = difference,
            DifferenceOut = InternetChecksum.InWireOrder(difference),
            DifferenceIn = InternetChecksum.InWireOrder(InternetChecksum.Negate(difference)),
            Type = type,
            NextOfHost = _internal[host].FirstTyped,
            Since = now,
        };
        _internal[host].FirstTyped = id;
        _index.Add(hash, AddressName.OfTyped(id).Code);
        _sieve.Add(external);
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
    [StructLayout(LayoutKind.Sequential, Size = 32)]
    internal struct Recent
    {
        public IpAddress Address;
        public ulong Host;
        public int Number;
    }

    /// <summary>The addresses that were met lately.</summary>
    internal readonly ref struct Recents(ref Recent first)
    {
        private readonly ref Recent _first = ref first;

        /// <summary>Finds an address, if it was met lately as what it is said to be.</summary>
        /// <param name="address">The address.</param>
        /// <param name="typed">Whether it is a typed address.</param>
        /// <param name="number">Its number.</param>
        /// <param name="host">The number of the internal address that it is or stands for, where a flow's key has it.</param>
        /// <returns>Whether it was met lately.</returns>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public bool TryFind(in IpAddress address, bool typed, out int number, out ulong host)
        {
            ref readonly Recent recent = ref Unsafe.Add(ref _first, (nint)(uint)PlaceOf(address, typed));
            number = recent.Number;
            host = recent.Host;
            return IpAddress.AreSame(address, recent.Address);
        }

        /// <summary>Where an address is looked for: by its last octet, internal and typed ones apart.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static int PlaceOf(in IpAddress address, bool typed) => (address.LastOctet & (RecentCount - 1)) + (typed ? RecentCount : 0);
    }

    private readonly struct Key(AddressTable table, IpAddress wanted) : IEntryKey
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public bool Matches(int id)
        {
            var name = new AddressName(id);
            return wanted == (name.IsTyped ? table._typed[name.Number].External : table._internal[name.Number].Address);
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

using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Mobility;

/// <summary>
/// The source prefixes of the host, a few at a time. Read RFC 4862 §5.5.3 and §5.5.4 before changing this file. Nothing here looks at
/// packets or flows: states change by events and by time, and flows look at the state when they meet it.
/// </summary>
internal sealed class PrefixTable(int capacity)
{
    /// <summary>RFC 4862 §5.5.3 (e): unauthenticated input cannot bring a valid lifetime below two hours.</summary>
    public static readonly Duration TwoHours = Duration.FromSeconds(7200);

    private readonly PrefixEntry[] _entries = Memory.AllocateHot<PrefixEntry>(capacity);
    private readonly int[] _inOrder = new int[capacity];
    private int _count;
    private uint _order;

    /// <summary>The prefixes that are there, ended ones included, in the order in which they were first advertised.</summary>
    public ReadOnlySpan<int> InOrder => _inOrder.AsSpan(0, _count);

    public ref PrefixEntry this[int id] => ref _entries[id];

    /// <summary>The first prefix, for the numbers that addresses in use have.</summary>
    public ref PrefixEntry First
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => ref MemoryMarshal.GetArrayDataReference(_entries);
    }

    /// <summary>Whether an address that is in use is being replaced or has ended; its number is the engine's own, so it is not checked again.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsLeaving(ref PrefixEntry first, in TypedAddress address) => Unsafe.Add(ref first, address.Prefix).State >= PrefixState.Closing;

    /// <summary>Finds a prefix that has not ended.</summary>
    public int Find(IpPrefix prefix)
    {
        foreach (int id in InOrder)
        {
            if (_entries[id].State is >= PrefixState.Preferred and <= PrefixState.Closing && _entries[id].Prefix == prefix)
            {
                return id;
            }
        }

        return -1;
    }

    /// <summary>Adds a prefix; -1 if there is no room.</summary>
    public int Add(in PrefixAdvertisement advertisement, int attachment, bool onDemand, Timestamp now)
    {
        for (int id = 0; id < _entries.Length; id++)
        {
            if (_entries[id].State != PrefixState.Free)
            {
                continue;
            }

            _entries[id] = new PrefixEntry
            {
                Prefix = advertisement.Prefix,
                Type = advertisement.Type,
                Home = advertisement.Home,
                OnDemand = onDemand,
                Attachment = attachment,
                State = advertisement.PreferredLifetime > Duration.Zero ? PrefixState.Preferred : PrefixState.Deprecated,
                PreferredUntil = now.Add(advertisement.PreferredLifetime),
                ValidUntil = now.Add(advertisement.ValidLifetime),
                ClosesAt = Timestamp.Never,
                UnusedSince = now,
                OnlyAddress = -1,
                Order = _order++,
            };
            _inOrder[_count++] = id;
            return id;
        }

        return -1;
    }

    /// <summary>Frees an ended prefix that nothing refers to any more.</summary>
    public void Free(int id)
    {
        _entries[id] = default;
        int at = InOrder.IndexOf(id);
        _inOrder.AsSpan(at + 1, _count - at - 1).CopyTo(_inOrder.AsSpan(at));
        _count--;
    }

    /// <summary>Applies an advertisement to a prefix that is there (RFC 4862 §5.5.3 (e)).</summary>
    /// <returns>False if the valid lifetime has come to its end by it.</returns>
    public bool Renew(int id, in PrefixAdvertisement advertisement, bool authenticated, Timestamp now)
    {
        ref PrefixEntry entry = ref _entries[id];
        entry.PreferredUntil = now.Add(advertisement.PreferredLifetime);
        Duration remaining = entry.ValidUntil == Timestamp.Never ? Duration.Infinite : entry.ValidUntil.Since(now);
        if (authenticated || advertisement.ValidLifetime > TwoHours || advertisement.ValidLifetime > remaining)
        {
            entry.ValidUntil = now.Add(advertisement.ValidLifetime);
        }
        else if (remaining > TwoHours)
        {
            entry.ValidUntil = now.Add(TwoHours);
        }

        return entry.ValidUntil > now;
    }

    /// <summary>The earliest time at which a state changes by itself.</summary>
    public Timestamp NextDeadline(Duration linger, int attachment, bool attached)
    {
        Timestamp next = Timestamp.Never;
        foreach (int id in InOrder)
        {
            ref PrefixEntry entry = ref _entries[id];
            Timestamp due = entry.State switch
            {
                PrefixState.Preferred => Earlier(entry.PreferredUntil, entry.ValidUntil),
                PrefixState.Deprecated => entry.ValidUntil,
                PrefixState.Closing => Earlier(entry.ClosesAt, entry.ValidUntil),
                _ => Timestamp.Never,
            };
            if (IsReleasable(id, attachment, attached))
            {
                due = Earlier(due, entry.UnusedSince.Add(linger));
            }

            next = Earlier(next, due);
        }

        return next;
    }

    /// <summary>
    /// Whether the host may give a prefix back: Session-Lasting, unused, and not simply part of what the present network offers
    /// (RFC 8653 §3.4 leaves keeping or releasing to policy; kept here are prefixes that the present attachment gave unasked).
    /// </summary>
    public bool IsReleasable(int id, int attachment, bool attached)
    {
        ref PrefixEntry entry = ref _entries[id];
        bool given = attached && entry.Attachment == attachment && !entry.OnDemand;
        return entry.Type == AddressType.SessionLasting && entry.Users == 0 && !given
            && (entry.State is PrefixState.Preferred or PrefixState.Deprecated);
    }

    private static Timestamp Earlier(Timestamp one, Timestamp other) => one < other ? one : other;
}

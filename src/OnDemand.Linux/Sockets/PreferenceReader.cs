using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using OnDemand.Dataplane.Selection;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Sockets;

/// <summary>
/// Reads the preferences that a program gave the kernel for a socket (IPV6_ADDR_PREFERENCES, RFC 5014). The kernel tells them nobody but who
/// has the socket, so it is taken for a moment. Who has it may have to be searched for, which is long; so all searches together take no more
/// than a share of the time, and where that is used up nothing is read: the socket is taken for one without preferences. Belongs to one thread
/// at a time.
/// </summary>
/// <param name="owners">Finds who has a socket.</param>
/// <param name="time">Measures the time.</param>
internal sealed class PreferenceReader(SocketOwners owners, TimeProvider time)
{
    private const int Ipv6Level = 41;             // IPPROTO_IPV6
    private const int Option = 72;                // IPV6_ADDR_PREFERENCES

    // Implementation choices. Of searches for who has a socket: how long one takes at most, what share of the time all take in the long run,
    // and how long one that found nobody is not tried again for the same user's sockets of the same cgroup.
    private const int Share = 16;
    private const int FruitlessKept = 256;
    private static readonly TimeSpan Most = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan AgainAfter = TimeSpan.FromSeconds(1);

    private readonly Dictionary<(uint User, ulong Cgroup), long> _fruitless = [];
    private readonly long _most = (long)(Most.TotalSeconds * time.TimestampFrequency);
    private long _spare = (long)(Most.TotalSeconds * time.TimestampFrequency);
    private long _before = time.GetTimestamp();

    /// <summary>Sockets whose preferences were read.</summary>
    public long Read { get; private set; }

    /// <summary>Sockets whose owner was not found, or may not be looked at.</summary>
    public long NotRead { get; private set; }

    /// <summary>Sockets whose owner was not searched for: the time for that was used up, or a search like it was fruitless a moment ago.</summary>
    public long PassedOver { get; private set; }

    /// <summary>Reads a socket's preferences.</summary>
    /// <param name="socket">The socket.</param>
    /// <returns>What of them makes a difference; none also where they could not be read.</returns>
    public AddressPreferences Of(in SocketRecord socket)
    {
        if (!owners.TryTakeAtHand(socket, out FileDescriptor? taken) && !TrySearch(socket, out taken))
        {
            return AddressPreferences.None;
        }

        using (taken)
        {
            Read++;
            return Get(taken) is { } preferences ? AddressPreferenceRules.EffectOf(preferences) : AddressPreferences.None;
        }
    }

    private bool TrySearch(in SocketRecord socket, [NotNullWhen(true)] out FileDescriptor? taken)
    {
        taken = null;
        long began = time.GetTimestamp();
        _spare = Math.Min(_most, _spare + ((began - _before) / Share));
        _before = began;
        (uint, ulong) place = (socket.Uid, socket.CgroupId);
        if (_spare < _most || (_fruitless.TryGetValue(place, out long last) && time.GetElapsedTime(last, began) < AgainAfter))
        {
            PassedOver++;
            return false;
        }

        if (owners.TryTake(socket, Most, out taken))
        {
            _spare -= time.GetTimestamp() - began;
            _fruitless.Remove(place);
            return true;
        }

        long ended = time.GetTimestamp();
        _spare -= ended - began;
        NotRead++;
        if (_fruitless.Count == FruitlessKept)
        {
            _fruitless.Clear();
        }

        _fruitless[place] = ended;
        return false;
    }

    private static AddressPreferences? Get(FileDescriptor socket)
    {
        Span<int> value = [0];
        uint length = sizeof(int);
        return Libc.GetSocketOption(socket, Ipv6Level, Option, MemoryMarshal.AsBytes(value), ref length) == 0 ? (AddressPreferences)value[0] : null;
    }
}

using System.Runtime.InteropServices;
using OnDemand.Dataplane.Selection;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Sockets;

/// <summary>
/// Reads the preferences that a program gave the kernel for a socket (IPV6_ADDR_PREFERENCES, RFC 5014). The kernel tells them nobody but who
/// has the socket, so it is taken for a moment. Who has it must be searched, which may be long; so all of this together takes no more than a
/// share of the time, and where that is used up nothing is read: the socket is taken for one without preferences. Belongs to one thread at a
/// time.
/// </summary>
/// <param name="owners">Finds who has a socket.</param>
/// <param name="time">Measures the time.</param>
internal sealed class PreferenceReader(SocketOwners owners, TimeProvider time)
{
    private const int Ipv6Level = 41;             // IPPROTO_IPV6
    private const int Option = 72;                // IPV6_ADDR_PREFERENCES

    // Implementation choices: a quarter of the time in the long run, and at most this long for one socket.
    private const int Share = 4;
    private static readonly TimeSpan Most = TimeSpan.FromMilliseconds(2);

    private readonly long _most = (long)(Most.TotalSeconds * time.TimestampFrequency);
    private long _spare = (long)(Most.TotalSeconds * time.TimestampFrequency);
    private long _before = time.GetTimestamp();

    /// <summary>Sockets whose preferences were read.</summary>
    public long Read { get; private set; }

    /// <summary>Sockets whose owner was not found, or may not be looked at.</summary>
    public long NotRead { get; private set; }

    /// <summary>Sockets that were passed over because the time for this was used up.</summary>
    public long PassedOver { get; private set; }

    /// <summary>Reads a socket's preferences.</summary>
    /// <param name="socket">The socket.</param>
    /// <returns>What of them makes a difference; none also where they could not be read.</returns>
    public AddressPreferences Of(in SocketRecord socket)
    {
        long began = time.GetTimestamp();
        _spare = Math.Min(_most, _spare + ((began - _before) / Share));
        _before = began;
        if (_spare <= 0)
        {
            PassedOver++;
            return AddressPreferences.None;
        }

        AddressPreferences? read = null;
        if (owners.TryTake(socket, time.GetElapsedTime(0, _spare), out FileDescriptor? taken))
        {
            using (taken)
            {
                read = Get(taken);
            }
        }

        _spare -= time.GetTimestamp() - began;
        if (read is not { } preferences)
        {
            NotRead++;
            return AddressPreferences.None;
        }

        Read++;
        return AddressPreferenceRules.EffectOf(preferences);
    }

    private static AddressPreferences? Get(FileDescriptor socket)
    {
        Span<int> value = [0];
        uint length = sizeof(int);
        return Libc.GetSocketOption(socket, Ipv6Level, Option, MemoryMarshal.AsBytes(value), ref length) == 0 ? (AddressPreferences)value[0] : null;
    }
}

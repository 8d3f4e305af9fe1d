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

    private readonly SearchBudget _budget = new(time);

    /// <summary>Sockets whose preferences were read.</summary>
    public long Found { get; private set; }

    /// <summary>Sockets whose owner was not found, or may not be looked at.</summary>
    public long NotFound { get; private set; }

    /// <summary>Sockets whose owner was not searched for: the time for that was used up, or a search like it was fruitless a moment ago.</summary>
    public long PassedOver { get; private set; }

    /// <summary>Does once what searching does: where code is compiled when it is first used, that takes longer than a search may.</summary>
    public void Prepare()
    {
        var nobodys = new SocketRecord { Inode = uint.MaxValue, Cookie = ulong.MaxValue, Uid = Libc.GetEffectiveUserId() };
        _ = owners.TryTake(nobodys, TimeSpan.MaxValue, out _);
        _ = TakenSocket.IsThere(new SocketHolder(Environment.ProcessId, 0), nobodys.Cookie);
    }

    /// <summary>Reads a socket's preferences if it is where it is thought to be, which takes microseconds.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="preferences">What of them makes a difference.</param>
    /// <returns>Whether they were read; if not, <see cref="Search"/>.</returns>
    public bool TryReadAtHand(in SocketRecord socket, out AddressPreferences preferences)
    {
        preferences = AddressPreferences.None;
        if (!owners.TryTakeAtHand(socket, out FileDescriptor? taken))
        {
            return false;
        }

        preferences = Read(taken);
        return true;
    }

    /// <summary>Reads a socket's preferences, wherever it is.</summary>
    /// <param name="socket">The socket.</param>
    /// <returns>What of them makes a difference; none also where they could not be read.</returns>
    public AddressPreferences Search(in SocketRecord socket) =>
        TrySearch(socket, out FileDescriptor? taken) ? Read(taken) : AddressPreferences.None;

    private bool TrySearch(in SocketRecord socket, [NotNullWhen(true)] out FileDescriptor? taken)
    {
        taken = null;
        if (!_budget.TryBegin(socket))
        {
            PassedOver++;
            return false;
        }

        bool found = owners.TryTake(socket, SearchBudget.Most, out taken);
        _budget.End(socket, isUseless: !found && !owners.HasGivenUp);
        NotFound += found ? 0 : 1;
        return taken is not null;
    }

    private AddressPreferences Read(FileDescriptor socket)
    {
        using (socket)
        {
            Found++;
            Span<int> value = [0];
            uint length = sizeof(int);
            return Libc.GetSocketOption(socket, Ipv6Level, Option, MemoryMarshal.AsBytes(value), ref length) == 0
                ? AddressPreferenceRules.EffectOf((AddressPreferences)value[0]) : AddressPreferences.None;
        }
    }
}

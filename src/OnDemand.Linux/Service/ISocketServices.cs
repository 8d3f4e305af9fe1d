using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Service;

/// <summary>What a program asks for one of its sockets; that the socket is its own has been established before.</summary>
/// <param name="Cookie">The kernel's cookie of the socket.</param>
/// <param name="User">Whose socket it is.</param>
/// <param name="Type">The type; none if there are only <paramref name="Preferences"/>.</param>
/// <param name="OnNet">IPV6_REQUIRE_SRC_ON_NET (draft-17 §6.2).</param>
/// <param name="Map">Whether the dataplane is to put the address into the socket's packets; else the program binds the socket to
/// it.</param>
/// <param name="Preferences">RFC 5014 preferences; ignored beside a type (RFC 8653 §4.4).</param>
/// <param name="Timeout">How long the network may be waited for.</param>
internal sealed record ServiceRequest(
    ulong Cookie, uint User, AddressType Type, bool OnNet, bool Map, AddressPreferences Preferences, TimeSpan Timeout)
{
    /// <summary>Where the socket is.</summary>
    public SocketPlace Place { get; init; }
}

/// <summary>How a request ended.</summary>
internal enum ServiceStatus : byte
{
    /// <summary>The address is there.</summary>
    Granted,

    /// <summary>The type is not to be had here.</summary>
    NotSupported,

    /// <summary>The network refused.</summary>
    Refused,

    /// <summary>The network did not answer in time.</summary>
    TimedOut,

    /// <summary>The socket was closed meanwhile, or the request was replaced by a later one.</summary>
    Gone,

    /// <summary>The request contradicts itself.</summary>
    Invalid,

    /// <summary>A table is full.</summary>
    NoRoom,
}

/// <summary>What a socket has got.</summary>
/// <param name="Cookie">The socket.</param>
/// <param name="User">Whose it is.</param>
/// <param name="Address">Its typed address.</param>
/// <param name="Type">The type; none for a legacy socket with preferences.</param>
/// <param name="Prefix">The address's prefix.</param>
/// <param name="PreferredUntil">Until when the address is preferred.</param>
/// <param name="ValidUntil">Until when it is valid, or until its window closes.</param>
/// <param name="Map">Whether the dataplane puts it into the socket's packets.</param>
/// <param name="Since">Since when.</param>
internal sealed record SocketBinding(
    ulong Cookie, uint User, IpAddress Address, AddressType Type, IpPrefix Prefix, Timestamp PreferredUntil, Timestamp ValidUntil, bool Map,
    Timestamp Since)
{
    /// <summary>Whether it was asked for with IPV6_REQUIRE_SRC_ON_NET.</summary>
    public bool OnNet { get; init; }

    /// <summary>The RFC 5014 preferences it was asked for with.</summary>
    public AddressPreferences Preferences { get; init; }

    /// <summary>Where the socket was when it asked.</summary>
    public SocketPlace Place { get; init; }
}

/// <summary>The answer to a request.</summary>
/// <param name="Status">How it ended.</param>
/// <param name="Binding">What the socket has got, if granted.</param>
/// <param name="Now">The time by which its lifetimes count.</param>
internal sealed record ServiceAnswer(ServiceStatus Status, SocketBinding? Binding, Timestamp Now);

/// <summary>What became of a socket's address.</summary>
internal enum BindingNoticeKind : byte
{
    /// <summary>It is deprecated or closes: the time left is told.</summary>
    Deprecated,

    /// <summary>It is preferred again, or has other lifetimes now.</summary>
    Renewed,

    /// <summary>It has ended under the socket.</summary>
    Stranded,

    /// <summary>The socket's new flows have another address now.</summary>
    Replaced,

    /// <summary>The socket was closed, or gave the address up.</summary>
    Released,

    /// <summary>Notices were lost, because they were not read in time; what is there now is to be listed.</summary>
    Missed,
}

/// <summary>One notice.</summary>
/// <param name="Kind">What happened.</param>
/// <param name="Time">When.</param>
/// <param name="Binding">The socket and its address, as they are now; null for <see cref="BindingNoticeKind.Missed"/>.</param>
/// <param name="Left">How long the address stays; null if it has ended or stays for ever.</param>
internal sealed record BindingNotice(BindingNoticeKind Kind, Timestamp Time, SocketBinding? Binding, Duration? Left);

/// <summary>What the dataplane does for sockets that ask. From any thread.</summary>
internal interface ISocketServices
{
    /// <summary>Asks for an address. A later request for the same socket takes the place of an earlier one.</summary>
    /// <param name="request">The request.</param>
    /// <param name="cancellationToken">Gives up; what was asked for is then released.</param>
    /// <returns>The answer.</returns>
    /// <exception cref="InvalidOperationException">The dataplane is shutting down, or too many commands wait.</exception>
    Task<ServiceAnswer> RequestAsync(ServiceRequest request, CancellationToken cancellationToken);

    /// <summary>Gives up what a socket has asked for; its flows go on.</summary>
    /// <param name="cookie">The socket.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <returns>Whether it had asked for something.</returns>
    Task<bool> ReleaseAsync(ulong cookie, CancellationToken cancellationToken);

    /// <summary>What a socket has got.</summary>
    /// <param name="cookie">The socket.</param>
    /// <returns>The binding; null if there is none.</returns>
    SocketBinding? Find(ulong cookie);

    /// <summary>What all sockets have got, by cookie.</summary>
    /// <param name="user">Only those of this user; null for all.</param>
    /// <returns>The bindings.</returns>
    IReadOnlyList<SocketBinding> List(uint? user);

    /// <summary>Tells what becomes of bindings from now on. A reader that is too slow misses notices and is told so.</summary>
    /// <param name="user">Only those of this user; null for all.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>The notices.</returns>
    IAsyncEnumerable<BindingNotice> WatchAsync(uint? user, CancellationToken cancellationToken);
}

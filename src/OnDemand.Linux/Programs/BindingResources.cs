using System.Globalization;
using System.Text.Json.Serialization;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Service;

namespace OnDemand.Linux.Programs;

/// <summary>POST /v1/setsc, as the command writes it.</summary>
internal sealed record SetscBody
{
    /// <summary>The socket's cookie.</summary>
    public required string Cookie { get; init; }

    /// <summary>The type.</summary>
    public required string Type { get; init; }

    /// <summary>Whether the address must be of the present network.</summary>
    [JsonPropertyName("on-net")]
    public bool OnNet { get; init; }

    /// <summary>Whether the dataplane is to put the address into the socket's packets.</summary>
    public bool Map { get; init; }

    /// <summary>How long the network may be waited for, in seconds.</summary>
    public decimal? Timeout { get; init; }
}

/// <summary>What a socket has got: the answer to POST /v1/setsc.</summary>
internal sealed record GrantResource
{
    /// <summary>The kernel's number of the socket, in digits: not every reader of JSON has 64 bits for a number.</summary>
    public required string Cookie { get; init; }

    /// <summary>The typed address.</summary>
    public required IpAddress Address { get; init; }

    /// <summary>Its type; <c>untyped</c> for preferences alone.</summary>
    public required AddressType Type { get; init; }

    /// <summary>Its prefix.</summary>
    public required IpPrefix Prefix { get; init; }

    /// <summary>Seconds for which it is preferred; null for ever.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public required decimal? Preferred { get; init; }

    /// <summary>Seconds for which it may be used; null for ever.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public required decimal? Valid { get; init; }

    /// <summary>Whether the dataplane puts it into the socket's packets.</summary>
    public required bool Map { get; init; }
}

/// <summary>A binding, in lists and notices.</summary>
internal sealed record BindingResource
{
    /// <summary>The kernel's number of the socket.</summary>
    public required string Cookie { get; init; }

    /// <summary>Whose socket it is.</summary>
    public required uint User { get; init; }

    /// <summary>The typed address.</summary>
    public required IpAddress Address { get; init; }

    /// <summary>Its type; <c>untyped</c> for preferences alone.</summary>
    public required AddressType Type { get; init; }

    /// <summary>Its prefix.</summary>
    public required IpPrefix Prefix { get; init; }

    /// <summary>Seconds for which it is preferred; null for ever.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public required decimal? Preferred { get; init; }

    /// <summary>Seconds for which it may be used; null for ever.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public required decimal? Valid { get; init; }

    /// <summary>Whether the dataplane puts it into the socket's packets.</summary>
    public required bool Map { get; init; }

    /// <summary>Since when the socket has it.</summary>
    public required Timestamp Since { get; init; }
}

/// <summary>GET /v1/bindings.</summary>
/// <param name="Time">The time by which lifetimes count.</param>
/// <param name="Bindings">The bindings, by cookie.</param>
internal sealed record BindingsResource(Timestamp Time, IReadOnlyList<BindingResource> Bindings);

/// <summary>A line of GET /v1/watch.</summary>
internal sealed record NoticeResource
{
    /// <summary>deprecated, renewed, stranded, replaced, released or missed.</summary>
    public required string Notice { get; init; }

    /// <summary>When.</summary>
    public required Timestamp Time { get; init; }

    /// <summary>Seconds for which the address stays; null if it has ended, or stays for ever.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public required decimal? Left { get; init; }

    /// <summary>The socket and its address; left out of <c>missed</c>.</summary>
    public BindingResource? Binding { get; init; }
}

/// <summary>GET /v1/rights.</summary>
/// <param name="Type">The type.</param>
/// <param name="Allowed">Whether the user who asks may have it.</param>
/// <param name="Reason">Why not, in a sentence; left out if he may.</param>
/// <param name="Programs">The only programs that may have it, as paths; left out if all may, or the user may not.</param>
internal sealed record RightResource(AddressType Type, bool Allowed, string? Reason, IReadOnlyList<string>? Programs);

/// <summary>Makes resources of bindings.</summary>
internal static class BindingMaker
{
    private const decimal Millisecond = 1_000_000m;

    /// <summary>What a socket has got.</summary>
    public static GrantResource Grant(SocketBinding binding, Timestamp now) => new()
    {
        Cookie = Text(binding.Cookie),
        Address = binding.Address,
        Type = binding.Type,
        Prefix = binding.Prefix,
        Preferred = Left(binding.PreferredUntil, now),
        Valid = Left(binding.ValidUntil, now),
        Map = binding.Map,
    };

    /// <summary>A binding.</summary>
    public static BindingResource Binding(SocketBinding binding, Timestamp now) => new()
    {
        Cookie = Text(binding.Cookie),
        User = binding.User,
        Address = binding.Address,
        Type = binding.Type,
        Prefix = binding.Prefix,
        Preferred = Left(binding.PreferredUntil, now),
        Valid = Left(binding.ValidUntil, now),
        Map = binding.Map,
        Since = binding.Since,
    };

    /// <summary>A notice.</summary>
    public static NoticeResource Notice(BindingNotice notice) => new()
    {
        Notice = NameOf(notice.Kind),
        Time = notice.Time,
        Left = notice.Left is { } left && left != Duration.Infinite ? Seconds(left) : null,
        Binding = notice.Binding is { } binding ? Binding(binding, notice.Time) : null,
    };

    /// <summary>The name of a kind of notices.</summary>
    public static string NameOf(BindingNoticeKind kind) => kind switch
    {
        BindingNoticeKind.Deprecated => "deprecated",
        BindingNoticeKind.Renewed => "renewed",
        BindingNoticeKind.Stranded => "stranded",
        BindingNoticeKind.Replaced => "replaced",
        BindingNoticeKind.Released => "released",
        _ => "missed",
    };

    private static decimal? Left(Timestamp until, Timestamp now) => until == Timestamp.Never ? null : Seconds(until.Since(now));

    // Rounded up to milliseconds: what is not over yet must not look so.
    private static decimal Seconds(Duration duration) => decimal.Ceiling(Math.Max(0, duration.Nanoseconds) / Millisecond) / 1000;

    private static string Text(ulong cookie) => cookie.ToString(CultureInfo.InvariantCulture);
}

using System.Text.Json;
using System.Text.Json.Serialization;
using OnDemand.Captures.Reports;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Audit;

/// <summary>One line of the audit log: who asked for what, and what came of it.</summary>
internal sealed record AuditEntry
{
    /// <summary>When it was decided.</summary>
    public required Timestamp Time { get; init; }

    /// <summary>The user who asked.</summary>
    public required uint Uid { get; init; }

    /// <summary>The process that asked.</summary>
    public required int Pid { get; init; }

    /// <summary>What that process runs, as the kernel says it; left out if it does not.</summary>
    public string? Program { get; init; }

    /// <summary>The socket's cookie; left out if it was not found out.</summary>
    public string? Cookie { get; init; }

    /// <summary>The type that was asked for; <c>untyped</c> for preferences alone; left out for a release.</summary>
    public string? Type { get; init; }

    /// <summary><c>granted</c>, <c>released</c>, or the name of the problem.</summary>
    public required string Result { get; init; }

    /// <summary>The address, if granted.</summary>
    public IpAddress? Address { get; init; }

    /// <summary>The cgroup of the command that the socket was started under (<c>ondemand exec</c>); left out of what was asked for the
    /// socket itself.</summary>
    public string? Cgroup { get; init; }
}

/// <summary>What stands where entries are missing, because they came faster than the disk takes them.</summary>
/// <param name="Time">When there was room again.</param>
/// <param name="Lost">How many.</param>
internal sealed record AuditGap(Timestamp Time, long Lost);

/// <summary>The generated serializer. Its encoder leaves nothing of what a program is called that a terminal would obey.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters = [typeof(TimestampConverter), typeof(IpAddressConverter)])]
[JsonSerializable(typeof(AuditEntry))]
[JsonSerializable(typeof(AuditGap))]
internal sealed partial class AuditJson : JsonSerializerContext;

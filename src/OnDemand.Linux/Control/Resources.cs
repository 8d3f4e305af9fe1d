using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using OnDemand.Captures.Reports;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Programs;

namespace OnDemand.Linux.Control;

/// <summary>A prefix that a network gives, as a request says it; words as in scenario files.</summary>
internal sealed record PrefixGift(string Prefix, string? Type, string? Preferred, string? Valid, bool? Home);

/// <summary>POST /v1/attach.</summary>
internal sealed record AttachBody(string Attachment, IReadOnlyList<PrefixGift> Prefixes, string? Window);

/// <summary>POST /v1/withdraw.</summary>
internal sealed record WithdrawBody(string Prefix, string? Window);

/// <summary>What a move led to.</summary>
/// <param name="Attachment">Where the host is attached now; null while detached.</param>
/// <param name="Since">Since when.</param>
/// <param name="Moves">Moves since the start.</param>
/// <param name="Prefixes">The prefixes that there are now.</param>
/// <param name="NotTaken">Prefixes that were given and found no room.</param>
internal sealed record MoveResource(
    string? Attachment, Timestamp Since, long Moves, IReadOnlyList<PrefixResource> Prefixes, IReadOnlyList<IpPrefix> NotTaken);

/// <summary>GET /v1/status.</summary>
internal sealed record StatusResource
{
    /// <summary>The configuration file.</summary>
    public required string Configuration { get; init; }

    /// <summary>When this was so.</summary>
    public required Timestamp Time { get; init; }

    /// <summary>Where the host is attached; null while detached.</summary>
    public string? Attachment { get; init; }

    /// <summary>Since when it is, or is detached.</summary>
    public required Timestamp Since { get; init; }

    /// <summary>Moves since the start, the first attachment not counted.</summary>
    public required long Moves { get; init; }

    /// <summary>Whether the uplink, or any of them, is there and up.</summary>
    public required bool UplinkUp { get; init; }

    /// <summary>The addresses that programs send from.</summary>
    public required IReadOnlyList<IpPrefix> Internal { get; init; }

    /// <summary>What sockets get that asked for nothing and that no rule names: a type, or <c>legacy</c>.</summary>
    public required string Default { get; init; }

    /// <summary>Flows in the table.</summary>
    public required int Flows { get; init; }

    /// <summary>Flows that it can hold.</summary>
    public required int FlowCapacity { get; init; }

    /// <summary>Sockets with an address of their own choice.</summary>
    public required int Bindings { get; init; }

    /// <summary>Typed addresses.</summary>
    public required int Addresses { get; init; }

    /// <summary>The prefixes.</summary>
    public required IReadOnlyList<PrefixResource> Prefixes { get; init; }
}

/// <summary>GET /v1/prefixes.</summary>
internal sealed record PrefixesResource(Timestamp Time, IReadOnlyList<PrefixResource> Prefixes);

/// <summary>A prefix.</summary>
internal sealed record PrefixResource
{
    public required IpPrefix Prefix { get; init; }

    public required AddressType Type { get; init; }

    /// <summary>preferred, deprecated, closing or ended.</summary>
    public required string State { get; init; }

    /// <summary>How long new flows still take it; <c>infinite</c> for ever.</summary>
    public required Duration PreferredLeft { get; init; }

    /// <summary>How long it may still be used.</summary>
    public required Duration ValidLeft { get; init; }

    /// <summary>How long its replacement window is still open; left out if none is.</summary>
    public Duration? WindowLeft { get; init; }

    /// <summary>Whether the present network gave it or renewed it.</summary>
    public required bool PresentNetwork { get; init; }

    /// <summary>Whether it was asked for.</summary>
    public required bool OnDemand { get; init; }

    public required bool Home { get; init; }

    /// <summary>Flows that are not closed, and sockets' requests.</summary>
    public required int Users { get; init; }

    /// <summary>Typed addresses out of it.</summary>
    public required int Addresses { get; init; }
}

/// <summary>GET /v1/flows.</summary>
internal sealed record FlowsResource(Timestamp Time, int Total, IReadOnlyList<FlowResource> Flows);

/// <summary>A flow.</summary>
internal sealed record FlowResource
{
    public required int Number { get; init; }

    public required string Protocol { get; init; }

    public required IpAddress Internal { get; init; }

    public required ushort LocalPort { get; init; }

    public required IpAddress Remote { get; init; }

    public required ushort RemotePort { get; init; }

    /// <summary><c>host</c> or <c>remote</c>: who opened it.</summary>
    public required string OpenedBy { get; init; }

    public required AddressType Type { get; init; }

    /// <summary>The typed address.</summary>
    public required IpAddress Address { get; init; }

    /// <summary>The typed address before, as long as its window is open.</summary>
    public IpAddress? OldAddress { get; init; }

    public required IpPrefix Prefix { get; init; }

    public required string PrefixState { get; init; }

    public required string State { get; init; }

    public required bool Native { get; init; }

    /// <summary>Packets in both directions, modulo 2^32.</summary>
    public required uint Packets { get; init; }

    public required ulong Octets { get; init; }

    public required Timestamp LastSeen { get; init; }

    /// <summary>When it is forgotten unless another packet comes.</summary>
    public required Timestamp IdleAt { get; init; }

    /// <summary>Why it has its address, in words.</summary>
    public required string Decision { get; init; }
}

/// <summary>GET /v1/counters.</summary>
internal sealed record CountersResource
{
    public required Timestamp Time { get; init; }

    /// <summary>Frames by what became of them: forward, reply, hold, drop.</summary>
    public required IReadOnlyDictionary<string, long> Verdicts { get; init; }

    /// <summary>Frames sent on, by reason; reasons without any are left out.</summary>
    public required IReadOnlyDictionary<string, long> Forwarded { get; init; }

    /// <summary>Frames dropped or answered, by reason; reasons without any are left out.</summary>
    public required IReadOnlyDictionary<string, long> Dropped { get; init; }

    public required IReadOnlyList<TypeResource> Types { get; init; }

    public required long ResetsSent { get; init; }

    public required long IcmpErrorsSent { get; init; }

    public required long IcmpErrorsSuppressed { get; init; }

    public required long NetworkRequests { get; init; }

    public required long AddressesRenewed { get; init; }

    public required long EventsLost { get; init; }

    public required TapResource Tap { get; init; }
}

/// <summary>What passed between the kernel and the engine; octets count Ethernet headers. See <see cref="Run.ShellCounters"/>.</summary>
internal sealed record TapResource
{
    public required long FramesRead { get; init; }

    public required long OctetsRead { get; init; }

    public required long FramesWritten { get; init; }

    public required long OctetsWritten { get; init; }

    /// <summary>Superpackets among the frames read.</summary>
    public required long Superpackets { get; init; }

    /// <summary>Superpackets put together for writing.</summary>
    public required long SuperpacketsMade { get; init; }

    /// <summary>Frames that were written in them.</summary>
    public required long FramesJoined { get; init; }

    /// <summary>Superpackets that the kernel did not take.</summary>
    public required long SuperpacketsRefused { get; init; }

    public required long Batches { get; init; }

    /// <summary>Batches read with one system call.</summary>
    public required long RingBatches { get; init; }

    public required long NeighborAnswers { get; init; }

    public required long ReadErrors { get; init; }

    /// <summary>Control commands carried out.</summary>
    public required long Commands { get; init; }

    /// <summary>Each queue of the TAP.</summary>
    public required IReadOnlyList<QueueResource> Queues { get; init; }

    /// <summary>Frames that could be meant for nobody, by reason; reasons without any are left out.</summary>
    public required IReadOnlyDictionary<string, long> Ignored { get; init; }

    /// <summary>Frames lost outside the engine, by reason; reasons without any are left out.</summary>
    public required IReadOnlyDictionary<string, long> Lost { get; init; }
}

/// <summary>What passed through one queue of the TAP.</summary>
internal sealed record QueueResource(long FramesRead, long FramesWritten);

/// <summary>What one type has carried; see <see cref="TypeCounters"/>.</summary>
internal sealed record TypeResource(
    AddressType Type, long Flows, long FlowsOpened, long WentOver, long Stranded, long Refused, long Packets, long Octets);

/// <summary>The generated serializer of all resources.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters =
    [
        typeof(TimestampConverter), typeof(DurationConverter), typeof(IpAddressConverter), typeof(IpPrefixConverter),
        typeof(AddressTypeConverter),
    ])]
[JsonSerializable(typeof(AttachBody))]
[JsonSerializable(typeof(WithdrawBody))]
[JsonSerializable(typeof(MoveResource))]
[JsonSerializable(typeof(StatusResource))]
[JsonSerializable(typeof(PrefixesResource))]
[JsonSerializable(typeof(FlowsResource))]
[JsonSerializable(typeof(CountersResource))]
[JsonSerializable(typeof(ControlProblem))]
[JsonSerializable(typeof(SetscBody))]
[JsonSerializable(typeof(GrantResource))]
[JsonSerializable(typeof(List<GrantResource>))]
[JsonSerializable(typeof(BindingResource))]
[JsonSerializable(typeof(BindingsResource))]
[JsonSerializable(typeof(NoticeResource))]
[JsonSerializable(typeof(RightResource))]
internal sealed partial class ControlJson : JsonSerializerContext;

/// <summary>How resources are written. Nothing of it is ever put into a web page, so quotation marks and all letters stay
/// readable.</summary>
internal static class JsonStyles
{
    /// <summary>As they are sent.</summary>
    public static readonly ControlJson Compact =
        new(new JsonSerializerOptions(ControlJson.Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    /// <summary>As they are shown.</summary>
    public static readonly ControlJson Readable = new(new JsonSerializerOptions(Compact.Options) { WriteIndented = true, NewLine = "\n" });
}

/// <summary>Durations as in scenario files.</summary>
internal sealed class DurationConverter : JsonConverter<Duration>
{
    /// <inheritdoc/>
    public override Duration Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        ScenarioText.TryDuration(reader.GetString() ?? string.Empty, out Duration duration)
            ? duration
            : throw new JsonException("A duration such as 2.5s was expected.");

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, Duration value, JsonSerializerOptions options) =>
        writer.WriteStringValue(ScenarioText.Format(value));
}

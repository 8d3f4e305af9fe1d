using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Recording;

/// <summary>Writes control records: one line of YAML each, in the words of scenario files. <see cref="ControlReader"/> reads them.</summary>
internal static class ControlText
{
    /// <summary>The record of <see cref="DataplaneEngine.Advance"/>.</summary>
    public const string Advance = "{advance: true}";

    /// <summary>The run ended.</summary>
    public const string EndOfRun = "stop";

    /// <summary>The file has reached its limit.</summary>
    public const string EndByLimit = "limit";

    /// <summary>The file could not be written as fast as frames came.</summary>
    public const string EndBySpeed = "slow";

    /// <summary>The file could not be written.</summary>
    public const string EndByDisk = "disk";

    /// <summary>The network, or the host within it, did something.</summary>
    /// <param name="happened">What.</param>
    /// <returns>The record.</returns>
    public static string Of(NetworkEvent happened) => happened switch
    {
        AttachEvent attach => Map(
            $"attach: {Quoted(attach.Name)}", Window(attach.Window), $"prefixes: [{string.Join(", ", attach.Prefixes.Select(Prefix))}]"),
        WithdrawEvent withdraw => Map($"withdraw: {Quoted(withdraw.Prefix.ToString())}", Window(withdraw.Window)),
        AdvertiseEvent advertise => Map(
            "advertise: true", advertise.Authenticated ? "authenticated: true" : null,
            $"prefixes: [{string.Join(", ", advertise.Prefixes.Select(Prefix))}]"),
        DetachEvent => "{detach: true}",
        _ => throw new ArgumentException($"There is no record for {happened.GetType().Name}.", nameof(happened)),
    };

    /// <summary>The network answered.</summary>
    /// <param name="answer">The answer.</param>
    /// <returns>The record.</returns>
    public static string Of(in PrefixAnswer answer) => Map(
        string.Create(CultureInfo.InvariantCulture, $"answer: {answer.Id}"),
        answer.Kind switch
        {
            PrefixAnswerKind.Granted => $"grant: {Prefix(answer.Prefix)}",
            PrefixAnswerKind.Refused => "refuse: true",
            _ => "unsupported: true",
        });

    /// <summary>A program asked for an address.</summary>
    /// <param name="request">The request.</param>
    /// <returns>The record.</returns>
    public static string Of(in SetscRequest request) => Map(
        string.Create(CultureInfo.InvariantCulture, $"request: {request.Token}"),
        request.Socket == 0
            ? Socket(request.Protocol, request.Internal, request.LocalPort)
            : string.Create(CultureInfo.InvariantCulture, $"cookie: {request.Socket}"),
        request.Socket != 0 && !request.Internal.IsUnspecified ? $"internal: {Quoted(request.Internal.ToString())}" : null,
        request.Native ? "native: true" : null,
        request.Type == AddressType.None ? null : $"type: {Type(request.Type)}",
        request.Prefix is { } prefix ? $"prefix: {Quoted(prefix.ToString())}" : null,
        request.OnNet ? "on-net: true" : null,
        Preferences(request.Preferences),
        request.Kept.IsUnspecified ? null : $"kept: {Quoted(request.Kept.ToString())}");

    /// <summary>A program closed its socket.</summary>
    /// <param name="protocol">The socket's protocol.</param>
    /// <param name="internalAddress">Its internal address, or unspecified.</param>
    /// <param name="localPort">Its port.</param>
    /// <returns>The record.</returns>
    public static string Close(byte protocol, IpAddress internalAddress, ushort localPort) =>
        Map("close: true", Socket(protocol, internalAddress, localPort));

    /// <summary>The kernel said whose a new flow is.</summary>
    /// <param name="answer">The answer.</param>
    /// <returns>The record.</returns>
    public static string Of(in SocketAnswer answer) => Map(
        string.Create(CultureInfo.InvariantCulture, $"socket: {answer.Id}"),
        string.Create(CultureInfo.InvariantCulture, $"cookie: {answer.Cookie}"),
        answer.Traits == 0 ? null : string.Create(CultureInfo.InvariantCulture, $"traits: 0x{answer.Traits:x}"),
        answer.Type == AddressType.None ? null : $"type: {Type(answer.Type)}",
        answer.OnNet ? "on-net: true" : null,
        Preferences(answer.Preferences));

    /// <summary>A socket is no more.</summary>
    /// <param name="cookie">Its cookie.</param>
    /// <returns>The record.</returns>
    public static string EndOfSocket(ulong cookie) => string.Create(CultureInfo.InvariantCulture, $"{{end-socket: {cookie}}}");

    /// <summary>A socket gave up what it had asked for.</summary>
    /// <param name="cookie">Its cookie.</param>
    /// <returns>The record.</returns>
    public static string Release(ulong cookie) => string.Create(CultureInfo.InvariantCulture, $"{{release: {cookie}}}");

    /// <summary>The kernel said whose a flow is that was there before.</summary>
    /// <param name="flow">The flow.</param>
    /// <param name="cookie">Its socket's cookie.</param>
    /// <returns>The record.</returns>
    public static string Name(in FlowIdentity flow, ulong cookie) => Map(
        string.Create(CultureInfo.InvariantCulture, $"name-socket: {cookie}"),
        Socket(flow.Protocol, flow.Internal, flow.LocalPort),
        $"remote: {Quoted(flow.Remote.ToString())}",
        string.Create(CultureInfo.InvariantCulture, $"remote-port: {flow.RemotePort}"));

    /// <summary>Policy was set anew.</summary>
    /// <param name="policy">The policy.</param>
    /// <returns>The record: the policy in the words of scenarios, and the bits of its conditions on sockets in the order in which its rules
    /// first have them.</returns>
    public static string Of(ScenarioPolicy policy) => Map($"policy: {PolicyText.Of(policy)}", Bits(policy));

    /// <summary>The recording ends.</summary>
    /// <param name="why">One of the words above.</param>
    /// <returns>The record.</returns>
    public static string End(string why) => $"{{end: {why}}}";

    private static string Socket(byte protocol, IpAddress internalAddress, ushort localPort) => string.Create(
        CultureInfo.InvariantCulture,
        $"protocol: {ScenarioText.Protocol(protocol)}, local-port: {localPort}{(internalAddress.IsUnspecified ? "" : $", internal: {Quoted(internalAddress.ToString())}")}");

    private static string? Bits(ScenarioPolicy policy)
    {
        SocketCondition?[] places = [.. policy.Conditions];
        int[] bits = [.. policy.Rules.Select(rule => rule.Socket).OfType<SocketCondition>().Distinct()
            .Select(condition => Array.IndexOf(places, condition))];
        return bits.Length == 0 ? null : $"bits: [{string.Join(", ", bits)}]";
    }

    private static string Prefix(PrefixAdvertisement prefix) => Map(
        $"prefix: {Quoted(prefix.Prefix.ToString())}",
        $"type: {Type(prefix.Type)}",
        prefix.PreferredLifetime == Duration.Infinite ? null : $"preferred: {ScenarioText.Format(prefix.PreferredLifetime)}",
        prefix.ValidLifetime == Duration.Infinite ? null : $"valid: {ScenarioText.Format(prefix.ValidLifetime)}",
        prefix.Home ? "home: true" : null);

    // A reserved type is what a mistaken program asks for; it has no name.
    private static string Type(AddressType type) => type == AddressType.None ? ControlReader.Untyped
        : AddressTypes.IsDefined(type) ? AddressTypes.ToName(type)
        : ((byte)type).ToString(CultureInfo.InvariantCulture);

    private static string? Preferences(AddressPreferences preferences) =>
        preferences == AddressPreferences.None ? null : string.Create(CultureInfo.InvariantCulture, $"preferences: 0x{(uint)preferences:x}");

    private static string? Window(Duration? window) => window is { } given ? $"window: {ScenarioText.Format(given)}" : null;

    private static string Map(params string?[] parts) => $"{{{string.Join(", ", parts.OfType<string>())}}}";

    // In double quotes, as JSON has them: a name may hold anything, an address is full of colons.
    /// <summary>Quotes a name or an address.</summary>
    /// <param name="text">The text.</param>
    /// <returns>The text in quotes.</returns>
    internal static string Quoted(string text) => $"\"{JsonEncodedText.Encode(text, JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\"";
}

using System.Net;
using System.Net.Sockets;
using System.Text.Json;

namespace OnDemand.Setsc;

/// <summary>What the dataplane said: a status and, where its body is a JSON object, the strings in it that matter.</summary>
internal readonly record struct SetscAnswer(int Status, string? Type, string? Cookie, string? Address)
{
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 16 };

    /// <summary>Reads an answer; one that is no JSON object has none of the strings.</summary>
    public static SetscAnswer Read(int status, string? mediaType, byte[] body)
    {
        if (mediaType is not ("application/json" or "application/problem+json"))
        {
            return new SetscAnswer(status, null, null, null);
        }

        try
        {
            using var document = JsonDocument.Parse(body, Strict);
            JsonElement root = document.RootElement;
            return new SetscAnswer(status, Text(root, "type"), Text(root, "cookie"), Text(root, "address"));
        }
        catch (Exception unfit) when (unfit is JsonException or InvalidOperationException)   // the latter for half a surrogate pair
        {
            return new SetscAnswer(status, null, null, null);
        }
    }

    /// <summary>The name of a type in requests and answers.</summary>
    public static string NameOf(AddressType type) => type switch
    {
        AddressType.Fixed => "fixed",
        AddressType.SessionLasting => "session-lasting",
        AddressType.Nonpersistent => "nonpersistent",
        _ => "graceful-replacement"
    };

    /// <summary>The address, if this grants exactly what was asked for.</summary>
    public IPAddress Granted(AddressType type, string cookie)
    {
        if (Status != 200)
        {
            throw new SetscException(Problem());
        }

        // A prefix length, a zone and brackets are no part of an address here, though the parser takes some of them.
        bool good = Type == NameOf(type) && Cookie == cookie && Address is not null && !Address.AsSpan().ContainsAny("%[]/");
        return good && IPAddress.TryParse(Address, out IPAddress? address) && address.AddressFamily == AddressFamily.InterNetworkV6
            && !address.Equals(IPAddress.IPv6Any) && !address.Equals(IPAddress.IPv6Loopback) && !address.IsIPv6Multicast
            ? address
            : throw new SetscException(SetscError.Misunderstood);
    }

    /// <summary>Ends well only if this says that the binding is released.</summary>
    public void Released()
    {
        if (Status != 204)
        {
            SetscError problem = Problem();
            throw new SetscException(problem == SetscError.UnknownSocket ? SetscError.NoAddress : problem);
        }
    }

    private static string? Text(JsonElement root, string name) =>
        root.ValueKind == JsonValueKind.Object && root.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;

    /// <summary>The problem types of RFC 9457 that the dataplane knows; each has one status.</summary>
    private SetscError Problem() => (Status, Type) switch
    {
        (409, "urn:ondemand:problem:type-not-supported") => SetscError.NotSupported,
        (502, "urn:ondemand:problem:network-refused") => SetscError.Failed,
        (504, "urn:ondemand:problem:network-silent") => SetscError.Failed,
        (400, "urn:ondemand:problem:invalid-request") => SetscError.InvalidRequest,
        (403, "urn:ondemand:problem:forbidden") => SetscError.Forbidden,
        (429, "urn:ondemand:problem:quota") => SetscError.QuotaUsedUp,
        (404, "urn:ondemand:problem:unknown-socket") => SetscError.UnknownSocket,
        (503, "urn:ondemand:problem:no-room") => SetscError.NoRoom,
        (503, "urn:ondemand:problem:unavailable") => SetscError.NoDataplane,
        _ => SetscError.Misunderstood
    };
}

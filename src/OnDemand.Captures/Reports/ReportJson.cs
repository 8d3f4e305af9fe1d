using System.Text.Json;
using System.Text.Json.Serialization;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Reports;

/// <summary>Writes reports as JSON.</summary>
public static class ReportJson
{
    private static readonly ReportJsonContext Context = new(ReadableJson.OptionsOf(ReportJsonContext.Default));

    /// <summary>Writes a report, indented, with a line feed at the end.</summary>
    /// <param name="output">Where to; stays open.</param>
    /// <param name="report">The report.</param>
    public static void Write(Stream output, ReplayReport report) => ReadableJson.Write(output, report, Context.ReplayReport);
}

/// <summary>The generated serializer.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true,
    NewLine = "\n",
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters = [typeof(TimestampConverter), typeof(IpAddressConverter), typeof(IpPrefixConverter), typeof(AddressTypeConverter)])]
[JsonSerializable(typeof(ReplayReport))]
internal sealed partial class ReportJsonContext : JsonSerializerContext;

/// <summary>Times as decimal seconds with nine digits, as text: no reader loses nanoseconds to a floating-point number.</summary>
internal sealed class TimestampConverter : JsonConverter<Timestamp>
{
    /// <inheritdoc/>
    public override Timestamp Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        decimal.TryParse(reader.GetString(), System.Globalization.CultureInfo.InvariantCulture, out decimal seconds)
            ? new Timestamp((long)(seconds * Timestamp.NanosecondsPerSecond))
            : throw new JsonException("A time is decimal seconds in quotes.");

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, Timestamp value, JsonSerializerOptions options) =>
        writer.WriteStringValue(ReportText.Seconds(value));
}

/// <summary>Addresses as text (RFC 5952).</summary>
internal sealed class IpAddressConverter : JsonConverter<IpAddress>
{
    /// <inheritdoc/>
    public override IpAddress Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        IpAddress.TryParse(reader.GetString(), out IpAddress address) ? address : throw new JsonException("An IPv6 address was expected.");

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, IpAddress value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.ToString());
}

/// <summary>Prefixes as text.</summary>
internal sealed class IpPrefixConverter : JsonConverter<IpPrefix>
{
    /// <inheritdoc/>
    public override IpPrefix Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        IpPrefix.TryParse(reader.GetString(), out IpPrefix prefix) ? prefix : throw new JsonException("An IPv6 prefix was expected.");

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, IpPrefix value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.ToString());
}

/// <summary>Types under the names of scenario files.</summary>
internal sealed class AddressTypeConverter : JsonConverter<AddressType>
{
    /// <inheritdoc/>
    public override AddressType Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.GetString() is string name && (AddressTypes.TryParse(name, out AddressType type) || name == AddressTypes.ToName(type))
            ? type
            : throw new JsonException("A type was expected.");

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, AddressType value, JsonSerializerOptions options) =>
        writer.WriteStringValue(AddressTypes.ToName(value));
}

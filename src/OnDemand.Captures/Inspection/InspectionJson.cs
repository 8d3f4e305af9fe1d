using System.Text.Json;
using System.Text.Json.Serialization;
using OnDemand.Captures.Reports;

namespace OnDemand.Captures.Inspection;

/// <summary>Writes what an inspection found as JSON.</summary>
public static class InspectionJson
{
    private static readonly InspectionJsonContext Context = new(ReadableJson.OptionsOf(InspectionJsonContext.Default));

    /// <summary>Writes a report, indented, with a line feed at the end.</summary>
    /// <param name="output">Where to; stays open.</param>
    /// <param name="report">The report.</param>
    public static void Write(Stream output, InspectionReport report) => ReadableJson.Write(output, report, Context.InspectionReport);
}

/// <summary>The generated serializer.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true,
    NewLine = "\n",
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters = [typeof(TimestampConverter), typeof(IpAddressConverter)])]
[JsonSerializable(typeof(InspectionReport))]
internal sealed partial class InspectionJsonContext : JsonSerializerContext;

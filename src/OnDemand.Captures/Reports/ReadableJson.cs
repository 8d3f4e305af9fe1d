using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace OnDemand.Captures.Reports;

/// <summary>JSON for people as well as programs: indented by its context, text as it is, a line feed at the end.</summary>
internal static class ReadableJson
{
    /// <summary>A context's options, with text left readable. Nothing here is ever put into a web page.</summary>
    /// <param name="context">The generated serializer.</param>
    /// <returns>The options to make the context anew with.</returns>
    public static JsonSerializerOptions OptionsOf(JsonSerializerContext context) =>
        new(context.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes a value and a line feed.</summary>
    /// <typeparam name="T">Its type.</typeparam>
    /// <param name="output">Where to; stays open.</param>
    /// <param name="value">The value.</param>
    /// <param name="type">How it is written.</param>
    public static void Write<T>(Stream output, T value, JsonTypeInfo<T> type)
    {
        ArgumentNullException.ThrowIfNull(output);
        JsonSerializer.Serialize(output, value, type);
        output.WriteByte((byte)'\n');
    }
}

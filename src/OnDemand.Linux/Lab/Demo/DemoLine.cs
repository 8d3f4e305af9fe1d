using System.Text.Json;
using System.Text.Json.Serialization;

namespace OnDemand.Linux.Lab.Demo;

/// <summary>What one of the demo's programs saw, as a line of JSON on its standard output.</summary>
/// <param name="At">When, in UTC.</param>
/// <param name="Event">What, one of <see cref="DemoEvents"/>.</param>
/// <param name="Protocol"><c>TCP</c> or <c>UDP</c>.</param>
/// <param name="Port">The correspondent's port, which stands for the type.</param>
/// <param name="Text">An address, an error or nothing.</param>
/// <param name="Octets">Octets received in order since the connection began, or questions answered.</param>
/// <param name="Lost">Questions without an answer.</param>
internal sealed record DemoLine(
    DateTimeOffset At, string Event, string Protocol, int Port, string Text = "", long Octets = 0, long Lost = 0)
{
    /// <summary>Writes it.</summary>
    /// <param name="output">Where to; synchronized, for lines come from several flows.</param>
    public void Write(TextWriter output)
    {
        output.Write(JsonSerializer.Serialize(this, DemoJson.Default.DemoLine) + "\n");
        output.Flush();
    }

    /// <summary>Reads one.</summary>
    /// <param name="line">The line.</param>
    /// <returns>What it says; null if it says nothing of ours.</returns>
    public static DemoLine? Read(string line)
    {
        try
        {
            return JsonSerializer.Deserialize(line, DemoJson.Default.DemoLine);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>What can be seen.</summary>
internal static class DemoEvents
{
    /// <summary>The correspondent listens.</summary>
    public const string Ready = "ready";

    /// <summary>The correspondent sees a source address it has not seen for this flow.</summary>
    public const string Source = "source";

    /// <summary>The program has a connection.</summary>
    public const string Connected = "connected";

    /// <summary>The program's connection was ended under it.</summary>
    public const string Reset = "reset";

    /// <summary>The program received something that the correspondent did not send.</summary>
    public const string Corrupt = "corrupt";

    /// <summary>The program stops; its last words.</summary>
    public const string Done = "done";
}

/// <summary>The lines as JSON.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault)]
[JsonSerializable(typeof(DemoLine))]
internal sealed partial class DemoJson : JsonSerializerContext;

using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane.Mobility;

namespace OnDemand.Linux.Control;

/// <summary>Reads the values behind the question mark; what is unknown, doubled or wrong is a problem, not ignored.</summary>
internal static class QueryValues
{
    /// <summary>Checks that there are no others than these, and each once.</summary>
    public static void Check(HttpContext http, params ReadOnlySpan<string> known)
    {
        foreach ((string name, StringValues values) in http.Request.Query)
        {
            if (!known.Contains(name))
            {
                string near = NearestName.Of(name, known.ToArray()) is { } word ? $"; '{word}' is near" : string.Empty;
                throw Wrong($"{http.Request.Path} has no parameter {ScalarNode.Quote(name)}{near}.");
            }

            if (values.Count != 1)
            {
                throw Wrong($"The parameter '{name}' is there {values.Count} times; once is enough.");
            }
        }
    }

    /// <summary>A type; <c>untyped</c> for none.</summary>
    public static AddressType? Type(HttpContext http, string name)
    {
        if (Text(http, name) is not { } text)
        {
            return null;
        }

        return AddressTypes.TryParse(text, out AddressType type) || text == AddressTypes.ToName(AddressType.None)
            ? type
            : throw NotAmong(name, text, $"one of {string.Join(", ", ScenarioFields.TypeNames)}, untyped");
    }

    /// <summary>A protocol, by name or number.</summary>
    public static byte? Protocol(HttpContext http, string name)
    {
        if (Text(http, name) is not { } text)
        {
            return null;
        }

        return ScenarioText.TryProtocol(text, out byte protocol)
            ? protocol
            : throw NotAmong(name, text, $"one of {string.Join(", ", ScenarioText.Protocols)} or a number");
    }

    /// <summary>A number above zero.</summary>
    public static int? Number(HttpContext http, string name, int most)
    {
        if (Text(http, name) is not { } text)
        {
            return null;
        }

        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number > 0 && number <= most
            ? number
            : throw NotAmong(name, text, $"a number from 1 to {most}");
    }

    private static string? Text(HttpContext http, string name) =>
        http.Request.Query.TryGetValue(name, out StringValues values) ? values[0] : null;

    private static ControlException NotAmong(string name, string text, string expected) =>
        Wrong($"Found {name} {ScalarNode.Quote(text)}, expected {expected}.");

    private static ControlException Wrong(string sentence) => new(ProblemTypes.Invalid, 400, sentence);
}

using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;
using OnDemand.Captures.Scenarios;

namespace OnDemand.Linux.Control;

/// <summary>Bodies of requests and answers.</summary>
internal static class HttpBodies
{
    /// <summary>What a request is called in sentences about it.</summary>
    public const string RequestName = "request";

    /// <summary>Reads a body to its end, within Kestrel's limits of size and time, before anything is done.</summary>
    /// <param name="http">The request.</param>
    /// <returns>What it holds; an empty object if nothing.</returns>
    /// <exception cref="ControlException">It is not JSON by name.</exception>
    /// <exception cref="ScenarioException">It is not JSON.</exception>
    public static async Task<ScenarioNode> ReadAsync(HttpContext http)
    {
        QueryValues.Check(http);
        if (http.Request.ContentType is { } type && !type.StartsWith(ProblemResponses.JsonType, StringComparison.OrdinalIgnoreCase))
        {
            throw new ControlException(
                ProblemTypes.Invalid, 415,
                $"The request is {ScalarNode.Quote(type)}; it must be application/json (with curl: -H 'Content-Type: application/json').");
        }

        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body, http.RequestAborted).ConfigureAwait(false);
        return body.Length == 0
            ? new MappingNode(1, 1, [])
            : JsonNodes.Read(RequestName, body.GetBuffer().AsSpan(0, (int)body.Length));
    }

    /// <summary>Writes an answer.</summary>
    /// <typeparam name="T">What it is.</typeparam>
    /// <param name="http">The request.</param>
    /// <param name="resource">The answer.</param>
    /// <param name="type">Its serializer.</param>
    /// <returns>When it is written.</returns>
    public static async Task WriteAsync<T>(HttpContext http, T resource, JsonTypeInfo<T> type)
    {
        http.Response.ContentType = ProblemResponses.JsonType;
        http.Response.Headers.CacheControl = "no-store";
        await JsonSerializer.SerializeAsync(http.Response.Body, resource, type, http.RequestAborted).ConfigureAwait(false);
    }
}

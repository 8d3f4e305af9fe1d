using System.Reflection;
using Microsoft.AspNetCore.Http;
using OnDemand.Linux.Control;

namespace OnDemand.Linux.Programs;

/// <summary>The description of the programs' resources (OpenAPI 3.1), written by hand and held to the real answers by a test.</summary>
internal static class OpenApiDocument
{
    private const string Name = "OnDemand.Linux.Programs.openapi.json";

    private static readonly Lazy<byte[]> Octets = new(Read);

    /// <summary>The document.</summary>
    public static ReadOnlyMemory<byte> Json => Octets.Value;

    /// <summary>GET /openapi.json.</summary>
    /// <param name="http">The request.</param>
    /// <returns>When it is answered.</returns>
    public static async Task WriteAsync(HttpContext http)
    {
        QueryValues.Check(http);
        http.Response.ContentType = ProblemResponses.JsonType;
        http.Response.ContentLength = Octets.Value.Length;
        await http.Response.BodyWriter.WriteAsync(Octets.Value, http.RequestAborted).ConfigureAwait(false);
    }

    private static byte[] Read()
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(Name)
            ?? throw new InvalidOperationException($"The resource {Name} is missing.");
        using var octets = new MemoryStream();
        stream.CopyTo(octets);
        return octets.ToArray();
    }
}

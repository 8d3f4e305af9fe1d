using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace OnDemand.Linux.Tests.Setsc;

/// <summary>One question as it came, and the connection to answer on.</summary>
internal sealed class SetscQuestion(string head, string body, ulong cookie, Socket connection)
{
    /// <summary>The request line and the headers.</summary>
    public string Head { get; } = head;

    public string Line => Head[..Head.IndexOf('\r', StringComparison.Ordinal)];

    public string Body { get; } = body;

    public JsonElement Json => JsonDocument.Parse(Body).RootElement;

    public string Type => Json.GetProperty("type").GetString()!;

    /// <summary>The cookie of the socket whose descriptor was named, taken from the asking process as the dataplane does.</summary>
    public ulong Cookie { get; } = cookie;

    public Socket Connection { get; } = connection;

    /// <summary>The body of the answer that grants what was asked for.</summary>
    public string Granted(string address) => $$"""
        {"cookie": "{{Cookie}}", "address": "{{address}}", "type": "{{Type}}", "prefix": "2001:db8::/64", "preferred": 1800.0, "valid": null, "map": false}
        """;

    public Task GrantAsync(string address = "2001:db8::5") => RespondAsync("200 OK", Granted(address));

    public Task RefuseAsync(int status, string problem) => RespondAsync($"{status} No", $$"""
        {"type": "urn:ondemand:problem:{{problem}}", "title": "No", "status": {{status}}, "detail": "No \"really\" \u2026 no"}
        """, "application/problem+json");

    public Task RespondAsync(string status, string body, string type = "application/json; charset=utf-8") =>
        SendAsync($"HTTP/1.1 {status}\r\nContent-Type: {type}\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\nConnection: close\r\n\r\n{body}");

    public Task SendAsync(string text) => SendAsync(Encoding.Latin1.GetBytes(text));

    /// <summary>Sends; that the asker has gone meanwhile is not the server's business.</summary>
    public async Task SendAsync(ReadOnlyMemory<byte> octets)
    {
        try
        {
            while (!octets.IsEmpty)
            {
                octets = octets[await Connection.SendAsync(octets)..];
            }
        }
        catch (SocketException)
        {
        }
    }
}

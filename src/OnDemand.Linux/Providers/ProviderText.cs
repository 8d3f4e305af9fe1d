using System.Buffers;
using System.Text.Json;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Providers;

/// <summary>
/// Writes the lines that a provider program gets: one JSON object each, in UTF-8, ended by a line feed.
/// </summary>
/// <remarks>
/// <code>
/// {"hello": 1, "attached": "ar1", "prefixes": ["2001:db8:51:2::/64"]}    first, whenever the program starts: the protocol's version, where
///                                                                        the host is (left out if nowhere), what it has of this provider
/// {"request": 7, "type": "session-lasting", "on-net": false, "attempt": 1, "deadline": 10.0}
///                                                                        a prefix is needed; an answer is of use for `deadline` seconds
/// {"cancel": 7}                                                          nobody waits for that answer any more
/// {"attached": "ar2"}, {"detached": true}                                the host has moved, whoever moved it
/// {"released": "2001:db8:51:2::/64"}                                     a prefix of this provider is not in use any more, or never was
/// {"error": "found …, expected …", "line": 12}                           that line of the program was not understood, and had no effect
/// </code>
/// A request is repeated with the same number and the next attempt until it is answered or canceled. New keys may come: a program is to
/// ignore those that it does not know. <see cref="ProviderReader"/> has the lines of the other direction.
/// </remarks>
internal static class ProviderText
{
    /// <summary>The protocol's version.</summary>
    public const int Version = 1;

    /// <summary>The first line.</summary>
    /// <param name="attachment">Where the host is; null for nowhere.</param>
    /// <param name="held">What it has of this provider.</param>
    /// <returns>The line.</returns>
    public static byte[] Hello(string? attachment, IEnumerable<IpPrefix> held) => Line(json =>
    {
        json.WriteNumber("hello", Version);
        if (attachment is not null)
        {
            json.WriteString("attached", attachment);
        }

        json.WriteStartArray("prefixes");
        foreach (IpPrefix prefix in held)
        {
            json.WriteStringValue(prefix.ToString());
        }

        json.WriteEndArray();
    });

    /// <summary>A prefix is needed.</summary>
    /// <param name="attempt">The attempt.</param>
    /// <returns>The line.</returns>
    public static byte[] Request(RequestAttempt attempt) => Line(json =>
    {
        json.WriteNumber("request", attempt.Number);
        json.WriteString("type", AddressTypes.ToName(attempt.Type));
        json.WriteBoolean("on-net", attempt.OnNet);
        json.WriteNumber("attempt", attempt.Attempt);
        json.WriteNumber("deadline", decimal.Round(attempt.Left.Nanoseconds / 1_000_000_000m, 3));
    });

    /// <summary>Nobody waits any more.</summary>
    /// <param name="number">The request.</param>
    /// <returns>The line.</returns>
    public static byte[] Cancel(int number) => Line(json => json.WriteNumber("cancel", number));

    /// <summary>The host has moved.</summary>
    /// <param name="attachment">Where it is; null for nowhere.</param>
    /// <returns>The line.</returns>
    public static byte[] Moved(string? attachment) => Line(json =>
    {
        if (attachment is null)
        {
            json.WriteBoolean("detached", true);
        }
        else
        {
            json.WriteString("attached", attachment);
        }
    });

    /// <summary>A prefix is not in use any more.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <returns>The line.</returns>
    public static byte[] Released(IpPrefix prefix) => Line(json => json.WriteString("released", prefix.ToString()));

    /// <summary>A line was not understood.</summary>
    /// <param name="what">What is wrong with it.</param>
    /// <param name="line">Which line of the program's, counted from 1 since it started.</param>
    /// <returns>The line.</returns>
    public static byte[] Error(string what, long line) => Line(json =>
    {
        json.WriteString("error", what);
        json.WriteNumber("line", line);
    });

    private static byte[] Line(Action<Utf8JsonWriter> write)
    {
        var text = new ArrayBufferWriter<byte>(96);
        using (var json = new Utf8JsonWriter(text))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        text.Write("\n"u8);
        return text.WrittenSpan.ToArray();
    }
}

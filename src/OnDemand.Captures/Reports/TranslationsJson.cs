using System.Text.Json;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Reports;

/// <summary>One translation of a flow: for a time, the internal address stood as the typed one.</summary>
/// <param name="Internal">The internal address.</param>
/// <param name="Typed">The typed address.</param>
/// <param name="From">From when, included.</param>
/// <param name="To">Until when, not included; null for the end of the capture.</param>
/// <param name="Protocol">The upper-layer protocol.</param>
/// <param name="LocalPort">The local port; written only for protocols with ports.</param>
/// <param name="Peer">The remote address.</param>
/// <param name="PeerPort">The remote port; written only for protocols with ports.</param>
public readonly record struct Translation(
    IpAddress Internal, IpAddress Typed, Timestamp From, Timestamp? To, byte Protocol, ushort LocalPort, IpAddress Peer, ushort PeerPort);

/// <summary>How the capture that the translations belong to is to be read.</summary>
public enum TranslationDirection
{
    /// <summary>Taken inside: internal addresses become typed ones.</summary>
    Out,

    /// <summary>Taken outside: typed addresses become internal ones.</summary>
    In,

    /// <summary>Each packet as it enters the engine: internal sources become typed, typed destinations internal.</summary>
    Engine,
}

/// <summary>
/// Writes the list of translations as JSON, entry by entry, so that any number of them takes the same memory. The format is one object
/// with <c>direction</c> and <c>entries</c>; each entry has <c>internal</c>, <c>typed</c>, <c>from</c> (included) and <c>to</c> (not
/// included, or null) as decimal seconds with nine digits, <c>proto</c>, <c>local_port</c>, <c>peer</c> and <c>peer_port</c>.
/// </summary>
public sealed class TranslationsJson : IDisposable
{
    private const int FlushAt = 1 << 16;

    private readonly Utf8JsonWriter _writer;
    private bool _ended;

    /// <summary>Begins the list.</summary>
    /// <param name="output">Where to; stays open.</param>
    /// <param name="direction">How the capture is to be read.</param>
    public TranslationsJson(Stream output, TranslationDirection direction)
    {
        _writer = new Utf8JsonWriter(output, new JsonWriterOptions { Indented = true, NewLine = "\n" });
        _writer.WriteStartObject();
        _writer.WriteString("direction"u8, direction switch
        {
            TranslationDirection.In => "in"u8,
            TranslationDirection.Engine => "engine"u8,
            _ => "out"u8,
        });
        _writer.WriteStartArray("entries"u8);
    }

    /// <summary>How many entries were written.</summary>
    public long Count { get; private set; }

    /// <summary>Writes one entry. The first entry that matches wins for a reader, so narrower ones come first.</summary>
    /// <param name="entry">The entry.</param>
    public void Add(in Translation entry)
    {
        ObjectDisposedException.ThrowIf(_ended, this);
        _writer.WriteStartObject();
        _writer.WriteString("internal"u8, entry.Internal.ToString());
        _writer.WriteString("typed"u8, entry.Typed.ToString());
        _writer.WriteString("from"u8, ReportText.Seconds(entry.From));
        if (entry.To is { } to)
        {
            _writer.WriteString("to"u8, ReportText.Seconds(to));
        }
        else
        {
            _writer.WriteNull("to"u8);
        }

        // A reader knows these protocols by name; any other is matched by its addresses alone.
        string name = ReportText.Protocol(entry.Protocol);
        if (!char.IsAsciiDigit(name[0]))
        {
            _writer.WriteString("proto"u8, name);
        }

        bool hasPorts = entry.Protocol is IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.UdpLite or IpProtocol.Sctp or IpProtocol.Dccp;
        if (hasPorts)
        {
            _writer.WriteNumber("local_port"u8, entry.LocalPort);
        }

        _writer.WriteString("peer"u8, entry.Peer.ToString());
        if (hasPorts)
        {
            _writer.WriteNumber("peer_port"u8, entry.PeerPort);
        }

        _writer.WriteEndObject();
        Count++;
        if (_writer.BytesPending >= FlushAt)
        {
            _writer.Flush();
        }
    }

    /// <summary>Ends the list and gives all of it to the stream. Nothing can be added afterwards.</summary>
    public void Dispose()
    {
        if (_ended)
        {
            return;
        }

        _ended = true;
        _writer.WriteEndArray();
        _writer.WriteEndObject();
        _writer.Dispose();
    }
}

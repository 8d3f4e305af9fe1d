using System.Text.Json;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Wire.Support;

/// <summary>A frame that scapy built, and what a parser must find in it.</summary>
internal sealed record OracleFrame(
    string Name, byte[] Octets, int NetworkOffset, long PacketEnd, int UpperOffset, int ChecksumOffset, int FinalDestinationOffset,
    int FragmentHeaderOffset, ushort SourcePort, ushort DestinationPort, byte Protocol, FrameShape Shape, FrameMarks Marks)
{
    private static readonly Lazy<OracleFrame[]> Built = new(() => [.. Tools.RunOracle("frames.py").Select(Read)]);

    /// <summary>All frames; skips the test where scapy is missing.</summary>
    public static OracleFrame[] All => Built.Value;

    public static FrameLayout Parse(byte[] frame, int networkOffset)
    {
        FrameParser.Parse(frame, networkOffset, out FrameLayout layout);
        return layout;
    }

    /// <summary>The packet without its link header and whatever follows it in the frame.</summary>
    public byte[] Packet => Octets[NetworkOffset..(int)PacketEnd];

    /// <summary>What the parser says, in the same form.</summary>
    public OracleFrame AsParsed()
    {
        FrameLayout found = Parse(Octets, NetworkOffset);
        return this with
        {
            PacketEnd = found.PacketEnd,
            UpperOffset = found.UpperOffset,
            ChecksumOffset = found.ChecksumOffset,
            FinalDestinationOffset = found.FinalDestinationOffset,
            FragmentHeaderOffset = found.FragmentHeaderOffset,
            SourcePort = found.SourcePort,
            DestinationPort = found.DestinationPort,
            Protocol = found.Protocol,
            Shape = found.Shape,
            Marks = found.Marks,
        };
    }

    private static OracleFrame Read(string line)
    {
        using JsonDocument document = JsonDocument.Parse(line);
        JsonElement facts = document.RootElement;
        FrameMarks marks = FrameMarks.None;
        foreach (JsonElement mark in facts.GetProperty("marks").EnumerateArray())
        {
            marks |= Enum.Parse<FrameMarks>(mark.GetString()!);
        }

        return new OracleFrame(
            facts.GetProperty("name").GetString()!,
            Convert.FromHexString(facts.GetProperty("frame").GetString()!),
            facts.GetProperty("network").GetInt32(),
            facts.GetProperty("end").GetInt64(),
            facts.GetProperty("upper").GetInt32(),
            facts.GetProperty("checksum").GetInt32(),
            facts.GetProperty("final").GetInt32(),
            facts.GetProperty("fragmentHeader").GetInt32(),
            facts.GetProperty("ports")[0].GetUInt16(),
            facts.GetProperty("ports")[1].GetUInt16(),
            facts.GetProperty("protocol").GetByte(),
            Enum.Parse<FrameShape>(facts.GetProperty("shape").GetString()!),
            marks);
    }
}

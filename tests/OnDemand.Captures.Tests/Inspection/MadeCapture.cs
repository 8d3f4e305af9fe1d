using System.Buffers.Binary;
using OnDemand.Captures.Tests.Files;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Tests.Inspection;

/// <summary>Puts a capture of raw IPv6 packets together.</summary>
internal sealed class MadeCapture
{
    private readonly CaptureBytes _file = new CaptureBytes(bigEndian: false).PcapHeader(network: 101);
    private uint _time;

    public byte[] ToArray() => _file.ToArray();

    public MadeCapture Tcp(string from, ushort fromPort, string to, ushort toPort, byte flags, byte hopLimit = 64)
    {
        byte[] segment = new byte[20];
        Ports(segment, fromPort, toPort);
        segment[12] = 0x50;
        segment[13] = flags;
        return Packet(from, to, 6, segment, hopLimit);
    }

    public MadeCapture Udp(string from, ushort fromPort, string to, ushort toPort, byte hopLimit = 64)
    {
        byte[] datagram = new byte[8];
        Ports(datagram, fromPort, toPort);
        datagram[5] = 8;
        return Packet(from, to, 17, datagram, hopLimit);
    }

    public MadeCapture Echo(string from, string to, byte type, ushort identifier)
    {
        byte[] message = new byte[8];
        message[0] = type;
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(4), identifier);
        return Packet(from, to, 58, message, 64);
    }

    public MadeCapture Packet(string from, string to, byte nextHeader, byte[] payload, byte hopLimit)
    {
        byte[] packet = new byte[40 + payload.Length];
        packet[0] = 0x60;
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(4), (ushort)payload.Length);
        packet[6] = nextHeader;
        packet[7] = hopLimit;
        IpAddress.Parse(from).Write(packet.AsSpan(8));
        IpAddress.Parse(to).Write(packet.AsSpan(24));
        payload.CopyTo(packet, 40);
        _file.PcapRecord(1_700_000_000 + _time, 0, packet);
        _time++;
        return this;
    }

    private static void Ports(Span<byte> header, ushort from, ushort to)
    {
        BinaryPrimitives.WriteUInt16BigEndian(header, from);
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], to);
    }
}

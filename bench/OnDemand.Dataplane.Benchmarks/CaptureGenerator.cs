using System.Buffers.Binary;
using System.Globalization;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Benchmarks;

/// <summary>
/// Writes an Ethernet pcap of the packets of one host, fd00:a::2, taken inside: sizes uniform from 78 to 1514 octets, 70 % TCP and 30 %
/// UDP, the host begins each flow, then one of three packets comes in. All checksums are right. The same arguments give the same file.
/// </summary>
internal static class CaptureGenerator
{
    private const int Network = 14;
    private const int Upper = Network + 40;
    private const int Longest = 1514;
    private const int Shortest = 78;

    public static int Run(ReadOnlySpan<string> arguments)
    {
        if (arguments.Length != 3
            || !int.TryParse(arguments[1], NumberStyles.None, CultureInfo.InvariantCulture, out int packets)
            || !int.TryParse(arguments[2], NumberStyles.None, CultureInfo.InvariantCulture, out int flows) || flows < 1)
        {
            Console.Error.WriteLine("usage: genpcap OUT PACKETS FLOWS");
            return 2;
        }

        using var output = new FileStream(arguments[0], FileMode.Create, FileAccess.Write, FileShare.None, 1 << 20);
        Write(output, packets, flows);
        return 0;
    }

    private static void Write(Stream output, int packets, int flows)
    {
        Span<byte> header = stackalloc byte[24];
        BinaryPrimitives.WriteUInt32LittleEndian(header, 0xa1b2_c3d4);
        BinaryPrimitives.WriteUInt32LittleEndian(header[4..], 0x0004_0002);
        BinaryPrimitives.WriteUInt32LittleEndian(header[16..], 65535);
        BinaryPrimitives.WriteUInt32LittleEndian(header[20..], 1);
        output.Write(header);

        IpAddress host = IpAddress.Parse("fd00:a::2");
        byte[] record = new byte[16 + Longest];
        for (int i = 0; i < record.Length; i++)
        {
            record[i] = (byte)(i * 7);
        }

        Span<byte> frame = record.AsSpan(16);
        BinaryPrimitives.WriteUInt16BigEndian(frame[12..], 0x86dd);
        bool[] begun = new bool[flows];
        ulong random = 1;
        for (int i = 0; i < packets; i++)
        {
            random = Scramble(random);
            ulong number = Scramble(random) % (ulong)flows;
            ulong flow = Scramble(number + 77);
            bool inbound = begun[number] && (random >> 40) % 3 == 0;
            begun[number] = true;
            int length = Shortest + (int)(random % (Longest - Shortest + 1));
            var server = new IpAddress(0x2001_0db8_0005_0000, 1 + (flow & 0xff_ffff));
            ushort local = (ushort)(1024 + ((flow >> 24) % 60000));
            ushort remote = (flow >> 60) % 2 == 0 ? (ushort)443 : (ushort)53;
            WriteFrame(frame[..length], number % 10 < 3, inbound ? server : host, inbound ? host : server,
                inbound ? remote : local, inbound ? local : remote, (uint)random);
            BinaryPrimitives.WriteUInt32LittleEndian(record, 1_700_000_000 + ((uint)i / 100_000));
            BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(4), (uint)i % 100_000 * 10);
            BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), (uint)length);
            BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(12), (uint)length);
            output.Write(record, 0, 16 + length);
        }
    }

    private static void WriteFrame(Span<byte> frame, bool datagram, IpAddress source, IpAddress destination, ushort from, ushort to, uint sequence)
    {
        byte protocol = datagram ? IpProtocol.Udp : IpProtocol.Tcp;
        ushort payload = (ushort)(frame.Length - Upper);
        BinaryPrimitives.WriteUInt32BigEndian(frame[Network..], 0x6000_0000);
        BinaryPrimitives.WriteUInt16BigEndian(frame[(Network + 4)..], payload);
        frame[Network + 6] = protocol;
        frame[Network + 7] = 64;
        source.Write(frame[(Network + 8)..]);
        destination.Write(frame[(Network + 24)..]);
        Span<byte> upper = frame[Upper..];
        BinaryPrimitives.WriteUInt16BigEndian(upper, from);
        BinaryPrimitives.WriteUInt16BigEndian(upper[2..], to);
        Span<byte> checksum = upper[(datagram ? 6 : 16)..];
        if (datagram)
        {
            BinaryPrimitives.WriteUInt16BigEndian(upper[4..], payload);
        }
        else
        {
            BinaryPrimitives.WriteUInt32BigEndian(upper[4..], sequence);
            BinaryPrimitives.WriteUInt32BigEndian(upper[8..], sequence);
            upper[12] = 5 << 4;
            upper[13] = 0x10;   // ACK
            BinaryPrimitives.WriteUInt16BigEndian(upper[14..], ushort.MaxValue);
            BinaryPrimitives.WriteUInt16BigEndian(upper[18..], 0);
        }

        BinaryPrimitives.WriteUInt16BigEndian(checksum, 0);
        ushort sum = InternetChecksum.Fold(
            (ulong)InternetChecksum.PseudoHeaderSum(source, destination, payload, protocol) + InternetChecksum.Sum(upper));
        BinaryPrimitives.WriteUInt16BigEndian(checksum, InternetChecksum.ForUdp((ushort)~sum));
    }

    // The finalizer of splitmix64.
    private static ulong Scramble(ulong value)
    {
        value += 0x9e37_79b9_7f4a_7c15;
        value = (value ^ (value >> 30)) * 0xbf58_476d_1ce4_e5b9;
        value = (value ^ (value >> 27)) * 0x94d0_49bb_1331_11eb;
        return value ^ (value >> 31);
    }
}

using System.Buffers.Binary;

namespace OnDemand.Captures.Tests.Files;

/// <summary>Puts capture files together octet by octet, sharing nothing with the code under test.</summary>
internal sealed class CaptureBytes(bool bigEndian)
{
    public const uint Microseconds = 0xA1B2C3D4;
    public const uint Nanoseconds = 0xA1B23C4D;
    public const uint Modified = 0xA1B2CD34;

    private readonly List<byte> _octets = [];

    public int Length => _octets.Count;

    public byte[] ToArray() => [.. _octets];

    public CaptureBytes Raw(params byte[] octets)
    {
        _octets.AddRange(octets);
        return this;
    }

    public CaptureBytes U16(int value)
    {
        byte high = (byte)(value >> 8);
        byte low = (byte)value;
        return bigEndian ? Raw(high, low) : Raw(low, high);
    }

    public CaptureBytes U32(uint value) =>
        bigEndian ? U16((int)(value >> 16)).U16((int)(value & 0xffff)) : U16((int)(value & 0xffff)).U16((int)(value >> 16));

    public CaptureBytes PcapHeader(uint magic = Microseconds, int major = 2, uint snapLength = 65_535, uint network = 1) =>
        U32(magic).U16(major).U16(4).U32(0).U32(0).U32(snapLength).U32(network);

    public CaptureBytes PcapRecord(uint seconds, uint fraction, byte[] data, uint? captured = null, uint? original = null) =>
        U32(seconds).U32(fraction).U32(captured ?? (uint)data.Length).U32(original ?? (uint)data.Length).Raw(data);

    public CaptureBytes ModifiedRecord(uint seconds, uint fraction, byte[] data) =>
        U32(seconds).U32(fraction).U32((uint)data.Length).U32((uint)data.Length + 7).U32(3).U16(0x86DD).Raw(4, 0).Raw(data);

    public CaptureBytes Section(int major = 1, uint? magic = null, byte[]? options = null, ulong length = ulong.MaxValue) =>
        Block(
            0x0A0D0D0A,
            [.. Part().U32(magic ?? 0x1A2B3C4D).U16(major).U16(0).ToArray(), .. Long(length), .. options ?? []]);

    public CaptureBytes Interface(int linkType = 1, uint snapLength = 0, byte[]? options = null) =>
        Block(1, [.. Part().U16(linkType).U16(0).U32(snapLength).ToArray(), .. options ?? []]);

    public CaptureBytes Enhanced(
        uint number,
        ulong ticks,
        byte[] data,
        byte[]? options = null,
        uint? captured = null,
        uint? original = null) =>
        Block(
            6,
            [
                .. Part().U32(number).U32((uint)(ticks >> 32)).U32((uint)ticks).U32(captured ?? (uint)data.Length)
                    .U32(original ?? (uint)data.Length).ToArray(),
                .. Pad(data),
                .. options ?? [],
            ]);

    public CaptureBytes Obsolete(int number, int drops, ulong ticks, byte[] data, byte[]? options = null) =>
        Block(
            2,
            [
                .. Part().U16(number).U16(drops).U32((uint)(ticks >> 32)).U32((uint)ticks).U32((uint)data.Length)
                    .U32((uint)data.Length + 1).ToArray(),
                .. Pad(data),
                .. options ?? [],
            ]);

    public CaptureBytes Simple(byte[] data, uint? original = null) =>
        Block(3, [.. Part().U32(original ?? (uint)data.Length).ToArray(), .. Pad(data)]);

    public CaptureBytes Block(uint type, byte[] body, uint? length = null, uint? lengthAgain = null)
    {
        uint total = (uint)body.Length + 12;
        return U32(type).U32(length ?? total).Raw(body).U32(lengthAgain ?? length ?? total);
    }

    public byte[] Option(int code, params byte[] value) => [.. Part().U16(code).U16(value.Length).ToArray(), .. Pad(value)];

    public byte[] OffsetOption(long seconds) => Option(14, Long((ulong)seconds));

    public byte[] End => [0, 0, 0, 0];

    /// <summary>A file with every kind of block in two sections of different byte order.</summary>
    public static byte[] Everything(bool bigEndian)
    {
        CaptureBytes first = new(bigEndian);
        first.Section(options: [.. first.Option(1, 0x68, 0x69), .. first.End], length: 0)
            .Interface(1, 96, [.. first.Option(9, 9), .. first.OffsetOption(-5), .. first.End])
            .Interface(101, 0, [.. first.Option(2, 0x65, 0x30, 0x00), .. first.End])
            .Enhanced(1, 1_700_000_000_123_456, [1, 2, 3, 4, 5], [.. first.Option(1, 0x63), .. first.Option(2, 0, 0, 0, 1), .. first.End])
            .Block(4, [0, 0, 0, 0])
            .Simple(new byte[96], original: 1_500)
            .Obsolete(0, 2, 0x1122334455667788, [9, 8, 7], [.. first.Option(2, 0, 0, 0, 2), .. first.End])
            .Block(5, [.. first.Part().U32(0).U32(1).U32(2).ToArray()])
            .Block(0x0BAD, [1, 2, 3, 4, 5, 6, 7, 8])
            .Block(0x40000BAD, [1, 2, 3, 4])
            .Block(0x77777777, []);
        CaptureBytes second = new(!bigEndian);
        second.Section().Interface(276).Enhanced(0, 42, [], original: 60).Enhanced(0, 43, [6]);
        return [.. first.ToArray(), .. second.ToArray()];
    }

    /// <summary>A pcap file of each kind.</summary>
    public static byte[] Pcap(bool bigEndian, uint magic)
    {
        CaptureBytes file = new CaptureBytes(bigEndian).PcapHeader(magic, network: 0xF400_0065);
        for (uint i = 0; i < 5; i++)
        {
            byte[] data = new byte[i * 3];
            Array.Fill(data, (byte)(i + 1));
            _ = magic == Modified ? file.ModifiedRecord(1_000 + i, 999_999 - i, data) : file.PcapRecord(1_000 + i, 999_999 - i, data);
        }

        return file.ToArray();
    }

    private CaptureBytes Part() => new(bigEndian);

    private byte[] Long(ulong value)
    {
        byte[] octets = new byte[8];
        if (bigEndian)
        {
            BinaryPrimitives.WriteUInt64BigEndian(octets, value);
        }
        else
        {
            BinaryPrimitives.WriteUInt64LittleEndian(octets, value);
        }

        return octets;
    }

    private static byte[] Pad(byte[] data) => [.. data, .. new byte[(4 - (data.Length % 4)) % 4]];
}

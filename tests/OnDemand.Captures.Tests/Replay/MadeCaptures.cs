using OnDemand.Captures.Tests.Files;
using static OnDemand.Captures.Tests.Replay.MadePackets;

namespace OnDemand.Captures.Tests.Replay;

/// <summary>Captures that no recording has at hand. In each the host is fd00::1 and speaks first.</summary>
internal static class MadeCaptures
{
    public const string Scenario = """
        internal: ["fd00::1"]
        network: [{at: 0s, attach: ar1, prefixes: [{prefix: "3fff:ffff:0:1::/64", type: session-lasting}]}]
        policy: {default: session-lasting}
        """;

    private static readonly byte[] Ask = Udp(Host, 5000, Remote, 53);
    private static readonly byte[] Answer = Udp(Remote, 53, Host, 5000);

    /// <summary>Every capture by its name.</summary>
    public static IEnumerable<(string Name, byte[] Octets)> All()
    {
        IReadOnlyList<byte[]> outward = Fragments(Host, 5001, Remote, 53, 7, 4);
        IReadOnlyList<byte[]> inward = Fragments(Remote, 53, Host, 5000, 8, 4);
        IReadOnlyList<byte[]> answer = Fragments(Remote, 53, Host, 5001, 9, 3);
        yield return ("link types", LinkTypes());
        yield return ("sections", Sections());
        yield return ("out of order outward", Pcap([Ask, outward[2], outward[0], outward[1], outward[3], Answer]));
        yield return ("out of order inward", Pcap([Ask, inward[3], Answer, inward[1], Ask, inward[0], Answer, inward[2]]));
        yield return ("two datagrams at once", Pcap([Ask, outward[1], inward[1], outward[0], answer[2], inward[0], answer[0], answer[1], Ask]));
        yield return ("orphans", Pcap([Ask, outward[1], inward[1], Answer, Ask, Answer], gap: 3));
        yield return ("orphans at the end", Pcap([Ask, Answer, outward[1], inward[1]]));
        yield return ("identification again", Pcap([Ask, .. inward, .. Enumerable.Repeat(Answer, 8), .. inward.Reverse()], gap: 1));
        yield return ("backwards", Backwards());
        yield return ("no times", Simple());
        yield return ("cut", Cut());
        yield return ("large", Pcap([Ask, Udp(Host, 5000, Remote, 53, 65_000), Udp(Remote, 53, Host, 5000, 65_519), Answer]));
        yield return ("partial", Pcap([Offloaded(Ask), Answer, Offloaded(Tcp(Host, 6000, Remote, 80, 2)), Tcp(Remote, 80, Host, 6000, 0x12)]));
        yield return ("big-endian", Pcap([Ask, Answer], bigEndian: true));
        yield return ("nanoseconds", Pcap([Ask, Answer], magic: CaptureBytes.Nanoseconds));
        yield return ("modified", new CaptureBytes(false).PcapHeader(CaptureBytes.Modified, network: 101).ModifiedRecord(1_700_000_000, 1, Ask).ToArray());
    }

    public static byte[] Pcap(IEnumerable<byte[]> packets, uint gap = 0, bool bigEndian = false, uint magic = CaptureBytes.Microseconds)
    {
        CaptureBytes file = new CaptureBytes(bigEndian).PcapHeader(magic, network: 101, snapLength: 1 << 18);
        uint number = 0;
        foreach (byte[] packet in packets)
        {
            file.PcapRecord(1_700_000_000 + (gap * number), number, packet);
            number++;
        }

        return file.ToArray();
    }

    private static byte[] Offloaded(byte[] packet)
    {
        int at = 40 + (packet[6] == 17 ? 6 : 16);
        ushort sum = Partial(packet);
        (packet[at], packet[at + 1]) = ((byte)(sum >> 8), (byte)sum);
        return packet;
    }

    private static byte[] LinkTypes()
    {
        byte[] ethernet = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        (int Type, byte[] Header)[] links =
        [
            (0, [30, 0, 0, 0]), (108, [0, 0, 0, 24]), (12, []), (14, []), (101, []), (229, []), (1, [.. ethernet, 0x86, 0xdd]),
            (1, [.. ethernet, 0x81, 0, 0, 5, 0x86, 0xdd]), (1, [.. ethernet, 0x88, 0xa8, 0, 6, 0x81, 0, 0, 5, 0x86, 0xdd]),
            (113, [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0, 0x86, 0xdd]), (276, [0x86, 0xdd, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0]),
        ];
        CaptureBytes file = new CaptureBytes(false).Section();
        foreach ((int type, _) in links)
        {
            file.Interface(type);
        }

        for (uint i = 0; i < links.Length; i++)
        {
            file.Enhanced(i, 1_700_000_000_000_000UL + i, [.. links[i].Header, .. Ask]).Enhanced(i, 1_700_000_000_000_100UL + i, [.. links[i].Header, .. Answer]);
        }

        return file.ToArray();
    }

    // Interfaces are numbered anew in each section, and a fragment that came too early stands before a new one.
    private static byte[] Sections()
    {
        IReadOnlyList<byte[]> inward = Fragments(Remote, 53, Host, 5000, 8, 2);
        byte[] ethernet = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd];
        byte[] first = new CaptureBytes(false).Section().Interface(101).Interface(1).Enhanced(0, 1_700_000_000_000_000, Ask)
            .Enhanced(1, 1_700_000_000_000_001, [.. ethernet, .. inward[1]]).ToArray();
        byte[] second = new CaptureBytes(true).Section().Interface(1).Enhanced(0, 1_700_000_000_000_002, [.. ethernet, .. inward[0]])
            .Enhanced(0, 1_700_000_000_000_003, [.. ethernet, .. Answer]).ToArray();
        return [.. first, .. second];
    }

    private static byte[] Backwards()
    {
        CaptureBytes file = new CaptureBytes(false).PcapHeader(network: 101);
        foreach (uint second in (uint[])[50, 40, 30, 60, 10, 0])
        {
            file.PcapRecord(1_700_000_000 + second, 0, Ask).PcapRecord(1_700_000_000 + second, 1, Answer);
        }

        return file.ToArray();
    }

    private static byte[] Simple() =>
        new CaptureBytes(false).Section().Interface(101).Simple(Ask).Simple(Answer).Enhanced(0, 1_700_000_000_000_000, Ask).Simple(Answer).ToArray();

    private static byte[] Cut()
    {
        CaptureBytes file = new CaptureBytes(false).PcapHeader(network: 101, snapLength: 60);
        uint number = 0;
        foreach (byte[] whole in (byte[][])[Ask, Answer, Tcp(Host, 6000, Remote, 80, 2), Ask, Ask])
        {
            int length = number switch { 3 => 44, 4 => 30, _ => 58 };
            file.PcapRecord(1_700_000_000, number++, whole[..Math.Min(length, whole.Length)], original: (uint)whole.Length);
        }

        return file.ToArray();
    }
}

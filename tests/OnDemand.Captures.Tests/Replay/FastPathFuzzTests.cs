using System.Globalization;
using System.Text;
using OnDemand.Captures.Replay;
using OnDemand.Captures.Scenarios;
using OnDemand.Captures.Tests.Files;
using Xunit;
using static OnDemand.Captures.Tests.Replay.MadePackets;

namespace OnDemand.Captures.Tests.Replay;

/// <summary>
/// Captures of anything in any order, in every format and at every place of a block: common packets taken many at a time from the memory
/// they were read into must become what each by itself becomes. ONDEMAND_FUZZ_SEEDS is how many captures; 12 unless said.
/// </summary>
public sealed class FastPathFuzzTests
{
    private const uint Start = 1_700_000_000;

    private static readonly string[] Hosts = [Host, "fd00::2", "fd00:0:0:1::77"];
    private static readonly string[] Remotes = [Remote, "2001:db8:9::2", "2001:db8:a::3", "3fff:ffff:0:1::5", "fe80::9", "ff02::fb"];

    private static int Seeds =>
        int.TryParse(Environment.GetEnvironmentVariable("ONDEMAND_FUZZ_SEEDS"), CultureInfo.InvariantCulture, out int seeds) ? seeds : 12;

    [Fact]
    public async Task Anything_becomes_the_same_whichever_way_it_goes()
    {
        string path = Path.GetTempFileName();
        try
        {
            for (int seed = 0; seed < Seeds; seed++)
            {
                var random = new Random(seed);
                byte[] capture = Capture(random);
                if (random.Next(4) == 0)
                {
                    capture = Mutation.Of(capture, random);
                }

                Scenario scenario = ScenarioReader.Parse("test.yaml", Encoding.UTF8.GetBytes(Scene(random)));
                await File.WriteAllBytesAsync(path, capture, TestContext.Current.CancellationToken);
                string output = random.Next(4) switch { 0 => "out.pcapng", 1 => "out.pcap", _ => "out" };
                await CompareAsync(capture, path, scenario, output, random, seed);
            }
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static async Task CompareAsync(byte[] capture, string path, Scenario scenario, string output, Random random, int seed)
    {
        ReplayOptions Both(ReplayOptions options) => options with { Output = output };
        ReplayOptions Alone(ReplayOptions options) => options with { Output = output, HostOutput = null };
        ReplayOf slow = await ReplayOf.RunAsync(new MemoryStream(capture), scenario, Both);
        int[] chunks = [random.Next(1, 5_000), random.Next(1, 900_000), random.Next(1, 100)];
        foreach (string way in (string[])["file", "pipe", "pieces"])
        {
            ReplayOf fast = await RunAsync(way, capture, path, chunks, scenario, Alone);

            string where = $"seed {seed}, {way}, {output}";
            Assert.True(slow.Result.Damage == fast.Result.Damage, where);
            Assert.True(slow.Result.Failure == fast.Result.Failure, where);
            if (slow.Result.Failure is null)
            {
                Assert.True(slow.Output.AsSpan().SequenceEqual(fast.Output), $"{where}: {await CaptureDifference.FirstAsync(slow.Output, fast.Output)}");
                Assert.True(slow.Table == fast.Table, $"{where}\n{slow.Table}\n{fast.Table}");
                Assert.True(slow.Translations.AsSpan().SequenceEqual(fast.Translations), where);
                Assert.Equal(slow.Report.Totals with { PacketsToHost = 0 }, fast.Report.Totals);
            }
        }
    }

    private static async Task<ReplayOf> RunAsync(
        string way, byte[] capture, string path, int[] chunks, Scenario scenario, Func<ReplayOptions, ReplayOptions> with)
    {
        if (way == "file")
        {
            await using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
            return await ReplayOf.RunAsync(file, scenario, with);
        }

        if (way == "pipe")
        {
            return await ReplayOf.RunAsync(new MemoryStream(capture), scenario, with);
        }

        await using var pieces = new ChunkedStream(capture, chunks);
        return await ReplayOf.RunAsync(pieces, scenario, with);
    }

    private static string Scene(Random random)
    {
        string[] types = ["fixed", "session-lasting", "graceful-replacement", "nonpersistent"];
        string Prefixes(int network) => string.Join(
            ", ", types.Where(_ => random.Next(4) > 0).Select((type, at) => $"{{prefix: \"3fff:ffff:{network}:{at + (type.Length * 16)}::/64\", type: {type}}}"));
        var text = new StringBuilder("internal: [\"fd00::1\", \"fd00::2\", \"fd00:0:0:1::/64\"]\n");
        text.Append(CultureInfo.InvariantCulture, $"seed: {random.Next()}\npickup: {(random.Next(2) == 0 ? "true" : "false")}\n");
        text.Append(CultureInfo.InvariantCulture, $"untranslatable: {(random.Next(2) == 0 ? "pass" : "drop")}\nnetwork:\n");
        int at = 0;
        for (int i = 0; i < 1 + random.Next(5); i++)
        {
            string what = random.Next(8) == 0 && i > 0 ? "detach: true" : $"attach: ar{i}, prefixes: [{Prefixes(i)}]{(random.Next(2) == 0 ? ", window: 2s" : string.Empty)}";
            text.Append(CultureInfo.InvariantCulture, $"  - {{at: {at}ms, {what}}}\n");
            at += random.Next(15_000);
        }

        if (random.Next(2) == 0)
        {
            text.Append("on-demand:\n  session-lasting: {answer: grant, prefix: \"3fff:eeee:0:1::/64\", delay: 700ms}\n  fixed: {answer: refuse, delay: 10ms}\n");
        }

        text.Append(CultureInfo.InvariantCulture, $"policy:\n  default: {types[random.Next(4)]}\n  rules:\n");
        for (int i = 0; i < 4; i++)
        {
            text.Append(CultureInfo.InvariantCulture, $"    - {{local-port: {5000 + (3 * i)}-{5002 + (3 * i)}, type: {types[i]}}}\n");
        }

        text.Append(random.Next(2) == 0 ? "  inbound: [{protocol: udp}]\n" : string.Empty);
        text.Append(random.Next(3) == 0 ? "timers: {udp: 3s, tcp-established: 4s}\n" : string.Empty);
        text.Append(random.Next(3) == 0 ? "limits: {flows: 20}\n" : string.Empty);
        return text.ToString();
    }

    private static byte[] Capture(Random random)
    {
        bool bigEndian = random.Next(2) == 0;
        int format = random.Next(5);
        int[] links = [101, 1, 113, 276, 0, 108];
        int link = links[random.Next(links.Length)];
        int records = random.Next(3) == 0 ? random.Next(60) : 2_000 + random.Next(6_000);
        var file = new CaptureBytes(bigEndian);
        uint magic = format switch { 0 => CaptureBytes.Nanoseconds, 1 => CaptureBytes.Modified, _ => CaptureBytes.Microseconds };
        bool isNext = format >= 3;
        int[] interfaces = [link, random.Next(5) == 0 ? links[random.Next(links.Length)] : link];
        if (isNext)
        {
            Begin(file, interfaces);
        }
        else
        {
            file.PcapHeader(magic, network: (uint)link);
        }

        long time = 0;     // in microseconds
        int most = random.Next(2) == 0 ? 200 : 3_000;
        for (int i = 0; i < records; i++)
        {
            time += random.Next(400) switch { 0 => random.Next(8_000_000), 1 => -random.Next(3_000_000), _ => random.Next(most) };
            time = Math.Max(0, time);
            uint second = (uint)(Start + (time / 1_000_000));
            uint fraction = (uint)(time % 1_000_000) * (magic == CaptureBytes.Nanoseconds ? 1_000U : 1);
            uint number = (uint)random.Next(2);
            byte[] packet = Frame(isNext ? interfaces[number] : link, random);
            int kept = random.Next(60) == 0 ? random.Next(packet.Length + 1) : packet.Length;
            byte[] data = packet[..kept];
            if (!isNext)
            {
                _ = magic == CaptureBytes.Modified ? file.ModifiedRecord(second, fraction, data) : file.PcapRecord(second, fraction, data, original: (uint)packet.Length);
                continue;
            }

            ulong ticks = (ulong)((Start * 1_000_000L) + time);
            switch (random.Next(100))
            {
                case 0:
                    file.Simple(Frame(interfaces[0], random));
                    break;
                case 1:
                    file.Obsolete((int)number, 3, ticks, data);
                    break;
                case 2:
                    file.Block(0x0BAD, new byte[4 * random.Next(400)]);
                    break;
                case 3 when random.Next(40) == 0:
                    file.Block(0x0BAE, new byte[4 * random.Next(600_000)]);
                    break;
                case 4 when random.Next(10) == 0:
                    Begin(file, interfaces);
                    break;
                case < 20:
                    file.Enhanced(number, ticks, data, [.. file.Option(2, 0, 0, 0, 1), .. file.End], original: (uint)packet.Length);
                    break;
                default:
                    file.Enhanced(number, ticks, data, original: (uint)packet.Length);
                    break;
            }
        }

        return file.ToArray();
    }

    private static void Begin(CaptureBytes file, int[] interfaces)
    {
        file.Section();
        foreach (int link in interfaces)
        {
            file.Interface(link);
        }
    }

    private static byte[] Frame(int link, Random random)
    {
        byte[] packet = Packet(random);
        byte[] ethernet = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        byte[] header = link switch
        {
            1 => [.. ethernet, .. random.Next(10) switch { 0 => [0x81, 0, 0, 5], 1 => (byte[])[0x88, 0xa8, 0, 6, 0x81, 0, 0, 5], _ => [] }, 0x86, 0xdd],
            113 => [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0, 0x86, 0xdd],
            276 => [0x86, 0xdd, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0],
            0 => [30, 0, 0, 0],
            108 => [0, 0, 0, 24],
            _ => [],
        };
        int trailer = random.Next(1_500) == 0 ? random.Next(1_200_000) : random.Next(30) == 0 ? random.Next(20) : 0;
        return [.. header, .. packet, .. new byte[trailer]];
    }

    private static byte[] Packet(Random random)
    {
        int port = 5000 + random.Next(12);
        string host = Hosts[random.Next(20) switch { 0 => 2, < 4 => 1, _ => 0 }];
        string remote = Remotes[random.Next(40) switch { 0 => 5, 1 => 4, 2 => 3, < 8 => 2, < 16 => 1, _ => 0 }];
        bool inbound = random.Next(2) == 0;
        (string from, int fromPort, string to, int toPort) = inbound ? (remote, 80, host, port) : (host, port, remote, 80);
        int length = random.Next(20) == 0 ? random.Next(9_000) : random.Next(200);
        byte flags = random.Next(30) switch { 0 => 2, 1 => 0x12, 2 => 0x11, 3 => 4, 4 => 0, _ => 0x10 };
        byte[] packet = random.Next(2) == 0
            ? Tcp(from, fromPort, to, toPort, flags, (uint)random.Next(), (uint)random.Next(), length) : Udp(from, fromPort, to, toPort, length);
        switch (random.Next(80))
        {
            case 0:
                return Extended(packet, random);
            case 1:
                IReadOnlyList<byte[]> fragments = Fragments(from, fromPort, to, toPort, (uint)random.Next(6), 3);
                return fragments[random.Next(3)];
            case 2:
                return Error(packet, inbound ? host : remote, inbound ? remote : host, random);
            case 3:
                byte[] echo = new byte[8 + length];
                echo[0] = (byte)(inbound ? 129 : 128);
                echo[4] = (byte)random.Next(3);
                return MadePackets.Packet(from, to, 58, echo);
            case 4:
                packet[0] = 0x45;
                break;
            case 5:
                int at = 40 + (packet[6] == 17 ? 6 : 16);
                ushort partial = Partial(packet);
                (packet[at], packet[at + 1]) = ((byte)(partial >> 8), (byte)partial);
                break;
            case 6 when packet[6] == 17:
                (packet[46], packet[47]) = (0, 0);
                break;
            case 7:
                (packet[4], packet[5]) = (0, 0);      // segmentation offload
                break;
            case 8:
                packet[5] = (byte)random.Next(256);
                break;
            case 9:
                packet[Math.Min(52, packet.Length - 1)] = (byte)random.Next(256);
                break;
            case 10:
                packet[6] = (byte)random.Next(256);
                break;
            case 11:
                return MadePackets.Packet(from, host, 17, packet[40..]);
            case 12:
                int sum = 40 + (packet[6] == 17 ? 6 : 16);
                (packet[sum], packet[sum + 1]) = (0xff, 0xff);
                break;
            default:
                break;
        }

        return packet;
    }

    private static byte[] Extended(byte[] packet, Random random)
    {
        byte kind = (byte)(random.Next(4) switch { 0 => 0, 1 => 43, 2 => 60, _ => 44 });
        byte[] header = [packet[6], 0, 0, 0, 0, 0, 0, 0];
        byte[] extended = [.. packet[..40], .. header, .. packet[40..]];
        int length = extended.Length - 40;
        (extended[4], extended[5], extended[6]) = ((byte)(length >> 8), (byte)length, kind);
        return extended;
    }

    private static byte[] Error(byte[] quoted, string from, string to, Random random)
    {
        byte[] message = [.. new byte[8], .. quoted[..Math.Min(quoted.Length, 60 + random.Next(200))]];
        message[0] = (byte)(1 + random.Next(4));
        return MadePackets.Packet(from, to, 58, message);
    }
}

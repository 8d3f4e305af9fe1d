using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>The kernel's own prefix translation as a second opinion on what leaves the host.</summary>
public sealed class OracleTests
{
    private const string Internal = "fd00:db8::7";
    private const string Typed = "2001:db8:f1::7";
    private const int Many = 300;
    private const ushort Port = 9001;

    private const string Scenario =
        """
        seed: 42
        internal: [fd00:db8::7]
        network:
          - {at: 0s, attach: ar1, prefixes: [{prefix: 2001:db8:f1::7/128, type: fixed}]}
        policy: {default: fixed}
        """;

    private const string Rules =
        """
        table ip6 oracle {
          chain out {
            type nat hook postrouting priority srcnat;
            ip6 saddr fd00:db8::/64 snat ip6 prefix to ip6 saddr map { fd00:db8::/64 : 2001:db8:f1::/64 }
          }
        }
        """;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    // Fragments are left out: conntrack puts them together and takes them apart again under another identification.
    [Fact]
    public async Task Packets_leave_the_host_as_nftables_prefix_translation_would_have_sent_them()
    {
        LabRig.Need("tcpdump", "nft");
        string file = Path.Combine(Path.GetTempPath(), $"ondemand-{Guid.NewGuid():N}.yaml");
        await File.WriteAllTextAsync(file, Scenario, Cancellation);
        try
        {
            string[] ours;
            await using (LabRig rig = await LabRig.UpAsync(file))
            {
                // One more hop: the kernel takes it out of the TAP and forwards it.
                ours = await PassAsync(rig, hopLimit: 65);
            }

            string[] theirs;
            await using (LabRig plain = await LabRig.UpAsync(file, plain: true))
            {
                await plain.RunAsync(LabNodes.Host, "ip", "addr", "add", Internal + "/128", "dev", "lo", "nodad");
                CommandResult loaded = await CommandRunner.RunAsync(
                    "ip", ["netns", "exec", LabNodes.Namespace(plain.Name, LabNodes.Host), CommandRunner.Find("nft"), "-f", "-"], Rules, Cancellation);
                Assert.SkipUnless(loaded.Status == 0, $"This kernel has no prefix translation: {loaded.Error}");
                theirs = await PassAsync(plain, hopLimit: 64);
            }

            // The order is that of each flow: the first packet of one may wait for the word on its socket while another's passes.
            Assert.Equal(theirs.OrderBy(FlowOf, StringComparer.Ordinal), ours.OrderBy(FlowOf, StringComparer.Ordinal));
        }
        finally
        {
            File.Delete(file);
        }
    }

    // Sends them all; gives what came to the access router, from the IPv6 header on.
    private static async Task<string[]> PassAsync(LabRig rig, byte hopLimit)
    {
        NetworkCapture capture = await rig.CaptureAsync();
        using Socket silent = rig.Server(LabNodes.Peer, SocketType.Dgram, Port);
        using Socket socket = LabSockets.On(
            rig.Name, LabNodes.Host, () => new Socket(AddressFamily.InterNetworkV6, SocketType.Raw, ProtocolType.Raw));
        byte[][] packets = [.. Packets(hopLimit)];
        foreach (byte[] packet in packets)
        {
            Assert.Equal(packet.Length, socket.SendTo(packet, new IPEndPoint(LabRig.Peer, 0)));
            await Task.Delay(1, Cancellation);
        }

        string[] found = [];
        await LabRig.BecomesAsync(
            async () =>
            {
                found = Split(await capture.FindAsync($"src host {Typed}", "-t", "-q", "-x"));
                return found.Length >= packets.Length;
            },
            TimeSpan.FromSeconds(10));
        await capture.StopAsync();
        Assert.Equal(packets.Length, found.Length);

        // The checksum of one of them is the last word of its third line.
        Assert.Contains(found, packet => packet.Contains("ffff\t0x0030", StringComparison.Ordinal));
        Assert.Empty(await capture.FindAsync($"src host {Internal}"));
        return found;
    }

    // The Next Header value, and for TCP and UDP the ports.
    private static string FlowOf(string packet)
    {
        const int header = 20;
        string[] words = [.. packet.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries).Where(word => word.Length == 4)];
        string protocol = words[3][..2];
        return protocol is "06" or "11" ? $"{protocol} {words[header]} {words[header + 1]}" : protocol;
    }

    private static string[] Split(string[] lines)
    {
        List<string> packets = [];
        foreach (string line in lines)
        {
            if (line.StartsWith("\t0x0000:", StringComparison.Ordinal))
            {
                packets.Add(line);
            }
            else if (line.StartsWith("\t0x", StringComparison.Ordinal))
            {
                packets[^1] += line;
            }
        }

        return [.. packets];
    }

    private static IEnumerable<byte[]> Packets(byte hopLimit)
    {
        var source = IPAddress.Parse(Internal);
        var make = new RawPackets(source, LabRig.Peer, hopLimit);
        yield return make.OfUdp(40000, Port, "a datagram"u8);

        // The answer to it that this complains about never came; both keep state of the flow that it belongs to.
        byte[] answer = new RawPackets(LabRig.Peer, source, 60).OfUdp(Port, 40000, "an answer"u8);
        yield return make.OfPortUnreachable(answer);
        yield return make.OfUdp(40001, Port, Zero());

        var random = new Random(8653);
        for (int i = 0; i < Many; i++)
        {
            byte[] payload = new byte[random.Next(1200)];
            random.NextBytes(payload);
            make.Marks = (uint)random.Next(1 << 28);
            ushort port = (ushort)(41000 + i);
            yield return (i % 4) switch
            {
                0 => make.OfUdp(port, Port, payload),
                1 => make.OfSyn(port, 7001, (uint)random.Next()),
                2 => make.OfEcho(port, (ushort)i, payload),
                _ => make.OfUdp(port, Port, payload, withOptions: true),
            };
        }
    }

    // A payload with which the checksum comes out as zero after the translation, and so must be sent as all ones (RFC 8200 §8.1).
    private static byte[] Zero()
    {
        byte[] datagram = new byte[10];
        BinaryPrimitives.WriteUInt16BigEndian(datagram, 40001);
        BinaryPrimitives.WriteUInt16BigEndian(datagram.AsSpan(2), Port);
        BinaryPrimitives.WriteUInt16BigEndian(datagram.AsSpan(4), (ushort)datagram.Length);
        byte[] payload = new byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(payload, RawPackets.WordForZero(IPAddress.Parse(Typed), LabRig.Peer, datagram));
        return payload;
    }
}

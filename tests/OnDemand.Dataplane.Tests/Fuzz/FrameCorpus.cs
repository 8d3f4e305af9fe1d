using OnDemand.Captures.Files;
using OnDemand.Captures.Link;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Fuzz;

/// <summary>A frame to start from.</summary>
internal sealed record FrameSeed(byte[] Frame, int NetworkOffset, bool Inbound);

/// <summary>Every kind of frame that the builders make, both ways, and the packets of public captures where those are at hand.</summary>
internal static class FrameCorpus
{
    /// <summary>A /128, so that its address is known beforehand.</summary>
    public static readonly IpPrefix TypedPrefix = IpPrefix.Parse("2001:db8:a9::9/128");

    private static readonly LinkHeader[] Links = [LinkHeader.None, LinkHeader.Ethernet, LinkHeader.Vlan, LinkHeader.DoubleVlan];

    public static List<FrameSeed> All()
    {
        List<FrameSeed> all = [];
        foreach (LinkHeader link in Links)
        {
            all.AddRange(Between(Frames.Host, Frames.Server, link).Select(frame => new FrameSeed(frame, OffsetOf(link), Inbound: false)));
            all.AddRange(Between(Frames.Server, TypedPrefix.Address, link)
                .Select(frame => new FrameSeed(frame, OffsetOf(link), Inbound: true)));
        }

        all.AddRange(Between(TypedPrefix.Address, Frames.Server, LinkHeader.None).Select(frame => new FrameSeed(frame, 0, Inbound: false)));
        all.AddRange(Between(Frames.Host, TypedPrefix.Address, LinkHeader.None).Select(frame => new FrameSeed(frame, 0, Inbound: false)));
        foreach ((byte[] frame, int network) in PublicCaptures())
        {
            all.Add(new FrameSeed(Readdressed(frame, network, 8, Frames.Host), network, Inbound: false));
            all.Add(new FrameSeed(Readdressed(frame, network, 24, TypedPrefix.Address), network, Inbound: true));
            all.Add(new FrameSeed(frame, network, Inbound: frame.Length % 2 == 0));
        }

        return all;
    }

    public static IEnumerable<byte[]> Between(IpAddress source, IpAddress destination, LinkHeader link)
    {
        foreach (TestFrame frame in Kinds(source, destination))
        {
            yield return (frame with { Link = link }).Build();
            yield return (frame with { Link = link, Checksum = ChecksumState.Wrong }).Build();
            yield return (frame with { Link = link, Checksum = ChecksumState.Partial }).Build();
        }

        foreach (byte[] fragment in (Frames.Udp(source, 1000, destination, 80, 100) with { Link = link }).BuildFragments(1, 40, 72))
        {
            yield return fragment;
        }

        yield return (Frames.Udp(source, 1000, destination, 80) with { Link = link, Checksum = ChecksumState.Absent }).Build();
    }

    private static IEnumerable<TestFrame> Kinds(IpAddress source, IpAddress destination)
    {
        TestFrame udp = Frames.Udp(source, 1000, destination, 80);
        TestFrame tcp = Frames.Tcp(source, 1000, destination, 80, payload: 8);
        yield return udp;
        yield return tcp;
        yield return Frames.Tcp(source, 1000, destination, 80, TcpControl.Syn);
        yield return Frames.Tcp(source, 1000, destination, 80, TcpControl.Rst);
        yield return Frames.Tcp(source, 1000, destination, 80, TcpControl.Fin | TcpControl.Ack);
        yield return Frames.UdpLite(source, 1000, destination, 80);
        yield return Frames.Dccp(source, 1000, destination, 80, coverage: 1);
        yield return Frames.Sctp(source, 1000, destination, 80);
        yield return Frames.Echo(source, destination, 1000);
        yield return Frames.Echo(source, destination, 1000, reply: true);
        yield return Frames.Icmpv6(source, destination, 135);
        yield return Frames.Icmpv6(source, destination, 139);
        yield return Frames.Other(source, destination, IpProtocol.Esp);
        yield return Frames.Other(source, destination, IpProtocol.Gre);
        yield return Frames.Other(source, destination, IpProtocol.Ipv6, 60);
        yield return Frames.Other(source, destination, 253);
        yield return Frames.Mobility(source, destination);
        yield return udp with { Extensions = [Frames.HopByHop(), Frames.DestinationOptions(3), Frames.Routing(destination, 0)] };
        yield return tcp with { Extensions = [Frames.AtomicFragment(), Frames.DestinationOptions()] };
        yield return udp with { Extensions = [Frames.Routing(Frames.OtherServer, 1)], PseudoDestination = Frames.OtherServer };
        yield return tcp with
        {
            Extensions = [Frames.SegmentRouting(1, Frames.OtherServer, destination)],
            PseudoDestination = Frames.OtherServer
        };
        yield return udp with { Extensions = [Frames.HomeAddress(Frames.OtherServer)], PseudoSource = Frames.OtherServer };
        yield return udp with { Extensions = [Frames.Authentication()] };
        yield return udp with { Extensions = [Frames.Jumbo(8 + 8 + 12)] };
        TestFrame about = Frames.Udp(destination, 80, source, 1000, 60);
        yield return Frames.Error(source, destination, 1, 4, about.Build());
        yield return Frames.Error(source, destination, 2, 0, Frames.Tcp(destination, 80, source, 1000, payload: 40).Build(), field: 1280);
        yield return Frames.Error(source, destination, 3, 0, about.Build().AsSpan(0, 44));
        yield return Frames.Error(source, destination, 4, 0, (about with { Extensions = [Frames.DestinationOptions()] }).Build());
    }

    private static int OffsetOf(LinkHeader link) => new TestFrame
    {
        Source = default,
        Destination = default,
        Protocol = 0,
        Upper = [],
        Link = link
    }.NetworkOffset;

    private static byte[] Readdressed(byte[] frame, int network, int offset, IpAddress address)
    {
        byte[] copy = [.. frame];
        address.Write(copy.AsSpan(network + offset));
        return copy;
    }

    private static List<(byte[] Frame, int NetworkOffset)> PublicCaptures()
    {
        List<(byte[], int)> found = [];
        string? folder = SharedMaterial.Folder("captures-public");
        if (folder is not null)
        {
            foreach (string file in Directory.EnumerateFiles(folder, "*.pcap*").Order(StringComparer.Ordinal))
            {
                ReadAsync(file, found).GetAwaiter().GetResult();
            }
        }

        return found;
    }

    private static async Task ReadAsync(string file, List<(byte[], int)> found)
    {
        await using CaptureReader reader = CaptureReader.Create(File.OpenRead(file));
        bool more = true;
        while (more)
        {
            more = await reader.ReadAsync();
            Take(reader, found);
        }
    }

    private static void Take(CaptureReader reader, List<(byte[], int)> found)
    {
        while (reader.TryRead(out CaptureRecord record))
        {
            if (record.Kind == CaptureRecordKind.Packet && LinkLayer.TryFindIpv6(record.LinkType, record.Data, out int network)
                && record.Data.Length >= network + 40)
            {
                found.Add((record.Data.ToArray(), network));
            }
        }
    }
}

using FsCheck;
using FsCheck.Fluent;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests;

/// <summary>
/// The common packet has a shorter way through the engine, alone and in a batch: whichever way it goes, it becomes the same octets and is
/// counted the same, between packets that are not common.
/// </summary>
public sealed class CommonPacketTests
{
    private const int Steps = 70;      // more than one slice of a batch
    private const int Ports = 4;       // half of them TCP

    [Fact]
    public void In_a_batch_with_others_between_them_they_are_rewritten_and_counted_as_one_by_one() =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(TestScale.Times(100)), Prop.ForAll(Numbers(), numbers =>
        {
            (EngineRig alone, IpAddress[] addresses) = Begin();
            (EngineRig batched, _) = Begin();
            (TestFrame Frame, bool Inbound)[] walk = [.. numbers.Select(number => Draw(number, addresses))];
            byte[] buffer = [.. walk.SelectMany(step => step.Frame.Build())];
            FrameSlot[] slots = Slots(walk);

            batched.Engine.HandleBatch(buffer, slots, batched.Now);
            batched.Drain();
            for (int i = 0; i < walk.Length; i++)
            {
                (Verdict verdict, byte[] after) = walk[i].Inbound ? alone.Inbound(walk[i].Frame) : alone.Outbound(walk[i].Frame);
                Assert.Equal(verdict, slots[i].Verdict);
                Assert.Equal(after, buffer.AsSpan(slots[i].Offset, slots[i].Length).ToArray());
            }

            Assert.Equal(CountsOf(alone), CountsOf(batched));
            Assert.Equal(Flows(alone), Flows(batched));
            Assert.Equal(Addresses(alone), Addresses(batched));
        }));

    [Fact]
    public void Every_packet_of_a_flow_is_counted_by_flow_address_and_direction_with_its_IPv6_header() =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(TestScale.Times(100)), Prop.ForAll(Numbers(), numbers =>
        {
            (EngineRig rig, IpAddress[] addresses) = Begin();
            Dictionary<int, (uint Packets, ulong Octets)> flows = Flows(rig).ToDictionary(flow => flow.Number, flow => (flow.Packets, flow.Octets));
            Dictionary<IpAddress, (ulong PacketsOut, ulong OctetsOut, ulong PacketsIn, ulong OctetsIn)> expected =
                Addresses(rig).ToDictionary(one => one.Address, one => (one.PacketsOut, one.OctetsOut, one.PacketsIn, one.OctetsIn));
            long forwarded = rig.Engine.Counters.Of(ForwardReason.Rewritten);
            foreach ((TestFrame frame, bool inbound) in numbers.Select(number => Draw(number, addresses)))
            {
                (Verdict verdict, byte[] after) = inbound ? rig.Inbound(frame) : rig.Outbound(frame);
                if (verdict is not { Kind: VerdictKind.Forward, Forward: ForwardReason.Rewritten })
                {
                    continue;
                }

                forwarded++;
                uint length = (uint)(after.Length - frame.NetworkOffset);
                IpAddress source = IpAddress.Read(after.AsSpan(frame.NetworkOffset + 8));
                IpAddress typed = inbound ? frame.Destination : source;
                TestFrame expectedFrame = frame with { Source = source, Destination = inbound ? Frames.Host : frame.Destination };
                Assert.True(frame.Checksum == ChecksumState.Wrong || expectedFrame.Build().SequenceEqual(after));
                (uint packets, ulong octets) = flows.GetValueOrDefault(verdict.Flow);
                flows[verdict.Flow] = (packets + 1, octets + length);
                (ulong packetsOut, ulong octetsOut, ulong packetsIn, ulong octetsIn) = expected.GetValueOrDefault(typed);
                expected[typed] = inbound
                    ? (packetsOut, octetsOut, packetsIn + 1, octetsIn + length) : (packetsOut + 1, octetsOut + length, packetsIn, octetsIn);
            }

            Assert.Equal(forwarded, rig.Engine.Counters.Of(ForwardReason.Rewritten));
            Assert.All(Flows(rig), flow => Assert.Equal(flows[flow.Number], (flow.Packets, flow.Octets)));
            Assert.All(
                Addresses(rig), one => Assert.Equal(expected[one.Address], (one.PacketsOut, one.OctetsOut, one.PacketsIn, one.OctetsIn)));
        }));

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_packet_in_either_direction_keeps_a_flow_alive(bool inbound)
    {
        (EngineRig rig, IpAddress[] addresses) = Begin();
        rig.Pass(60_000);

        Assert.Equal(VerdictKind.Forward, (inbound ? rig.Inbound(Usual(0, addresses, true)) : rig.Outbound(Usual(0, addresses, false))).Verdict.Kind);
        FlowSnapshot flow = Assert.Single(Flows(rig), one => one.Identity.LocalPort == PortOf(0));

        Assert.InRange(rig.Now.Nanoseconds - flow.LastSeen.Nanoseconds, 0, Timestamp.NanosecondsPerSecond);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    [Rfc(8200, "8.1")]
    public void A_datagram_whose_new_checksum_is_zero_has_ones_instead_for_zero_would_be_none(bool inbound)
    {
        (EngineRig rig, IpAddress[] addresses) = Begin();
        TestFrame frame = Usual(0, addresses, inbound);
        TestFrame rewritten = inbound ? frame with { Destination = Frames.Host } : frame with { Source = addresses[0] };
        frame.Upper[8] = frame.Upper[9] = 0;         // both frames share these octets
        rewritten.SummedUpper().AsSpan(6, 2).CopyTo(frame.Upper.AsSpan(8));

        (_, byte[] after) = inbound ? rig.Inbound(frame) : rig.Outbound(frame);

        Assert.Equal(rewritten.Build(), after);
        Assert.Equal([0xff, 0xff], after[46..48]);
    }

    [Fact]
    public void A_flow_that_was_idle_for_one_tick_too_long_is_not_the_same_any_more()
    {
        const int tickShift = 26;      // of nanoseconds
        DataplaneOptions options = EngineRig.Options(AddressType.Nonpersistent) with { UdpTimeout = new Duration(100L << tickShift) };
        foreach (int ticks in new[] { 100, 101 })
        {
            var rig = new EngineRig(options);
            rig.Attach(EngineRig.NonpersistentPrefix);
            TestFrame frame = Frames.Udp(Frames.Host, PortOf(0), Frames.Server, 443);
            rig.Outbound(frame);
            rig.Engine.Advance(rig.Now.Add(new Duration(100L << tickShift)));         // what is due by then is done

            rig.Engine.HandleOutbound(frame.Build(), frame.Info, rig.Now.Add(new Duration((long)ticks << tickShift)));

            Assert.Equal(ticks - 99, rig.Engine.Counters.Of(AddressType.Nonpersistent).FlowsOpened);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Between_two_networks_a_flow_whose_address_stays_is_not_forwarded(bool batched)
    {
        (EngineRig rig, IpAddress[] addresses) = Begin(AddressType.SessionLasting);
        rig.Engine.Detach(rig.Now);
        foreach ((TestFrame frame, bool inbound) in Enumerable.Range(0, 2 * Ports).Select(i => (Usual(i / 2, addresses, i % 2 != 0), i % 2 != 0)))
        {
            byte[] octets = frame.Build();
            var slot = new FrameSlot { Length = octets.Length, Inbound = inbound, Info = frame.Info };
            if (batched)
            {
                rig.Engine.HandleBatch(octets, new Span<FrameSlot>(ref slot), rig.Now);
            }
            else
            {
                slot.Verdict = inbound ? rig.Engine.HandleInbound(octets, frame.Info, rig.Now) : rig.Engine.HandleOutbound(octets, frame.Info, rig.Now);
            }

            Assert.Equal((VerdictKind.Drop, DropReason.Detached), (slot.Verdict.Kind, slot.Verdict.Drop));
            Assert.Equal(frame.Build(), octets);
        }
    }

    [Fact]
    public void A_segment_whose_header_says_that_it_is_longer_than_the_segment_has_no_data()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(HostScene.Of(HostScene.NonpersistentOne, AddressType.Nonpersistent));
        scene.Connect();
        TestFrame segment = Frames.Tcp(Frames.Host, 40000, Frames.Server, 443, TcpControl.Ack, 3000, 5001);
        segment.Upper[12] = 15 << 4;
        scene.Send(segment);

        scene.Attach(HostScene.Of(HostScene.NonpersistentTwo, AddressType.Nonpersistent));

        Assert.Equal(HostScene.Reset(5001, 3000), scene.OnlyOutput().Octets);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 0)]
    [InlineData(-1000, 0)]
    [InlineData(int.MaxValue - 200, 0)]
    [InlineData(0, int.MaxValue - 200)]
    [InlineData(0, int.MinValue)]
    public void A_frame_that_does_not_lie_within_the_buffer_is_refused_before_any_is_touched(int farther, int longer)
    {
        (EngineRig rig, IpAddress[] addresses) = Begin();
        byte[] octets = Usual(0, addresses, inbound: false).Build();
        byte[] buffer = [.. octets, .. octets];
        FrameSlot[] slots =
        [
            new FrameSlot { Offset = 0, Length = octets.Length },
            new FrameSlot { Offset = octets.Length + farther, Length = octets.Length + longer },
        ];

        Assert.Equal("slots", Assert.Throws<ArgumentException>(() => rig.Engine.HandleBatch(buffer, slots, rig.Now)).ParamName);

        Assert.Equal([.. octets, .. octets], buffer);
    }

    // Two UDP flows and two TCP connections that stay, seen in both directions.
    private static (EngineRig Rig, IpAddress[] Addresses) Begin(AddressType type = AddressType.Nonpersistent)
    {
        var rig = new EngineRig(EngineRig.Options(type));
        rig.Attach(type == AddressType.Nonpersistent ? EngineRig.NonpersistentPrefix : EngineRig.SessionLastingPrefix);
        var addresses = new IpAddress[Ports];
        for (int flow = 0; flow < Ports; flow++)
        {
            ushort port = PortOf(flow);
            addresses[flow] = rig.SourceOf(IsTcp(flow)
                ? Frames.Tcp(Frames.Host, port, Frames.Server, 443, TcpControl.Syn, 1000) : Frames.Udp(Frames.Host, port, Frames.Server, 443));
            if (IsTcp(flow))
            {
                rig.Inbound(Frames.Tcp(Frames.Server, 443, addresses[flow], port, TcpControl.Syn | TcpControl.Ack, 5000, 1001));
                rig.Outbound(Frames.Tcp(Frames.Host, port, Frames.Server, 443, TcpControl.Ack, 1001, 5001));
            }
        }

        return (rig, addresses);
    }

    private static ushort PortOf(int flow) => (ushort)(5000 + flow);

    private static bool IsTcp(int flow) => flow >= Ports / 2;

    private static TestFrame Usual(int flow, IpAddress[] addresses, bool inbound, int payload = 12, ushort? port = null)
    {
        IpAddress source = inbound ? Frames.Server : Frames.Host;
        IpAddress destination = inbound ? addresses[flow] : Frames.Server;
        ushort local = port ?? PortOf(flow);
        (ushort sourcePort, ushort destinationPort) = inbound ? ((ushort)443, local) : (local, (ushort)443);
        return IsTcp(flow)
            ? Frames.Tcp(source, sourcePort, destination, destinationPort, TcpControl.Ack, inbound ? 5001u : 1001u, inbound ? 1001u : 5001u, payload)
            : Frames.Udp(source, sourcePort, destination, destinationPort, payload, payload + local);
    }

    private static (TestFrame Frame, bool Inbound) Draw(int number, IpAddress[] addresses)
    {
        int flow = number % Ports;
        bool inbound = (number >> 2 & 1) != 0;
        TestFrame usual = Usual(flow, addresses, inbound, 12 + (number >> 8 & 0x3f)) with { Link = (LinkHeader)(number >> 3 & 1) };
        TestFrame frame = (number >> 4 & 15) switch
        {
            0 => Usual(flow, addresses, inbound, payload: 2),                                       // too short for the short way
            1 => Usual(flow, addresses, inbound, port: (ushort)(6000 + (number >> 8 & 7))),         // another flow, or none
            2 => usual with { Destination = IpAddress.Parse("ff02::fb"), Source = Frames.Host },
            3 => usual with { Extensions = [Frames.DestinationOptions()] },
            4 or 5 => usual with { Checksum = IsTcp(flow) ? ChecksumState.Wrong : ChecksumState.Absent },
            6 or 7 => usual with { Checksum = ChecksumState.Partial },
            8 => usual with { Checksum = ChecksumState.Wrong },
            9 => usual with { Source = inbound ? Frames.OtherServer : Frames.OtherHost },
            _ => usual,
        };
        return (frame, inbound);
    }

    private static FrameSlot[] Slots((TestFrame Frame, bool Inbound)[] walk)
    {
        var slots = new FrameSlot[walk.Length];
        int offset = 0;
        for (int i = 0; i < slots.Length; i++)
        {
            int length = walk[i].Frame.Build().Length;
            slots[i] = new FrameSlot { Offset = offset, Length = length, Inbound = walk[i].Inbound, Info = walk[i].Frame.Tagged(i + 1) };
            offset += length;
        }

        return slots;
    }

    private static Arbitrary<int[]> Numbers() => Gen.ArrayOf(Gen.Choose(0, 1 << 20), Steps).ToArbitrary();

    private static long[] CountsOf(EngineRig rig) =>
    [
        .. Enum.GetValues<ForwardReason>().Select(rig.Engine.Counters.Of), .. Enum.GetValues<DropReason>().Select(rig.Engine.Counters.Of),
        .. Enum.GetValues<VerdictKind>().Select(rig.Engine.Counters.Of),
    ];

    private static List<FlowSnapshot> Flows(EngineRig rig)
    {
        var all = new FlowSnapshot[256];
        int cursor = 0;
        List<FlowSnapshot> flows = [.. all[..rig.Engine.CopyFlows(ref cursor, all)]];
        Assert.True(cursor < 0);
        return flows;
    }

    private static List<AddressSnapshot> Addresses(EngineRig rig)
    {
        var all = new AddressSnapshot[256];
        int cursor = 0;
        List<AddressSnapshot> addresses = [.. all[..rig.Engine.CopyAddresses(ref cursor, all)]];
        Assert.True(cursor < 0);
        return addresses;
    }
}

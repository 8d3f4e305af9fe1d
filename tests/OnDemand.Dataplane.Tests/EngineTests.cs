using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests;

/// <summary>Frames and flows while the network stays as it is.</summary>
public sealed class EngineTests
{
    private static readonly PrefixAdvertisement Nonpersistent = HostScene.Of(HostScene.NonpersistentOne, AddressType.Nonpersistent);
    private static readonly PrefixAdvertisement Session = HostScene.Of(HostScene.SessionOne, AddressType.SessionLasting);
    private static readonly PrefixAdvertisement Fixed = HostScene.Of(HostScene.FixedOne, AddressType.Fixed);

    public static TheoryData<string> Transports => ["tcp", "udp", "udp-lite", "dccp", "sctp", "echo"];

    [Theory]
    [MemberData(nameof(Transports))]
    public void A_packet_leaves_with_the_typed_source_and_its_answer_comes_back_to_the_internal_address(string transport)
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(Nonpersistent);
        TestFrame question = Packet(transport, Frames.Host, Frames.Server, reply: false);

        Handled sent = scene.Send(question);
        TestFrame answer = Packet(transport, Frames.Server, sent.Source, reply: true);
        Handled received = scene.Receive(answer);

        Assert.Equal((ForwardReason.Rewritten, ForwardReason.Rewritten), (sent.Forwarded, received.Forwarded));
        Assert.True(HostScene.NonpersistentOne.Contains(sent.Source));
        Assert.Equal((question with { Source = sent.Source }).Build(), sent.Octets);
        Assert.Equal((answer with { Destination = Frames.Host }).Build(), received.Octets);
    }

    [Theory]
    [InlineData("ff02::1", ForwardReason.LinkScope)]
    [InlineData("fe80::1", ForwardReason.LinkScope)]
    [InlineData("::1", ForwardReason.LinkScope)]
    [InlineData("ff0e::1:3", ForwardReason.LinkScope)]
    public void What_does_not_leave_the_link_is_not_touched(string destination, ForwardReason reason)
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(Nonpersistent);
        TestFrame frame = Frames.Udp(Frames.Host, 5353, IpAddress.Parse(destination), 5353);

        Handled sent = scene.Send(frame);

        Assert.Equal(reason, sent.Forwarded);
        Assert.Equal(frame.Build(), sent.Octets);
    }

    [Theory]
    [InlineData(130)]
    [InlineData(133)]
    [InlineData(134)]
    [InlineData(135)]
    [InlineData(136)]
    [InlineData(137)]
    [InlineData(143)]
    [Rfc(4861, "7")]
    [Rfc(3810, "5")]
    public void Neighbor_discovery_and_listener_discovery_are_not_touched_in_either_direction(byte type)
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(Nonpersistent);
        IpAddress typed = scene.SendUdp().Source;
        TestFrame outward = Frames.Icmpv6(Frames.Host, Frames.Server, type);
        TestFrame inward = Frames.Icmpv6(Frames.Server, typed, type);

        Handled sent = scene.Send(outward);
        Handled received = scene.Receive(inward);

        Assert.Equal((ForwardReason.NeighborDiscovery, ForwardReason.NeighborDiscovery), (sent.Forwarded, received.Forwarded));
        Assert.Equal(outward.Build(), sent.Octets);
        Assert.Equal(inward.Build(), received.Octets);
    }

    [Fact]
    public void What_is_neither_from_an_internal_nor_to_a_typed_address_is_not_touched()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(Nonpersistent);
        TestFrame stranger = Frames.Udp(Frames.OtherServer, 1, Frames.Server, 2);

        Handled sent = scene.Send(stranger);
        Handled received = scene.Receive(stranger);

        Assert.Equal((ForwardReason.NotOurs, ForwardReason.NotOurs), (sent.Forwarded, received.Forwarded));
        Assert.Equal(stranger.Build(), sent.Octets);
        Assert.Equal(stranger.Build(), received.Octets);
    }

    [Fact]
    public void What_is_not_IPv6_is_not_touched()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(Nonpersistent);
        byte[] frame = Frames.Payload(60);

        Assert.Equal(ForwardReason.NotIpv6, scene.Engine.HandleOutbound(frame, new FrameInfo(-1), scene.Now).Forward);
        Assert.Equal(ForwardReason.NotIpv6, scene.Engine.HandleInbound(frame, new FrameInfo(-1), scene.Now).Forward);
        Assert.Equal(Frames.Payload(60), frame);
    }

    [Fact]
    public void Packets_between_internal_addresses_stay_as_they_are()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent, options => options with { Internal = [IpPrefix.Parse("fd00:db8::/64")] })
            .Attach(Nonpersistent);
        scene.SendUdp();

        Assert.Equal(ForwardReason.Internal, scene.SendUdp(to: Frames.OtherHost).Forwarded);
    }

    [Theory]
    [InlineData(UntranslatablePolicy.Drop)]
    [InlineData(UntranslatablePolicy.Pass)]
    [Rfc(4302, "3.3.3.1")]
    public void A_packet_whose_addresses_are_authenticated_is_dropped_or_passed_but_never_rewritten(UntranslatablePolicy policy)
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent, options => options with { Untranslatable = policy })
            .Attach(Nonpersistent);
        TestFrame frame = Frames.Udp(Frames.Host, 1, Frames.Server, 2) with { Extensions = [Frames.Authentication()] };

        Handled sent = scene.Send(frame);

        Assert.Equal(
            policy == UntranslatablePolicy.Drop ? (null, DropReason.Authenticated) : (ForwardReason.Untranslatable, null),
            (sent.Forwarded, sent.Dropped));
        Assert.Equal(frame.Build(), sent.Octets);
        Assert.Equal(0, scene.Engine.FlowCount);
    }

    [Theory]
    [InlineData(IpProtocol.Mobility, DropReason.AddressSignaling)]
    [InlineData(IpProtocol.Hip, DropReason.AddressSignaling)]
    [InlineData(IpProtocol.Shim6, DropReason.AddressSignaling)]
    [InlineData(IpProtocol.Esp, DropReason.OpaqueTransport)]
    [InlineData(253, DropReason.OpaqueTransport)]
    public void A_packet_that_speaks_of_its_addresses_or_hides_its_checksum_is_never_rewritten_by_guess(byte protocol, DropReason reason)
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(Nonpersistent);
        TestFrame frame = Frames.Other(Frames.Host, Frames.Server, protocol);
        frame.Upper[0] = 59;
        frame.Upper[1] = 2;

        Assert.Equal(reason, scene.Send(frame).Dropped);
        Assert.Equal(0, scene.Engine.FlowCount);
    }

    [Theory]
    [InlineData(IpProtocol.Gre)]
    [InlineData(IpProtocol.Esp)]
    public void A_packet_that_still_has_segments_to_visit_is_dropped_for_that_whatever_its_transport(byte protocol)
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(Nonpersistent);
        TestFrame frame = Frames.Other(Frames.Server, scene.SendUdp().Source, protocol) with
        {
            Extensions = [Frames.Routing(Frames.OtherServer, 1)],
        };

        Assert.Equal(DropReason.SegmentsLeft, scene.Receive(frame).Dropped);
    }

    [Theory]
    [InlineData(IpProtocol.Esp)]
    [InlineData(253)]
    [InlineData(IpProtocol.Udp)]
    [InlineData(IpProtocol.Tcp)]
    [Rfc(6296, "2.6")]
    public void A_checksum_neutral_address_serves_every_transport_without_touching_a_single_octet_behind_the_addresses(byte protocol)
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent,
            options => options with { NeutralTypes = 1 << (int)AddressType.Nonpersistent }).Attach(Nonpersistent);
        TestFrame frame = protocol == IpProtocol.Tcp ? Frames.Tcp(Frames.Host, 1, Frames.Server, 2, TcpControl.Syn)
            : protocol == IpProtocol.Udp ? Frames.Udp(Frames.Host, 1, Frames.Server, 2)
                : Frames.Other(Frames.Host, Frames.Server, protocol);

        Handled sent = scene.Send(frame);

        Assert.Equal(ForwardReason.Rewritten, sent.Forwarded);
        Assert.True(HostScene.NonpersistentOne.Contains(sent.Source));
        Assert.Equal(frame.Build()[24..], sent.Octets[24..]);
    }

    [Fact]
    [Rfc(4787, "4.1")]
    [Rfc(5382, "4.1")]
    public void A_socket_has_one_address_for_all_its_peers()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(Nonpersistent);

        IpAddress first = scene.SendUdp(port: 5000, to: Frames.Server, toPort: 53).Source;

        Assert.Equal(first, scene.SendUdp(port: 5000, to: Frames.Server, toPort: 54).Source);
        Assert.Equal(first, scene.SendUdp(port: 5000, to: Frames.OtherServer, toPort: 53).Source);
        Assert.Equal(3, scene.Engine.FlowCount);
    }

    [Fact]
    [Rfc(8653, "3.3")]
    [Draft("3.3")]
    public void Two_sockets_of_one_program_may_have_different_types_at_the_same_time()
    {
        HostScene scene = new HostScene().Attach(Fixed, Session);
        scene.Request(AddressType.Fixed, 40000);
        scene.Request(AddressType.SessionLasting, 40001);

        Assert.True(HostScene.FixedOne.Contains(scene.SendTcp(TcpControl.Syn, 1, 0, 40000).Source));
        Assert.True(HostScene.SessionOne.Contains(scene.SendTcp(TcpControl.Syn, 1, 0, 40001).Source));
    }

    [Fact]
    public void The_sockets_own_request_goes_before_a_rule_and_a_rule_before_the_default()
    {
        var rule = new PolicyRule { RemotePort = new PortRange(443), Outcome = PolicyOutcome.OfType(AddressType.SessionLasting) };
        var policy = new ServicePolicy([rule], [], PolicyOutcome.OfType(AddressType.Nonpersistent));
        HostScene scene = new HostScene(change: options => options with { Policy = policy })
            .Attach(Nonpersistent, Session, Fixed);
        scene.Request(AddressType.Fixed, 40001);

        Assert.True(HostScene.FixedOne.Contains(scene.SendTcp(TcpControl.Syn, 1, 0, 40001).Source));
        Assert.True(HostScene.SessionOne.Contains(scene.SendTcp(TcpControl.Syn, 1, 0, 40000).Source));
        Assert.True(HostScene.NonpersistentOne.Contains(scene.SendUdp().Source));
        Assert.Equal(
            [DecisionOrigin.SocketRequest, DecisionOrigin.PolicyRule, DecisionOrigin.DefaultType],
            scene.Events(EngineEventKind.FlowOpened).Select(opened => opened.Decision.Origin));
    }

    [Fact]
    [Rfc(8653, "3.2")]
    public void Only_a_fixed_address_is_reachable_from_outside()
    {
        HostScene scene = new HostScene()
            .Attach(Nonpersistent, Session, Fixed, HostScene.Of(HostScene.GracefulOne, AddressType.GracefulReplacement));
        Dictionary<AddressType, IpAddress> made = scene
            .Events(EngineEventKind.AddressMade).ToDictionary(address => address.Type, address => address.Address);

        Assert.Equal(ForwardReason.Rewritten, scene.ReceiveUdp(made[AddressType.Fixed]).Forwarded);
        Assert.Equal(DropReason.Unsolicited, scene.ReceiveUdp(made[AddressType.Nonpersistent], port: 5001).Dropped);
        Assert.Equal(DropReason.Unsolicited, scene.ReceiveUdp(made[AddressType.SessionLasting], port: 5002).Dropped);
        Assert.Equal(DropReason.Unsolicited, scene.ReceiveUdp(made[AddressType.GracefulReplacement], port: 5003).Dropped);
        Assert.Equal(3, scene.Engine.Counters.Of(DropReason.Unsolicited));
    }

    [Fact]
    [Rfc(8653, "1")]
    public void A_server_at_a_fixed_address_accepts_a_connection_and_answers_from_that_address()
    {
        HostScene scene = new HostScene().Attach(Fixed);
        IpAddress address = Assert.Single(scene.Events(EngineEventKind.AddressMade)).Address;

        Handled syn = scene.ReceiveTcp(address, TcpControl.Syn, 5000, 0, port: 80);
        Handled answer = scene.SendTcp(TcpControl.Syn | TcpControl.Ack, 1000, 5001, port: 80);

        Assert.Equal((ForwardReason.Rewritten, Frames.Host), (syn.Forwarded, syn.Destination));
        Assert.Equal((ForwardReason.Rewritten, address), (answer.Forwarded, answer.Source));
    }

    [Fact]
    public void Policy_opens_a_port_of_another_type()
    {
        var rule = new InboundRule(AddressType.SessionLasting) { Protocol = IpProtocol.Tcp, LocalPort = new PortRange(8080) };
        HostScene scene = new HostScene(change: options => options with { Policy = new ServicePolicy([], [rule], PolicyOutcome.Legacy) })
            .Attach(Session);
        IpAddress address = Assert.Single(scene.Events(EngineEventKind.AddressMade)).Address;

        Assert.Equal(ForwardReason.Rewritten, scene.ReceiveTcp(address, TcpControl.Syn, 5000, 0, port: 8080).Forwarded);
        Assert.Equal(DropReason.Unsolicited, scene.ReceiveTcp(address, TcpControl.Syn, 5000, 0, port: 8081).Dropped);
        Assert.Equal(DropReason.Unsolicited, scene.ReceiveUdp(address, port: 8080).Dropped);
    }

    [Fact]
    public void An_answer_to_another_of_our_addresses_than_the_flows_is_dropped()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(Nonpersistent, Fixed);
        IpAddress other = scene.Events(EngineEventKind.AddressMade).Single(made => made.Type == AddressType.Fixed).Address;
        scene.SendUdp();

        Assert.Equal(DropReason.WrongAddress, scene.ReceiveUdp(other).Dropped);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void TCP_without_a_flow_and_without_SYN_is_taken_up_only_where_the_options_say_so(bool pickUp)
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent, options => options with { PickUpMidFlow = pickUp })
            .Attach(Nonpersistent);

        Handled data = scene.SendTcp(TcpControl.Ack, 77, 88, payload: 10);
        Handled reset = scene.SendTcp(TcpControl.Rst, 77, 0, port: 40001);

        Assert.Equal(pickUp ? (ForwardReason.Rewritten, null) : (null, DropReason.NoFlow), (data.Forwarded, data.Dropped));
        Assert.Equal(DropReason.NoFlow, reset.Dropped);
    }

    [Theory]
    [InlineData("udp", 300)]
    [InlineData("udp-lite", 300)]
    [InlineData("echo", 60)]
    [InlineData("sctp", 300)]
    [InlineData("dccp", 300)]
    [InlineData("syn", 240)]
    [InlineData("established", 7440)]
    [InlineData("half closed", 7440)]
    [InlineData("closed", 240)]
    [InlineData("reset", 240)]
    [Rfc(4787, "4.3")]
    [Rfc(5382, "5")]
    [Rfc(5508, "3.2")]
    [Rfc(7857, "2.1")]
    public void A_flow_lives_as_long_as_its_state_says_and_no_longer(string state, int seconds)
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(Nonpersistent);
        Live(scene, state);
        Assert.Equal(1, scene.Engine.FlowCount);

        scene.Pass(seconds - 2);
        Assert.Equal(1, scene.Engine.FlowCount);
        scene.Pass(6);
        Assert.Equal(0, scene.Engine.FlowCount);
    }

    [Fact]
    [Rfc(4787, "4.3")]
    public void Packets_of_either_side_keep_a_flow_alive_and_a_reset_leaves_it_four_minutes()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(Nonpersistent);
        IpAddress address = scene.SendUdp().Source;
        scene.Pass(200);
        scene.ReceiveUdp(address);
        scene.Pass(200);
        Assert.Equal(1, scene.Engine.FlowCount);
        scene.Pass(150);
        Assert.Equal(0, scene.Engine.FlowCount);

        IpAddress tcp = scene.Connect();
        scene.Pass(100);
        scene.ReceiveTcp(tcp, TcpControl.Rst, 5001, 0);
        scene.Pass(200);
        scene.ReceiveTcp(tcp, TcpControl.Rst, 5001, 0);   // sent again, it prolongs nothing
        scene.Pass(45);
        Assert.Equal(0, scene.Engine.FlowCount);
    }

    [Fact]
    public void A_packet_that_meets_an_idle_flow_before_the_table_was_swept_begins_anew()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(Nonpersistent);
        IpAddress address = scene.SendUdp().Source;
        var later = new Timestamp(scene.Now.Nanoseconds + (310 * Timestamp.NanosecondsPerSecond));

        Verdict verdict = scene.Engine.HandleInbound(Frames.Udp(Frames.Server, 53, address, 5000).Build(), new FrameInfo(0), later);

        Assert.Equal(DropReason.Unsolicited, verdict.Drop);
    }

    [Fact]
    [Rfc(9293, "3.6.1")]
    public void A_port_that_is_used_again_after_its_connection_has_closed_starts_afresh()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(Nonpersistent);
        IpAddress address = scene.Connect();
        scene.SendTcp(TcpControl.Fin | TcpControl.Ack, 1001, 5001);
        scene.ReceiveTcp(address, TcpControl.Fin | TcpControl.Ack, 5001, 1002);
        scene.SendTcp(TcpControl.Ack, 1002, 5002);
        _ = scene.Events(EngineEventKind.FlowOpened);

        Handled syn = scene.SendTcp(TcpControl.Syn, 900_000, 0);

        Assert.Equal(ForwardReason.Rewritten, syn.Forwarded);
        Assert.Single(scene.Events(EngineEventKind.FlowOpened));
        Assert.Equal(1, scene.Engine.FlowCount);
    }

    [Fact]
    [Rfc(4443, "3.1")]
    public void When_the_table_is_full_new_flows_are_refused_with_an_ICMPv6_error_and_existing_ones_go_on()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent, options => options with { MaximumFlows = 2 }).Attach(Nonpersistent);
        IpAddress address = scene.SendUdp(port: 1).Source;
        scene.SendUdp(port: 2);

        Handled third = scene.SendUdp(port: 3);

        Assert.Equal(DropReason.FlowTableFull, third.Answered);
        Output answer = scene.OnlyOutput();
        Assert.Equal((OutputKind.Icmpv6Error, OutputDirection.Host), (answer.Info.Kind, answer.Info.Direction));
        Assert.Equal(Frames.Error(Frames.Server, Frames.Host, 1, 1, third.Frame.Build()).Build(), answer.Octets);
        Assert.Equal(ForwardReason.Rewritten, scene.SendUdp(port: 1).Forwarded);
        Assert.Equal(ForwardReason.Rewritten, scene.ReceiveUdp(address, port: 2).Forwarded);
    }

    [Fact]
    public void When_there_is_no_room_for_another_socket_its_packet_is_refused_and_sockets_that_are_there_open_new_flows()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent, options => options with { MaximumBindings = 1 }).Attach(Nonpersistent);
        scene.SendUdp(port: 1);

        Assert.Equal(DropReason.BindingTableFull, scene.SendUdp(port: 2).Answered);
        Assert.Equal(ForwardReason.Rewritten, scene.SendUdp(port: 1, to: Frames.OtherServer).Forwarded);
    }

    [Fact]
    public void Where_there_is_no_room_for_a_prefix_or_an_address_what_is_there_goes_on_and_the_rest_is_refused()
    {
        HostScene prefixes = new HostScene(AddressType.Nonpersistent, options => options with { MaximumPrefixes = 1 })
            .Attach(Nonpersistent, HostScene.Of(HostScene.SessionOne, AddressType.SessionLasting));
        prefixes.Request(AddressType.SessionLasting);
        Assert.Equal(AddressType.SessionLasting, prefixes.Question().Type);
        Assert.Equal(ForwardReason.Rewritten, prefixes.SendUdp().Forwarded);

        HostScene addresses = new HostScene(AddressType.Nonpersistent, options => options with
        {
            MaximumTypedAddresses = 1,
            Internal = [new IpPrefix(Frames.Host, 128), new IpPrefix(Frames.OtherHost, 128)],
        }).Attach(Nonpersistent);
        Assert.Equal(ForwardReason.Rewritten, addresses.SendUdp().Forwarded);
        Assert.Equal(DropReason.AddressTableFull, addresses.Send(Frames.Udp(Frames.OtherHost, 5000, Frames.Server, 53)).Dropped);
    }

    [Fact]
    public void An_answer_for_which_the_queue_has_no_room_is_not_given_and_its_packet_counted()
    {
        HostScene scene = new HostScene(AddressType.SessionLasting, options => options with { MaximumReplies = 1 }).Attach(Nonpersistent);
        Assert.True(scene.SendUdp().Held);
        scene.Refuse(scene.Question());
        _ = scene.Outputs();

        Assert.Equal(DropReason.Refused, scene.SendUdp(port: 5001).Answered);
        Assert.Equal(DropReason.ReplyQueueFull, scene.SendUdp(port: 5002).Dropped);
    }

    [Fact]
    [Rfc(4443, "2.4")]
    public void ICMPv6_errors_are_limited_in_rate_and_what_is_not_said_is_counted()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent, options => options with { MaximumFlows = 1, IcmpErrorsPerSecond = 3 })
            .Attach(Nonpersistent);
        scene.SendUdp(port: 1);

        Handled[] refused = [.. Enumerable.Range(2, 5).Select(port => scene.SendUdp((ushort)port))];
        Assert.Equal(
            [DropReason.FlowTableFull, DropReason.FlowTableFull, DropReason.FlowTableFull, null, null],
            refused.Select(frame => frame.Answered));
        Assert.Equal(DropReason.FlowTableFull, refused[4].Dropped);
        Assert.Equal((3, 2), (scene.Engine.Counters.IcmpErrorsSent, scene.Engine.Counters.IcmpErrorsSuppressed));

        scene.Pass(0.4);
        Assert.Equal(DropReason.FlowTableFull, scene.SendUdp(port: 9).Answered);
    }

    [Fact]
    [Rfc(4787, "8")]
    public void The_same_calls_with_the_same_seeds_give_the_same_octets_and_another_seed_other_addresses()
    {
        static IpAddress Run(ulong seed) =>
            new HostScene(AddressType.Nonpersistent, options => options with { AddressSeed = seed }).Attach(Nonpersistent).SendUdp().Source;

        Assert.Equal(Run(1), Run(1));
        Assert.NotEqual(Run(1), Run(2));
    }

    [Fact]
    [Rfc(7217, "5")]
    public void A_fixed_address_is_the_same_in_every_run_with_the_same_secret_and_another_in_every_prefix()
    {
        static IpAddress Run(ulong seed, byte secret, IpPrefix prefix) => Assert.Single(
            new HostScene(change: options =>
                    options with { AddressSeed = seed, IdentifierSecret = Enumerable.Repeat(secret, 16).ToArray() })
                .Attach(HostScene.Of(prefix, AddressType.Fixed)).Events(EngineEventKind.AddressMade)).Address;

        IpAddress address = Run(1, 7, HostScene.FixedOne);

        Assert.Equal(address, Run(2, 7, HostScene.FixedOne));
        Assert.NotEqual(address, Run(1, 8, HostScene.FixedOne));
        Assert.NotEqual(address.Low, Run(1, 7, HostScene.FixedTwo).Low);
    }

    [Fact]
    public void A_prefix_of_128_bits_is_that_very_address_and_not_one_made_by_the_host()
    {
        IpPrefix very = IpPrefix.Parse("2001:db8:f1::7/128");
        HostScene scene = new HostScene(AddressType.Fixed).Attach(HostScene.Of(very, AddressType.Fixed));

        Assert.Equal(very.Address, scene.SendUdp().Source);
    }

    [Fact]
    public void Checksums_left_to_a_device_stay_partial_and_right()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(Nonpersistent);
        TestFrame syn = Frames.Tcp(Frames.Host, 40000, Frames.Server, 443, TcpControl.Syn);
        TestFrame frame = syn with { Checksum = ChecksumState.Partial, Link = LinkHeader.Ethernet };

        Handled sent = scene.Send(frame);

        Assert.Equal((frame with { Source = sent.Source }).Build(), sent.Octets);
    }

    [Fact]
    public void A_batch_is_handled_as_if_one_by_one()
    {
        HostScene alone = new HostScene(AddressType.Nonpersistent).Attach(Nonpersistent);
        HostScene batched = new HostScene(AddressType.Nonpersistent).Attach(Nonpersistent);
        TestFrame[] frames = [.. Enumerable.Range(0, 100)
            .Select(number => Frames.Udp(Frames.Host, (ushort)(5000 + (number % 7)), Frames.Server, (ushort)(number % 5), seed: number))];
        byte[] buffer = [.. frames.SelectMany(frame => frame.Build())];
        int length = frames[0].Build().Length;
        FrameSlot[] slots =
            [.. frames.Select((frame, number) => new FrameSlot { Offset = number * length, Length = length, Info = frame.Info })];

        batched.Engine.HandleBatch(buffer, slots, batched.Now);

        byte[] expected = [.. frames.SelectMany(frame => alone.Send(frame).Octets)];
        Assert.Equal(expected, buffer);
        Assert.All(slots, slot => Assert.Equal(ForwardReason.Rewritten, slot.Verdict.Forward));
        Assert.Equal(alone.Engine.FlowCount, batched.Engine.FlowCount);
    }

    [Fact]
    public void Every_frame_is_counted_once_under_its_verdict_and_its_reason()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(Nonpersistent);
        IpAddress address = scene.SendUdp().Source;
        scene.ReceiveUdp(address);
        scene.ReceiveUdp(address, port: 6000);
        scene.SendTcp(TcpControl.Ack, 1, 1);

        Counters counters = scene.Engine.Counters;
        Assert.Equal((2, 2), (counters.Of(VerdictKind.Forward), counters.Of(VerdictKind.Drop)));
        Assert.Equal((2, 1, 1),
            (counters.Of(ForwardReason.Rewritten), counters.Of(DropReason.Unsolicited), counters.Of(DropReason.NoFlow)));
        Assert.Equal((1, 1, 2, 120), (counters.Of(AddressType.Nonpersistent).Flows, counters.Of(AddressType.Nonpersistent).FlowsOpened,
            counters.Of(AddressType.Nonpersistent).Packets, counters.Of(AddressType.Nonpersistent).Octets));
    }

    private static void Live(HostScene scene, string state)
    {
        IpAddress address;
        switch (state)
        {
            case "syn":
                scene.SendTcp(TcpControl.Syn, 1000, 0);
                break;
            case "established":
                scene.Connect();
                break;
            case "half closed":
                scene.Connect();
                scene.SendTcp(TcpControl.Fin | TcpControl.Ack, 1001, 5001);
                break;
            case "closed":
                address = scene.Connect();
                scene.SendTcp(TcpControl.Fin | TcpControl.Ack, 1001, 5001);
                scene.ReceiveTcp(address, TcpControl.Fin | TcpControl.Ack, 5001, 1002);
                break;
            case "reset":
                address = scene.Connect();
                scene.SendTcp(TcpControl.Rst | TcpControl.Ack, 1001, 5001);
                break;
            default:
                scene.Send(Packet(state, Frames.Host, Frames.Server, reply: false));
                break;
        }
    }

    private static TestFrame Packet(string transport, IpAddress source, IpAddress destination, bool reply) => transport switch
    {
        "tcp" => reply
            ? Frames.Tcp(source, 443, destination, 40000, TcpControl.Syn | TcpControl.Ack, 5000, 1001)
            : Frames.Tcp(source, 40000, destination, 443, TcpControl.Syn),
        "udp" => Frames.Udp(source, (ushort)(reply ? 53 : 5000), destination, (ushort)(reply ? 5000 : 53)),
        "udp-lite" => Frames.UdpLite(source, (ushort)(reply ? 53 : 5000), destination, (ushort)(reply ? 5000 : 53)),
        "dccp" => Frames.Dccp(source, (ushort)(reply ? 53 : 5000), destination, (ushort)(reply ? 5000 : 53)),
        "sctp" => Frames.Sctp(source, (ushort)(reply ? 53 : 5000), destination, (ushort)(reply ? 5000 : 53)),
        _ => Frames.Echo(source, destination, 77, reply),
    };
}

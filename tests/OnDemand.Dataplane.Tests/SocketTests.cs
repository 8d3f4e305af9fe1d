using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests;

/// <summary>Flows whose socket the kernel names: types per socket, not per port, and the end of a binding with its socket.</summary>
public sealed partial class SocketTests
{
    private static readonly PrefixAdvertisement Nonpersistent = HostScene.Of(HostScene.NonpersistentOne, AddressType.Nonpersistent);
    private static readonly PrefixAdvertisement Session = HostScene.Of(HostScene.SessionOne, AddressType.SessionLasting);
    private static readonly PrefixAdvertisement Fixed = HostScene.Of(HostScene.FixedOne, AddressType.Fixed);
    private static readonly IpAddress OtherServer = IpAddress.Parse("2001:db8:c::99");

    [Fact]
    public void The_first_packets_of_a_flow_wait_for_the_word_on_their_socket_and_leave_in_order()
    {
        HostScene scene = Scene(AddressType.Nonpersistent).Attach(Nonpersistent);

        Handled[] sent = [scene.SendUdp(), scene.SendUdp(), scene.SendUdp()];
        Assert.All(sent, one => Assert.Equal((VerdictKind.Hold, HoldReason.Socket), (one.Verdict.Kind, one.Verdict.Hold)));
        Assert.Empty(scene.Outputs());
        SocketQuestion question = Asked(scene);
        Assert.Equal(new FlowIdentity(IpProtocol.Udp, Frames.Host, 5000, Frames.Server, 53), question.Flow);
        Say(scene, question, cookie: 7);

        List<Output> outputs = scene.Outputs();
        Assert.Equal(3, outputs.Count);
        Assert.All(outputs, output => Assert.Equal((OutputKind.Released, OutputDirection.Network), (output.Info.Kind, output.Info.Direction)));
        Assert.Equal(ForwardReason.Rewritten, scene.SendUdp().Forwarded);
        Assert.Equal(7UL, Flows(scene).Single().Socket);
        AssertNothingAsked(scene);
    }

    [Fact]
    public void Two_sockets_on_one_port_get_each_its_own_type()
    {
        HostScene scene = Scene(AddressType.Nonpersistent).Attach(Nonpersistent, Session, Fixed);
        Ask(scene, 1, AddressType.SessionLasting);
        Ask(scene, 2, AddressType.Fixed);

        IpAddress one = Open(scene, cookie: 1, to: Frames.Server);
        IpAddress two = Open(scene, cookie: 2, to: OtherServer);
        IpAddress three = Open(scene, cookie: 3, to: IpAddress.Parse("2001:db8:c::77"));

        Assert.True(HostScene.SessionOne.Contains(one));
        Assert.True(HostScene.FixedOne.Contains(two));
        Assert.True(HostScene.NonpersistentOne.Contains(three));
    }

    [Fact]
    public void A_socket_keeps_one_address_for_all_its_peers()
    {
        HostScene scene = Scene(AddressType.Nonpersistent, RenewAtOnce).Attach(Nonpersistent);

        IpAddress first = Open(scene, cookie: 1, to: Frames.Server);
        scene.Pass(2);
        IpAddress second = Open(scene, cookie: 1, to: OtherServer);
        IpAddress other = Open(scene, cookie: 2, to: Frames.Server, port: 6000);

        Assert.Equal(first, second);
        Assert.NotEqual(first, other);
    }

    [Fact]
    public void What_a_socket_asked_for_comes_before_its_command_and_that_before_policy()
    {
        ServicePolicy policy = new([new PolicyRule { Outcome = PolicyOutcome.OfType(AddressType.Nonpersistent) }], [], PolicyOutcome.Legacy);
        HostScene scene = Scene(policy).Attach(Nonpersistent, Session, Fixed);
        Ask(scene, 1, AddressType.Fixed);

        Assert.True(HostScene.FixedOne.Contains(Open(scene, 1, Frames.Server, type: AddressType.SessionLasting)));
        Assert.True(HostScene.SessionOne.Contains(Open(scene, 2, OtherServer, type: AddressType.SessionLasting)));
        Assert.True(HostScene.NonpersistentOne.Contains(Open(scene, 3, OtherServer, port: 6000)));
        Assert.Equal(
            [DecisionOrigin.SocketRequest, DecisionOrigin.Command, DecisionOrigin.PolicyRule],
            Flows(scene).Select(flow => flow.Decision.Origin));
    }

    [Theory]
    [InlineData(0b000, false)]
    [InlineData(0b010, false)]
    [InlineData(0b110, true)]
    [InlineData(0b111, true)]
    public void A_rule_with_conditions_on_the_socket_matches_only_a_socket_that_meets_all_of_them(ulong traits, bool matches)
    {
        var rule = new PolicyRule { Traits = 0b110, Outcome = PolicyOutcome.OfType(AddressType.SessionLasting) };
        HostScene scene = Scene(new ServicePolicy([rule], [], PolicyOutcome.OfType(AddressType.Nonpersistent))).Attach(Nonpersistent, Session);

        IpAddress source = Open(scene, 1, Frames.Server, traits: traits);

        Assert.Equal(matches, HostScene.SessionOne.Contains(source));
    }

    [Theory]
    [InlineData(AddressPreferences.None, false)]
    [InlineData(AddressPreferences.Public, true)]
    [InlineData(AddressPreferences.Public | AddressPreferences.Home, true)]
    [InlineData(AddressPreferences.Temporary | AddressPreferences.NonCga, false)]
    [InlineData(AddressPreferences.PublicTemporaryDefault | AddressPreferences.Home, false)]
    [InlineData(AddressPreferences.Public | AddressPreferences.Temporary, false)]          // a contradiction: no kernel says so
    public void What_a_program_told_the_kernel_to_prefer_chooses_among_the_addresses_of_a_socket_without_a_type(
        AddressPreferences preferences, bool isPublic)
    {
        HostScene scene = Scene(AddressType.None).Attach(Nonpersistent, Fixed);

        IpAddress source = Open(scene, 1, Frames.Server, preferences: preferences);
        IpAddress other = Open(scene, 2, Frames.Server, port: 6000);

        Assert.Equal(isPublic, HostScene.FixedOne.Contains(source));
        Assert.True(HostScene.NonpersistentOne.Contains(other));
        Assert.All(Flows(scene), flow => Assert.Equal(DecisionOrigin.Legacy, flow.Decision.Origin));
        scene.AssertNothingAsked();
    }

    [Fact]
    [Draft("5.4")]
    public void A_type_from_whoever_and_preferences_of_policy_come_before_what_a_program_told_the_kernel_to_prefer()
    {
        ServicePolicy policy = new(
            [
                new PolicyRule { Traits = 1, Outcome = PolicyOutcome.OfType(AddressType.Nonpersistent) },
                new PolicyRule { Traits = 2, Outcome = PolicyOutcome.LegacyPreferring(AddressPreferences.Temporary) },
            ],
            [], PolicyOutcome.Legacy);
        HostScene scene = Scene(policy).Attach(Nonpersistent, Session, Fixed);
        Ask(scene, 1, AddressType.SessionLasting);
        Ask(scene, 5, AddressType.SessionLasting, native: true);
        const AddressPreferences prefers = AddressPreferences.Public;

        Assert.True(HostScene.SessionOne.Contains(Open(scene, 1, Frames.Server, 5001, preferences: prefers)));
        Assert.True(HostScene.SessionOne.Contains(Open(scene, 2, Frames.Server, 5002, AddressType.SessionLasting, preferences: prefers)));
        Assert.True(HostScene.NonpersistentOne.Contains(Open(scene, 3, Frames.Server, 5003, traits: 1, preferences: prefers)));
        Assert.False(HostScene.FixedOne.Contains(Open(scene, 4, Frames.Server, 5004, traits: 2, preferences: prefers)));
        Assert.True(HostScene.FixedOne.Contains(Open(scene, 5, Frames.Server, 5005, preferences: prefers)));   // its request waits for a bind
        Assert.True(HostScene.FixedOne.Contains(Open(scene, 6, Frames.Server, 5006, preferences: prefers)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_socket_of_an_echo_request_is_asked_for_where_that_is_wanted_and_never_that_of_a_reply(bool asks)
    {
        HostScene scene = Scene(AddressType.Nonpersistent, options => options with { AskEchoSockets = asks }).Attach(Nonpersistent, Session);
        TestFrame request = Frames.Echo(Frames.Host, Frames.Server, 7);

        Assert.Equal(asks, scene.Send(request).Held);
        if (asks)
        {
            SocketQuestion question = Asked(scene);
            Assert.Equal(new FlowIdentity(IpProtocol.Icmpv6, Frames.Host, 7, Frames.Server, 0), question.Flow);
            Say(scene, question, 1, AddressType.SessionLasting);
            Assert.True(HostScene.SessionOne.Contains(SourceOf(scene.OnlyOutput())));
        }

        Assert.False(scene.Send(Frames.Echo(Frames.Host, OtherServer, 7, reply: true)).Held);
    }

    [Fact]
    public void A_socket_keeps_what_it_prefers_when_its_datagrams_go_over_to_another_address()
    {
        HostScene scene = Scene(AddressType.None).Attach(Nonpersistent, Fixed);
        _ = Open(scene, 1, Frames.Server, preferences: AddressPreferences.Public);

        scene.Attach(HostScene.Of(HostScene.NonpersistentTwo, AddressType.Nonpersistent), HostScene.Of(HostScene.FixedTwo, AddressType.Fixed));
        scene.Engine.Withdraw(HostScene.FixedOne, Duration.Zero, scene.Now);

        Assert.True(HostScene.FixedTwo.Contains(scene.SendUdp().Source));
    }

    // draft-17 §5.4: without a bind the address that setsc() made is not used.
    [Fact]
    [Draft("5.4")]
    public void A_request_for_an_address_to_bind_to_leaves_the_packets_from_the_internal_address_alone()
    {
        HostScene scene = Scene(AddressType.Nonpersistent).Attach(Nonpersistent, Session);
        Ask(scene, 1, AddressType.SessionLasting, native: true);
        SetscReply reply = scene.Reply();

        Assert.True(HostScene.SessionOne.Contains(reply.Address));
        Assert.True(HostScene.NonpersistentOne.Contains(Open(scene, 1, Frames.Server)));
    }

    [Fact]
    public void A_socket_bound_to_its_typed_address_is_known_too_and_its_datagrams_end_with_it()
    {
        HostScene scene = Scene(AddressType.Nonpersistent).Attach(Session);
        Ask(scene, 1, AddressType.SessionLasting, native: true);
        IpAddress typed = scene.Reply().Address;
        TestFrame frame = Frames.Udp(typed, 5000, Frames.Server, 53);

        Assert.True(scene.Send(frame).Held);
        Say(scene, Asked(scene), cookie: 1);
        Assert.Equal(frame.Build(), scene.OnlyOutput().Octets);
        Assert.Equal((ForwardReason.Native, ForwardReason.Native), (scene.Send(frame).Forwarded, scene.ReceiveUdp(typed).Forwarded));
        Assert.Equal(1UL, Flows(scene).Single().Socket);
        Assert.True(scene.Engine.TryGetGrant(1, out AddressGrant grant));
        Assert.Equal((typed, HostScene.SessionOne), (grant.Address, grant.Prefix));

        scene.Engine.EndSocket(1, scene.Now);

        Assert.Equal(0, scene.Engine.FlowCount);
        Assert.False(scene.Engine.KnowsSocket(1));
        Assert.Equal(0, Prefixes(scene).Single().Users);
    }

    [Fact]
    public void Without_a_word_in_time_the_flow_goes_on_by_policy()
    {
        HostScene scene = Scene(AddressType.Nonpersistent).Attach(Nonpersistent);
        Assert.True(scene.SendUdp().Held);
        SocketQuestion question = Asked(scene);

        scene.Pass(0.9);
        Assert.Empty(scene.Outputs());
        scene.Pass(0.2);
        Assert.Single(scene.Outputs());
        Assert.Equal(1, scene.Engine.Counters.SocketsUnanswered);

        Say(scene, question, cookie: 5);
        Assert.Equal(0UL, Flows(scene).Single().Socket);
    }

    [Fact]
    public void An_answer_that_comes_twice_or_to_no_question_does_nothing()
    {
        HostScene scene = Scene(AddressType.Nonpersistent).Attach(Nonpersistent);
        scene.Engine.Answer(new SocketAnswer { Id = 0, Cookie = 1 }, scene.Now);
        scene.Engine.Answer(new SocketAnswer { Id = -1, Cookie = 1 }, scene.Now);
        scene.Engine.Answer(new SocketAnswer { Id = int.MaxValue, Cookie = 1 }, scene.Now);
        scene.SendUdp();
        SocketQuestion question = Asked(scene);

        Say(scene, question, cookie: 5);
        Say(scene, question, cookie: 6);
        Assert.Single(scene.Outputs());
        Say(scene, question, cookie: 7);

        Assert.Equal(5UL, Flows(scene).Single().Socket);
    }

    [Fact]
    public void A_flow_that_must_wait_for_the_network_too_is_not_asked_for_again()
    {
        HostScene scene = Scene(AddressType.SessionLasting).Attach(Nonpersistent);
        scene.SendUdp();
        scene.SendUdp();
        Say(scene, Asked(scene), cookie: 5);
        Assert.Empty(scene.Outputs());
        PrefixRequest network = scene.Question();
        scene.Pass(5);
        Assert.True(scene.SendUdp().Held);

        scene.Grant(network, Session);

        Assert.Equal(3, scene.Outputs().Count);
        AssertNothingAsked(scene);
        Assert.Equal(5UL, Flows(scene).Single().Socket);
    }

    [Fact]
    [Rfc(8653, "3.2")]
    public void With_the_socket_its_last_use_of_a_session_lasting_prefix_ends()
    {
        HostScene scene = Scene(AddressType.SessionLasting).Attach(Nonpersistent);
        scene.SendUdp();
        Say(scene, Asked(scene), cookie: 5);
        scene.Outputs();
        scene.Grant(scene.Question(), Session);
        Assert.Single(scene.Outputs());
        scene.Pass(100);

        scene.Engine.EndSocket(5, scene.Now);

        Assert.Equal(0, scene.Engine.FlowCount);
        Assert.Equal(0, scene.Engine.SocketCount);
        scene.Pass(59);
        Assert.Empty(scene.Events(EngineEventKind.PrefixEnded));
        scene.Pass(2);
        Assert.Equal(PrefixEnd.Released, Assert.Single(scene.Events(EngineEventKind.PrefixEnded)).End);
    }

    [Fact]
    public void A_request_ends_with_its_socket_even_if_it_never_sent_anything()
    {
        HostScene scene = Scene(AddressType.Nonpersistent).Attach(Nonpersistent);
        Ask(scene, 9, AddressType.SessionLasting);
        scene.Grant(scene.Question(), Session);
        Assert.Equal(SetscStatus.Granted, scene.Reply().Status);
        scene.Pass(200);
        Assert.Empty(scene.Events(EngineEventKind.PrefixEnded));

        scene.Engine.EndSocket(9, scene.Now);
        scene.Pass(61);

        Assert.Equal(PrefixEnd.Released, Assert.Single(scene.Events(EngineEventKind.PrefixEnded)).End);
    }

    [Fact]
    public void A_connection_whose_socket_is_gone_counts_as_closed_but_its_last_segments_still_pass()
    {
        HostScene scene = Scene(AddressType.SessionLasting).Attach(Session);
        IpAddress source = Connect(scene, cookie: 3);

        scene.Engine.EndSocket(3, scene.Now);

        Assert.Equal(FlowState.Closed, Flows(scene).Single().State);
        Assert.Single(scene.Events(EngineEventKind.FlowClosed));
        Assert.Equal(ForwardReason.Rewritten, scene.ReceiveTcp(source, TcpControl.Fin | TcpControl.Ack, 5001, 1001).Forwarded);
        Assert.Equal(ForwardReason.Rewritten, scene.SendTcp(TcpControl.Ack, 1001, 5002).Forwarded);
        Assert.Equal(0, Prefixes(scene).Single().Users);
    }

    [Fact]
    public void A_socket_that_takes_the_port_of_a_closed_one_begins_afresh()
    {
        HostScene scene = Scene(AddressType.Nonpersistent).Attach(Nonpersistent, Session);
        Ask(scene, 1, AddressType.SessionLasting);
        Connect(scene, cookie: 1);
        IpAddress datagrams = Open(scene, 1, Frames.Server, port: 7000);
        Assert.True(HostScene.SessionOne.Contains(datagrams));

        scene.Engine.EndSocket(1, scene.Now);
        Assert.True(scene.SendTcp(TcpControl.Syn, 9000, 0).Held);
        Say(scene, Asked(scene), cookie: 2);
        Output released = scene.OnlyOutput();

        Assert.True(HostScene.NonpersistentOne.Contains(SourceOf(released)));
        Assert.True(HostScene.NonpersistentOne.Contains(Open(scene, 2, Frames.Server, port: 7000)));
    }

    [Fact]
    public void So_does_one_that_takes_it_while_the_network_is_asked_for_what_the_closed_one_sent()
    {
        HostScene scene = Scene(AddressType.SessionLasting).Attach(Fixed);
        Assert.True(scene.SendUdp().Held);
        Say(scene, Asked(scene), cookie: 1, AddressType.Nonpersistent);
        Assert.Empty(scene.Outputs());
        PrefixRequest network = scene.Question();
        scene.Engine.EndSocket(1, scene.Now);
        Ask(scene, 2, AddressType.Fixed);

        IpAddress source = Open(scene, cookie: 2, Frames.Server);

        Assert.True(HostScene.FixedOne.Contains(source));
        scene.Grant(network, Nonpersistent);
        Assert.Equal(source, SourceOf(scene.OnlyOutput()));   // one flow has one address
    }

    [Fact]
    public void What_a_socket_sent_before_it_was_closed_goes_by_its_type_when_the_network_has_answered()
    {
        HostScene scene = Scene(AddressType.Fixed).Attach(Fixed);
        Assert.True(scene.SendUdp().Held);
        Say(scene, Asked(scene), cookie: 1, AddressType.SessionLasting);
        Assert.Empty(scene.Outputs());
        scene.Engine.EndSocket(1, scene.Now);

        scene.Grant(scene.Question(), Session);

        Assert.True(HostScene.SessionOne.Contains(SourceOf(scene.OnlyOutput())));
        AssertNothingAsked(scene);
        Assert.Equal(0UL, Flows(scene).Single().Socket);
    }

    [Fact]
    public void The_flows_of_a_socket_with_very_many_end_in_slices()
    {
        const int flows = 5000;
        HostScene scene = Scene(AddressType.Nonpersistent, options => options with { MaximumFlows = 2 * flows }).Attach(Nonpersistent);
        for (int i = 0; i < flows; i++)
        {
            Open(scene, 4, new IpAddress(Frames.Server.High, (ulong)i + 1));
        }

        IpAddress other = Open(scene, 5, OtherServer, port: 6000);
        scene.Engine.EndSocket(4, scene.Now);

        Assert.InRange(scene.Engine.FlowCount, 2, flows);
        Assert.True(scene.Engine.NextDeadline <= scene.Now);
        scene.Advance();
        Assert.Equal(1, scene.Engine.FlowCount);
        Assert.Equal(other, Flows(scene).Single().Address);
        Assert.True(scene.Engine.NextDeadline > scene.Now);
    }

    [Fact]
    public void Where_no_question_finds_room_new_flows_are_dropped_and_those_that_are_there_go_on()
    {
        HostScene scene = Scene(AddressType.Nonpersistent, options => options with { MaximumSocketQuestions = 2 }).Attach(Nonpersistent);
        Open(scene, 1, Frames.Server, port: 1);
        scene.SendUdp(2);
        scene.SendUdp(3);

        Assert.Equal(DropReason.HoldFull, scene.SendUdp(4).Dropped);
        Assert.Equal(ForwardReason.Rewritten, scene.SendUdp(1).Forwarded);

        while (scene.Engine.TryTakeSocketQuestion(out SocketQuestion question))
        {
            Say(scene, question, question.Flow.LocalPort);
        }

        Assert.Equal(2, scene.Outputs().Count);
        Assert.True(scene.SendUdp(4).Held);
    }

    [Fact]
    public void A_refused_flow_is_asked_for_again_when_it_tries_again()
    {
        HostScene scene = Scene(AddressType.SessionLasting).Attach(Nonpersistent);
        scene.SendUdp();
        Say(scene, Asked(scene), cookie: 1);
        scene.Outputs();
        scene.Refuse(scene.Question());
        Assert.Equal(OutputKind.Icmpv6Error, scene.OnlyOutput().Info.Kind);

        Assert.True(scene.SendUdp().Held);
        Say(scene, Asked(scene), cookie: 2, type: AddressType.Nonpersistent);

        Assert.True(HostScene.NonpersistentOne.Contains(SourceOf(scene.OnlyOutput())));
    }

    [Fact]
    public void A_flow_that_goes_over_does_so_by_its_sockets_request()
    {
        HostScene scene = Scene(AddressType.SessionLasting).Attach(Nonpersistent, Session);
        Ask(scene, 1, AddressType.Nonpersistent);
        Open(scene, 1, Frames.Server);

        scene.Attach(HostScene.Of(HostScene.NonpersistentTwo, AddressType.Nonpersistent));

        Assert.True(HostScene.NonpersistentTwo.Contains(scene.SendUdp().Source));
        AssertNothingAsked(scene);
    }

    [Fact]
    public void After_a_restart_flows_get_their_sockets_back_and_end_with_them()
    {
        HostScene scene = Scene(AddressType.Nonpersistent).Attach(Nonpersistent);
        scene.SendUdp();
        Say(scene, Asked(scene), cookie: 0);
        scene.Outputs();
        var flow = new FlowIdentity(IpProtocol.Udp, Frames.Host, 5000, Frames.Server, 53);

        Assert.False(scene.Engine.NameSocket(flow with { LocalPort = 1 }, 8));
        Assert.True(scene.Engine.NameSocket(flow, 8));
        Assert.False(scene.Engine.NameSocket(flow, 9));
        ulong[] cookies = new ulong[4];
        int cursor = 0;
        Assert.Equal([8UL], cookies[..scene.Engine.CopySockets(ref cursor, cookies)]);
        Assert.Equal(-1, cursor);

        scene.Engine.EndSocket(8, scene.Now);
        Assert.Equal(0, scene.Engine.FlowCount);
    }

    [Fact]
    public void An_echo_has_no_socket_that_could_be_asked_for()
    {
        HostScene scene = Scene(AddressType.Nonpersistent).Attach(Nonpersistent);

        Assert.Equal(ForwardReason.Rewritten, scene.Send(Frames.Icmpv6(Frames.Host, Frames.Server, 128)).Forwarded);
        AssertNothingAsked(scene);
    }

    // Asking changes when packets leave, not which, nor what is in them.
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Whether_sockets_are_asked_for_or_not_the_same_packets_reach_the_network(int seed)
    {
        var asking = new Story(Scene(AddressType.SessionLasting), seed, asks: true);
        var silent = new Story(new HostScene(AddressType.SessionLasting), seed, asks: false);

        Assert.Equal(silent.Tell(), asking.Tell());
        Assert.True(asking.Questions > 100);
    }

    [Fact]
    public void Asking_opening_and_ending_allocate_nothing()
    {
        HostScene scene = Scene(AddressType.Nonpersistent).Attach(Nonpersistent);
        byte[] octets = Frames.Udp(Frames.Host, 5000, Frames.Server, 53).Build();
        byte[] room = new byte[scene.Engine.MaximumOutputLength];
        FrameInfo info = Frames.Udp(Frames.Host, 5000, Frames.Server, 53).Info;
        int released = 0;

        void Round(ulong cookie)
        {
            Frames.Host.Write(octets.AsSpan(info.NetworkOffset + 8));
            _ = scene.Engine.HandleOutbound(octets, info, scene.Now);
            while (scene.Engine.TryTakeSocketQuestion(out SocketQuestion question))
            {
                scene.Engine.Answer(new SocketAnswer { Id = question.Id, Cookie = cookie }, scene.Now);
            }

            while (scene.Engine.TryTakeOutput(room, scene.Now, out _, out _))
            {
                released++;
            }

            scene.Engine.EndSocket(cookie, scene.Now);
            while (scene.Engine.TryTakeEvent(out _))
            {
            }
        }

        Round(1);
        Round(2);
        long allocated = long.MaxValue;
        for (int attempt = 0; attempt < 5 && allocated > 0; attempt++)
        {
            GC.Collect();
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (ulong i = 0; i < 50; i++)
            {
                Round(10 + i);
            }

            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Assert.Equal(0, allocated);
        Assert.True(released >= 52);
    }

    private static HostScene Scene(AddressType type, Func<DataplaneOptions, DataplaneOptions>? change = null) =>
        new(type, options => (change ?? (same => same))(options with { AskSockets = true }));

    private static HostScene Scene(ServicePolicy policy) => new(change: options => options with { AskSockets = true, Policy = policy });

    private static DataplaneOptions RenewAtOnce(DataplaneOptions options) =>
        options with { NonpersistentRenewal = new RenewalLimit(Duration.FromSeconds(1), 0) };

    private static void Ask(HostScene scene, ulong cookie, AddressType type, bool native = false) =>
        scene.Engine.Handle(new SetscRequest { Socket = cookie, Type = type, Native = native }, scene.Now);

    private static SocketQuestion Asked(HostScene scene)
    {
        Assert.True(scene.Engine.TryTakeSocketQuestion(out SocketQuestion question), "The kernel was not asked.");
        AssertNothingAsked(scene);
        return question;
    }

    private static void AssertNothingAsked(HostScene scene) =>
        Assert.False(scene.Engine.TryTakeSocketQuestion(out _), "The kernel was asked, or more than once.");

    private static void Say(
        HostScene scene, SocketQuestion question, ulong cookie, AddressType type = AddressType.None, ulong traits = 0,
        AddressPreferences preferences = AddressPreferences.None) =>
        scene.Engine.Answer(
            new SocketAnswer { Id = question.Id, Cookie = cookie, Type = type, Traits = traits, Preferences = preferences }, scene.Now);

    private static IpAddress Open(
        HostScene scene, ulong cookie, IpAddress to, ushort port = 5000, AddressType type = AddressType.None, ulong traits = 0,
        AddressPreferences preferences = AddressPreferences.None)
    {
        Assert.True(scene.SendUdp(port, to).Held);
        Say(scene, Asked(scene), cookie, type, traits, preferences);
        return SourceOf(scene.OnlyOutput());
    }

    private static IpAddress Connect(HostScene scene, ulong cookie)
    {
        Assert.True(scene.SendTcp(TcpControl.Syn, 1000, 0).Held);
        Say(scene, Asked(scene), cookie);
        IpAddress source = SourceOf(scene.OnlyOutput());
        Assert.Equal(ForwardReason.Rewritten, scene.ReceiveTcp(source, TcpControl.Syn | TcpControl.Ack, 5000, 1001).Forwarded);
        Assert.Equal(ForwardReason.Rewritten, scene.SendTcp(TcpControl.Ack, 1001, 5001).Forwarded);
        return source;
    }

    private static IpAddress SourceOf(Output output) => IpAddress.Read(output.Octets.AsSpan(output.Info.NetworkOffset + 8));

    private static List<FlowSnapshot> Flows(HostScene scene)
    {
        List<FlowSnapshot> flows = [];
        var some = new FlowSnapshot[64];
        for (int cursor = 0; cursor >= 0;)
        {
            flows.AddRange(some[..scene.Engine.CopyFlows(ref cursor, some)]);
        }

        return flows;
    }

    private static List<PrefixSnapshot> Prefixes(HostScene scene)
    {
        var prefixes = new PrefixSnapshot[64];
        int cursor = 0;
        return [.. prefixes[..scene.Engine.CopyPrefixes(ref cursor, prefixes)]];
    }
}

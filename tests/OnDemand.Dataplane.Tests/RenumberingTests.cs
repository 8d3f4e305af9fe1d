using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;
using static OnDemand.Dataplane.Tests.Support.Advertised;

namespace OnDemand.Dataplane.Tests;

/// <summary>What a move, a withdrawal and the passing of lifetimes do to flows of each type (RFC 8653 §3.2).</summary>
public sealed class RenumberingTests
{
    [Theory]
    [InlineData(AddressType.Fixed)]
    [InlineData(AddressType.SessionLasting)]
    [Rfc(8653, "3.2")]
    [Draft("3.2")]
    public void A_connection_on_a_fixed_or_session_lasting_address_does_not_notice_a_move(AddressType type)
    {
        HostScene scene = new HostScene(type).Attach(FixedOne, SessionOne);
        IpAddress address = scene.Connect();

        scene.Attach(NonpersistentTwo);

        Assert.Equal((ForwardReason.Rewritten, address),
            (scene.SendTcp(TcpControl.Ack, 1001, 5001).Forwarded, scene.SendTcp(TcpControl.Ack, 1001, 5001).Source));
        Assert.Equal(ForwardReason.Rewritten, scene.ReceiveTcp(address, TcpControl.Ack, 5001, 1001, payload: 100).Forwarded);
        Assert.Empty(scene.Outputs());
    }

    [Fact]
    [Rfc(8653, "3.2")]
    public void A_fixed_address_stays_while_the_host_is_detached_unused_and_after_any_number_of_moves()
    {
        HostScene scene = new HostScene(AddressType.Fixed).Attach(FixedOne);
        IpAddress address = scene.SendUdp().Source;
        scene.Pass(400);
        Assert.Equal(0, scene.Engine.FlowCount);

        scene.Engine.Detach(scene.Now);
        scene.Pass(10_000);
        for (int move = 0; move < 5; move++)
        {
            scene.Attach(NonpersistentOne);
            scene.Pass(1000);
        }

        Assert.Equal(address, scene.SendUdp().Source);
        Assert.Equal(ForwardReason.Rewritten, scene.ReceiveUdp(address, port: 80, fromPort: 999).Forwarded);
    }

    [Fact]
    [Rfc(8653, "3.2")]
    [Rfc(5961, "3.2")]
    public void A_move_strands_TCP_on_a_nonpersistent_address_at_once_and_its_program_gets_a_reset_with_exactly_the_sequence_number_it_expects()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(NonpersistentOne);
        IpAddress address = scene.Connect();
        scene.ReceiveTcp(address, TcpControl.Ack, 5001, 1001, payload: 500);
        scene.SendTcp(TcpControl.Ack, 1001, 5501, payload: 300);

        scene.Attach(NonpersistentTwo);

        Output reset = scene.OnlyOutput();
        Assert.Equal((OutputKind.Reset, OutputDirection.Host, DropReason.AddressEnded),
            (reset.Info.Kind, reset.Info.Direction, reset.Info.About));
        Assert.Equal(HostScene.Reset(5501, 1301), reset.Octets);
        Assert.Equal((1, 1), (scene.Engine.Counters.ResetsSent, scene.Engine.Counters.Of(AddressType.Nonpersistent).Stranded));
    }

    [Fact]
    [Rfc(5961, "3.2")]
    public void What_a_stranded_program_still_sends_a_challenge_ACK_among_it_gets_the_reset_that_its_own_acknowledgment_names()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(NonpersistentOne);
        scene.Connect();
        scene.Attach(NonpersistentTwo);
        scene.Outputs();

        Handled challenge = scene.SendTcp(TcpControl.Ack, 1001, 7777);
        Assert.Equal(DropReason.AddressEnded, challenge.Answered);
        Assert.Equal(HostScene.Reset(7777, 1001), scene.OnlyOutput().Octets);

        scene.SendTcp(TcpControl.Fin | TcpControl.Ack, 1001, 5001, payload: 9);
        Assert.Equal(HostScene.Reset(5001, 1011), scene.OnlyOutput().Octets);
    }

    [Fact]
    public void A_stranded_programs_own_reset_is_not_answered()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(NonpersistentOne);
        scene.Connect();
        scene.Attach(NonpersistentTwo);
        scene.Outputs();

        Assert.Equal(DropReason.AddressEnded, scene.SendTcp(TcpControl.Rst, 1001, 0).Dropped);
        Assert.Empty(scene.Outputs());
    }

    [Fact]
    [Rfc(8653, "3.2")]
    public void A_live_connection_is_never_given_another_source()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(NonpersistentOne);
        IpAddress address = scene.Connect();
        scene.Attach(NonpersistentTwo);

        for (int i = 0; i < 20; i++)
        {
            Handled sent = scene.SendTcp(TcpControl.Ack, 1001 + (uint)i, 5001, payload: 1);
            Assert.Null(sent.Forwarded);
            Assert.Equal(Frames.Host, sent.Source);
            scene.Pass(1);
        }

        Assert.Equal(DropReason.AddressEnded, scene.ReceiveTcp(address, TcpControl.Ack, 5001, 1001).Dropped);
    }

    [Fact]
    public void A_stranded_port_may_connect_again_from_the_new_address()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(NonpersistentOne);
        scene.Connect();
        scene.Attach(NonpersistentTwo);

        Assert.True(HostScene.NonpersistentTwo.Contains(scene.Connect()));
    }

    [Fact]
    [Rfc(9293, "3.10.7.3")]
    public void A_SYN_that_was_not_answered_yet_begins_anew_from_the_new_address()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(NonpersistentOne);
        scene.SendTcp(TcpControl.Syn, 1000, 0);
        scene.Attach(NonpersistentTwo);

        Handled again = scene.SendTcp(TcpControl.Syn, 1000, 0);

        Assert.Equal(ForwardReason.Rewritten, again.Forwarded);
        Assert.True(HostScene.NonpersistentTwo.Contains(again.Source));
        Assert.Empty(scene.Outputs());
    }

    [Fact]
    public void A_connection_that_had_closed_is_not_stranded()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(NonpersistentOne);
        IpAddress address = scene.Connect();
        scene.SendTcp(TcpControl.Fin | TcpControl.Ack, 1001, 5001);
        scene.ReceiveTcp(address, TcpControl.Fin | TcpControl.Ack, 5001, 1002);

        scene.Attach(NonpersistentTwo);

        Assert.Empty(scene.Outputs());
        Assert.Equal(DropReason.AddressEnded, scene.SendTcp(TcpControl.Ack, 1002, 5002).Dropped);
        Assert.Equal(0, scene.Engine.Counters.Of(AddressType.Nonpersistent).Stranded);
    }

    [Fact]
    [Rfc(8653, "3.2")]
    public void A_datagram_flow_on_a_nonpersistent_address_goes_over_to_the_new_one_with_its_next_packet()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(NonpersistentOne);
        IpAddress before = scene.SendUdp().Source;
        scene.Attach(NonpersistentTwo);

        Handled sent = scene.SendUdp();

        Assert.Equal(ForwardReason.Rewritten, sent.Forwarded);
        Assert.True(HostScene.NonpersistentTwo.Contains(sent.Source));
        Assert.NotEqual(Frames.Host, scene.ReceiveUdp(before).Destination);
        Assert.Equal(ForwardReason.Rewritten, scene.ReceiveUdp(sent.Source).Forwarded);
        EngineEvent over = Assert.Single(scene.Events(EngineEventKind.FlowWentOver));
        Assert.Equal((before, sent.Source), (over.Previous, over.Address));
    }

    [Fact]
    [Rfc(8653, "3.2")]
    [Draft("3.2")]
    public void Inside_the_replacement_window_old_connections_keep_the_old_address_and_new_ones_take_the_new()
    {
        HostScene scene = new HostScene(AddressType.GracefulReplacement).Attach(GracefulOne);
        IpAddress old = scene.Connect(40000);
        IpAddress oldDatagrams = scene.SendUdp().Source;

        scene.Attach(10, GracefulTwo);
        scene.Pass(9.5);

        Assert.Equal(old, scene.SendTcp(TcpControl.Ack, 1001, 5001, 40000).Source);
        Assert.Equal(ForwardReason.Rewritten, scene.ReceiveTcp(old, TcpControl.Ack, 5001, 1001, 40000).Forwarded);
        Assert.Equal(oldDatagrams, scene.SendUdp().Source);
        Assert.Equal(ForwardReason.Rewritten, scene.ReceiveUdp(oldDatagrams).Forwarded);
        Assert.True(HostScene.GracefulTwo.Contains(scene.Connect(40001)));
        Assert.True(HostScene.GracefulTwo.Contains(scene.SendUdp(port: 6000).Source));
        Assert.Empty(scene.Outputs());
    }

    [Fact]
    [Rfc(8653, "3.2")]
    public void When_the_window_closes_the_old_connections_are_stranded_and_the_old_datagram_flows_go_over()
    {
        HostScene scene = new HostScene(AddressType.GracefulReplacement).Attach(GracefulOne);
        scene.Connect();
        scene.SendUdp();
        scene.Attach(10, GracefulTwo);

        scene.Pass(10);

        Assert.Equal(HostScene.Reset(5001, 1001), scene.OnlyOutput().Octets);
        Assert.True(HostScene.GracefulTwo.Contains(scene.SendUdp().Source));
        EngineEvent ended = Assert.Single(scene.Events(EngineEventKind.PrefixEnded));
        Assert.Equal((HostScene.GracefulOne, PrefixEnd.WindowClosed, Timestamp.FromSeconds(110)), (ended.Prefix, ended.End, ended.Time));
    }

    [Fact]
    [Rfc(8653, "3.2")]
    public void Where_policy_says_so_datagrams_go_over_as_soon_as_the_window_opens_and_both_addresses_are_accepted()
    {
        HostScene scene = new HostScene(AddressType.GracefulReplacement, options => options with { GracefulDatagramsAtOnce = true })
            .Attach(GracefulOne);
        IpAddress before = scene.SendUdp().Source;
        scene.Attach(10, GracefulTwo);

        IpAddress after = scene.SendUdp().Source;

        Assert.True(HostScene.GracefulTwo.Contains(after));
        Assert.Equal(ForwardReason.Rewritten, scene.ReceiveUdp(before).Forwarded);
        Assert.Equal(ForwardReason.Rewritten, scene.ReceiveUdp(after).Forwarded);
        scene.Pass(11);
        Assert.Equal(DropReason.AddressEnded, scene.ReceiveUdp(before).Dropped);
        Assert.Equal(ForwardReason.Rewritten, scene.ReceiveUdp(after).Forwarded);
    }

    [Fact]
    public void A_graceful_prefix_that_the_new_network_also_has_is_not_replaced()
    {
        HostScene scene = new HostScene(AddressType.GracefulReplacement).Attach(GracefulOne);
        IpAddress address = scene.Connect();

        scene.Attach(10, GracefulOne);
        scene.Pass(20);

        Assert.Equal(address, scene.SendTcp(TcpControl.Ack, 1001, 5001).Source);
        Assert.Empty(scene.Events(EngineEventKind.WindowOpened));
    }

    [Fact]
    public void A_closing_prefix_that_comes_back_with_a_later_move_is_preferred_again()
    {
        HostScene scene = new HostScene(AddressType.GracefulReplacement).Attach(GracefulOne);
        IpAddress address = scene.Connect();
        scene.Attach(10, GracefulTwo);
        scene.Pass(5);

        scene.Attach(10, GracefulOne);
        scene.Pass(30);

        Assert.Equal(address, scene.SendTcp(TcpControl.Ack, 1001, 5001).Source);
        Assert.True(HostScene.GracefulOne.Contains(scene.Connect(40001)));
    }

    [Fact]
    public void A_prefix_that_comes_back_with_another_type_is_another_prefix()
    {
        HostScene scene = new HostScene(AddressType.SessionLasting).Attach(SessionOne);
        scene.Connect();

        scene.Attach(HostScene.Of(HostScene.SessionOne, AddressType.Nonpersistent));

        Assert.Equal(HostScene.Reset(5001, 1001), scene.OnlyOutput().Octets);
        scene.SendUdp();
        Assert.Equal(AddressType.SessionLasting, scene.Question().Type);
    }

    [Fact]
    public void Detaching_ends_nonpersistent_addresses_gives_graceful_ones_the_window_and_keeps_the_others()
    {
        HostScene scene = new HostScene().Attach(NonpersistentOne, GracefulOne, SessionOne, FixedOne);

        scene.Engine.Detach(scene.Now);
        Assert.Equal([HostScene.NonpersistentOne], scene.Events(EngineEventKind.PrefixEnded).Select(ended => ended.Prefix));
        Assert.Equal(DropReason.Detached, scene.SendUdp().Dropped);

        scene.Pass(29);
        Assert.Empty(scene.Events(EngineEventKind.PrefixEnded));
        scene.Pass(2);
        Assert.Equal([HostScene.GracefulOne], scene.Events(EngineEventKind.PrefixEnded).Select(ended => ended.Prefix));
    }

    [Fact]
    public void While_detached_packets_are_dropped_and_connections_that_may_go_on_do_so_afterwards()
    {
        HostScene scene = new HostScene(AddressType.SessionLasting).Attach(SessionOne);
        IpAddress address = scene.Connect();

        scene.Engine.Detach(scene.Now);
        Assert.Equal(DropReason.Detached, scene.SendTcp(TcpControl.Ack, 1001, 5001).Dropped);
        Assert.Equal(DropReason.Detached, scene.ReceiveTcp(address, TcpControl.Ack, 5001, 1001).Dropped);
        scene.Pass(120);
        scene.Attach(NonpersistentTwo);

        Assert.Equal((ForwardReason.Rewritten, address),
            (scene.SendTcp(TcpControl.Ack, 1001, 5001).Forwarded, scene.SendTcp(TcpControl.Ack, 1001, 5001).Source));
        Assert.Empty(scene.Outputs());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(20)]
    public void A_prefix_of_any_type_may_be_withdrawn_at_once_or_with_a_window(int window)
    {
        HostScene scene = new HostScene(AddressType.Fixed).Attach(FixedOne);
        scene.Connect();

        Assert.True(scene.Engine.Withdraw(HostScene.FixedOne, Duration.FromSeconds(window), scene.Now));
        Assert.False(scene.Engine.Withdraw(HostScene.FixedTwo, Duration.Zero, scene.Now));
        scene.Advance();
        Assert.Equal(window == 0 ? 1 : 0, scene.Outputs().Count);
        scene.Pass(window + 1);
        Assert.Equal(window == 0 ? 0 : 1, scene.Outputs().Count);
    }

    [Fact]
    [Rfc(4862, "5.5.4")]
    public void A_deprecated_prefix_serves_its_flows_and_is_avoided_by_new_ones()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(
            HostScene.Of(HostScene.NonpersistentOne, AddressType.Nonpersistent, 100, 1000));
        IpAddress old = scene.Connect();
        scene.Pass(101);
        scene.Engine.Advertise([NonpersistentTwo], authenticated: true, scene.Now);

        Assert.Equal(old, scene.SendTcp(TcpControl.Ack, 1001, 5001).Source);
        Assert.True(HostScene.NonpersistentTwo.Contains(scene.Connect(40001)));
    }

    [Fact]
    [Rfc(4862, "5.5.4")]
    public void A_deprecated_prefix_is_still_better_than_none()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(
            HostScene.Of(HostScene.NonpersistentOne, AddressType.Nonpersistent, 100, 1000));
        scene.Pass(101);

        Assert.True(HostScene.NonpersistentOne.Contains(scene.Connect()));
    }

    [Fact]
    [Rfc(4862, "5.5.4")]
    public void At_the_end_of_its_valid_lifetime_a_prefix_is_neither_a_source_nor_accepted()
    {
        HostScene scene = new HostScene(AddressType.Fixed).Attach(HostScene.Of(HostScene.FixedOne, AddressType.Fixed, 100, 200));
        IpAddress address = scene.Connect();

        scene.Pass(201);

        Assert.Equal(HostScene.Reset(5001, 1001), scene.OnlyOutput().Octets);
        Assert.Equal(DropReason.AddressEnded, scene.ReceiveTcp(address, TcpControl.Ack, 5001, 1001).Dropped);
        Assert.Equal(PrefixEnd.LifetimePassed, Assert.Single(scene.Events(EngineEventKind.PrefixEnded)).End);
    }

    [Theory]
    [InlineData(false, 7200)]
    [InlineData(true, 60)]
    [Rfc(4862, "5.5.3")]
    public void An_advertisement_without_authentication_cannot_take_a_prefix_away_in_less_than_two_hours(bool authenticated, int ends)
    {
        HostScene scene = new HostScene(AddressType.Fixed).Attach(FixedOne);

        scene.Engine.Advertise([HostScene.Of(HostScene.FixedOne, AddressType.Fixed, 0, 60)], authenticated, scene.Now);
        scene.Pass(ends - 1);
        Assert.Empty(scene.Events(EngineEventKind.PrefixEnded));
        scene.Pass(1);
        Assert.Single(scene.Events(EngineEventKind.PrefixEnded));
    }

    [Fact]
    [Rfc(8653, "3.4")]
    [Draft("3.4")]
    public void A_session_lasting_prefix_is_released_when_its_last_socket_has_been_closed_for_the_linger_time()
    {
        HostScene scene = new HostScene(AddressType.SessionLasting).Attach(SessionOne);
        IpAddress address = scene.Connect();
        scene.Attach(NonpersistentTwo);
        scene.Pass(600);
        Assert.Empty(scene.Events(EngineEventKind.PrefixEnded));

        scene.SendTcp(TcpControl.Fin | TcpControl.Ack, 1001, 5001);
        scene.ReceiveTcp(address, TcpControl.Fin | TcpControl.Ack, 5001, 1002);
        scene.Pass(59);
        Assert.Empty(scene.Events(EngineEventKind.PrefixEnded));
        scene.Pass(1);
        Assert.Equal(PrefixEnd.Released, Assert.Single(scene.Events(EngineEventKind.PrefixEnded)).End);
    }

    [Fact]
    [Rfc(8653, "3.4")]
    public void A_session_lasting_prefix_that_the_present_network_gave_unasked_is_kept_for_sockets_to_come()
    {
        HostScene scene = new HostScene(AddressType.SessionLasting).Attach(SessionOne);

        scene.Pass(100_000);

        Assert.Empty(scene.Events(EngineEventKind.PrefixEnded));
    }

    [Fact]
    [Rfc(8653, "5")]
    public void After_so_many_octets_new_sockets_get_a_fresh_address_and_live_flows_keep_theirs()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent,
            options => options with { NonpersistentRenewal = new RenewalLimit(Duration.Infinite, 10_000) })
            .Attach(NonpersistentOne);
        IpAddress first = scene.Connect(40000);
        Assert.Equal(first, scene.Connect(40001));

        for (int i = 0; i < 12; i++)
        {
            Assert.Equal(first, scene.SendTcp(TcpControl.Ack, 1001 + ((uint)i * 1000), 5001, payload: 1000).Source);
        }

        IpAddress fresh = scene.Connect(40002);
        Assert.NotEqual(first, fresh);
        Assert.True(HostScene.NonpersistentOne.Contains(fresh));
        Assert.Equal(first, scene.SendTcp(TcpControl.Ack, 13_001, 5001, 40000).Source);
        Assert.Equal(1, scene.Engine.Counters.AddressesRenewed);
    }

    [Fact]
    [Rfc(8653, "5")]
    public void After_so_many_seconds_new_sockets_get_a_fresh_address_but_never_of_a_fixed_prefix()
    {
        var rule = new RenewalLimit(Duration.FromSeconds(3600), 0);
        HostScene scene = new HostScene(change: options => options with { SessionLastingRenewal = rule, NonpersistentRenewal = rule })
            .Attach(SessionOne, FixedOne);
        scene.Request(AddressType.SessionLasting, 1);
        IpAddress session = scene.Reply().Address;
        scene.Request(AddressType.Fixed, 2);
        IpAddress lasting = scene.Reply().Address;

        scene.Pass(3601);

        scene.Request(AddressType.SessionLasting, 3);
        Assert.NotEqual(session, scene.Reply().Address);
        scene.Request(AddressType.Fixed, 4);
        Assert.Equal(lasting, scene.Reply().Address);
    }

    [Fact]
    public void While_a_flow_remembers_an_address_that_has_ended_packets_to_it_are_dropped_and_not_passed_by_as_somebody_elses()
    {
        HostScene scene = new HostScene(AddressType.Nonpersistent).Attach(NonpersistentOne);
        IpAddress address = scene.Connect();
        scene.Attach(NonpersistentTwo);

        Assert.Equal(DropReason.AddressEnded, scene.ReceiveTcp(address, TcpControl.Ack, 5001, 1001).Dropped);
    }

    [Fact]
    [Rfc(4862, "5.5.3")]
    public void Other_lifetimes_are_told_and_the_same_ones_are_not()
    {
        HostScene scene = new HostScene().Attach(HostScene.Of(HostScene.SessionOne, AddressType.SessionLasting, 100, 200), FixedOne);
        scene.Pass(50);

        scene.Engine.Advertise([HostScene.Of(HostScene.SessionOne, AddressType.SessionLasting, 100, 200), FixedOne], authenticated: true, scene.Now);

        EngineEvent told = Assert.Single(scene.Events(EngineEventKind.PrefixRenewed));
        Assert.Equal(
            (HostScene.SessionOne, scene.Now.Add(Duration.FromSeconds(100)), scene.Now.Add(Duration.FromSeconds(200))),
            (told.Prefix, told.PreferredUntil, told.Until));
    }

    // Nobody looks while the machine is suspended.
    [Theory]
    [InlineData(10, 15, PrefixEnd.WindowClosed, 10)]
    [InlineData(15, 10, PrefixEnd.LifetimePassed, 10)]
    [Rfc(8653, "3.2")]
    public void Of_two_ends_that_have_passed_when_somebody_looks_the_first_one_counts(long window, long valid, PrefixEnd why, long when)
    {
        HostScene scene = new HostScene().Attach(HostScene.Of(HostScene.GracefulOne, AddressType.GracefulReplacement, valid, valid));
        Timestamp begin = scene.Now;
        scene.Attach(window, HostScene.Of(HostScene.GracefulTwo, AddressType.GracefulReplacement));

        scene.Engine.Advance(begin.Add(Duration.FromSeconds(20)));

        EngineEvent ended = Assert.Single(scene.Events(EngineEventKind.PrefixEnded));
        Assert.Equal((why, begin.Add(Duration.FromSeconds(when))), (ended.End, ended.Time));
    }

    [Fact]
    [Rfc(8653, "3.4")]
    public void A_prefix_that_was_released_before_its_lifetime_passed_is_told_of_as_released()
    {
        HostScene scene = new HostScene().Attach(HostScene.Of(HostScene.SessionOne, AddressType.SessionLasting, 100, 100));
        scene.Attach(HostScene.Of(HostScene.NonpersistentOne, AddressType.Nonpersistent));

        scene.Engine.Advance(scene.Now.Add(Duration.FromSeconds(1000)));

        Assert.Equal(PrefixEnd.Released, Assert.Single(scene.Events(EngineEventKind.PrefixEnded)).End);
    }

    [Fact]
    [Rfc(7857, "2.2")]
    public void A_connection_that_goes_on_after_a_reset_is_told_of_as_open_again()
    {
        HostScene scene = new HostScene(AddressType.SessionLasting).Attach(SessionOne);
        IpAddress address = scene.Connect();

        scene.ReceiveTcp(address, TcpControl.Rst, 6001, 0);   // in the window, but not what the host expects: it only challenges it
        Assert.Equal(ForwardReason.Rewritten, scene.SendTcp(TcpControl.Ack, 1001, 5001).Forwarded);

        EngineEvent reopened = Assert.Single(scene.Events(EngineEventKind.FlowReopened));
        Assert.Equal((address, (ushort)40000), (reopened.Address, reopened.Identity.LocalPort));
    }
}

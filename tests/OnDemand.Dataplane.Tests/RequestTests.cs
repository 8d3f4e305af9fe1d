using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;
using static OnDemand.Dataplane.Tests.Support.Advertised;

namespace OnDemand.Dataplane.Tests;

/// <summary>What sockets ask for, what the network is asked for, and what waits meanwhile (RFC 8653 §3.1, §3.4, §4.2, §4.4).</summary>
public sealed class RequestTests
{
    private static readonly PrefixAdvertisement Nonpersistent = NonpersistentOne;

    [Fact]
    [Rfc(8653, "3.1")]
    public void A_type_that_is_there_is_granted_at_once_and_the_network_is_not_asked()
    {
        HostScene scene = new HostScene().Attach(SessionOne, Nonpersistent);

        scene.Request(AddressType.SessionLasting);

        SetscReply reply = scene.Reply();
        Assert.Equal((SetscStatus.Granted, AddressType.SessionLasting), (reply.Status, reply.Type));
        Assert.True(HostScene.SessionOne.Contains(reply.Address));
        Assert.Equal(reply.Address, scene.SendTcp(TcpControl.Syn, 1, 0).Source);
        scene.AssertNothingAsked();
    }

    [Fact]
    [Rfc(8653, "3.1")]
    [Rfc(8653, "3.4")]
    [Draft("3.5")]
    public void A_type_that_is_not_there_is_asked_of_the_network_and_granted_with_its_answer()
    {
        HostScene scene = new HostScene().Attach(Nonpersistent);

        scene.Request(AddressType.SessionLasting, token: 42);
        Assert.False(scene.HasReply);
        PrefixRequest question = scene.Question();
        Assert.Equal(AddressType.SessionLasting, question.Type);
        scene.Grant(question, SessionOne);

        SetscReply reply = scene.Reply();
        Assert.Equal((42UL, SetscStatus.Granted, AddressType.SessionLasting), (reply.Token, reply.Status, reply.Type));
        Assert.True(HostScene.SessionOne.Contains(reply.Address));
        Assert.Equal(reply.Address, scene.SendTcp(TcpControl.Syn, 1, 0).Source);
    }

    [Theory]
    [InlineData(PrefixAnswerKind.Refused, SetscStatus.Failed)]
    [InlineData(PrefixAnswerKind.Unsupported, SetscStatus.NotSupported)]
    [Rfc(8653, "3.4")]
    [Rfc(8653, "4.1")]
    [Draft("6.1")]
    public void If_the_network_says_no_the_socket_request_fails_and_not_supported_is_told_apart_from_failed(PrefixAnswerKind answer,
        SetscStatus status)
    {
        HostScene scene = new HostScene().Attach(Nonpersistent);

        scene.Request(AddressType.GracefulReplacement);
        scene.Refuse(scene.Question(), answer);

        SetscReply reply = scene.Reply();
        Assert.Equal((status, IpAddress.Unspecified, AddressType.None), (reply.Status, reply.Address, reply.Type));
    }

    [Fact]
    [Rfc(8653, "3.4")]
    public void If_the_network_does_not_answer_the_socket_request_fails_in_time()
    {
        HostScene scene = new HostScene().Attach(Nonpersistent);
        scene.Request(AddressType.SessionLasting);
        scene.Question();

        scene.Pass(9.9);
        Assert.False(scene.HasReply);
        scene.Pass(0.2);
        Assert.Equal(SetscStatus.Failed, scene.Reply().Status);
    }

    [Theory]
    [InlineData(AddressType.Nonpersistent)]
    [InlineData(AddressType.Fixed)]
    [InlineData(AddressType.None)]
    [Rfc(8653, "3.4")]
    public void A_prefix_of_another_type_than_asked_for_counts_as_a_refusal(AddressType given)
    {
        HostScene scene = new HostScene().Attach(Nonpersistent);
        scene.Request(AddressType.SessionLasting);

        scene.Grant(scene.Question(), HostScene.Of(HostScene.SessionOne, given));

        Assert.Equal(SetscStatus.Failed, scene.Reply().Status);
        Assert.DoesNotContain(scene.Events(EngineEventKind.PrefixAdded), added => added.Prefix == HostScene.SessionOne);
    }

    [Fact]
    [Rfc(8653, "3.4")]
    public void A_request_is_never_fulfilled_with_another_type_not_even_with_a_better_one()
    {
        HostScene scene = new HostScene().Attach(FixedOne, Nonpersistent);

        scene.Request(AddressType.SessionLasting);
        scene.Refuse(scene.Question(), PrefixAnswerKind.Unsupported);

        Assert.Equal(SetscStatus.NotSupported, scene.Reply().Status);
        Assert.Equal(DropReason.Refused, scene.SendTcp(TcpControl.Syn, 1, 0).Answered);
    }

    [Fact]
    [Rfc(8653, "4.2")]
    [Draft("5.2")]
    public void A_legacy_socket_never_makes_the_network_be_asked()
    {
        HostScene scene = new HostScene().Attach();

        Assert.Equal(DropReason.NoSource, scene.SendUdp().Dropped);
        Assert.Equal(DropReason.NoSource, scene.SendTcp(TcpControl.Syn, 1, 0).Dropped);

        scene.AssertNothingAsked();
        Assert.Equal(0, scene.Engine.Counters.NetworkRequests);
    }

    [Fact]
    [Rfc(8653, "4.2")]
    public void A_legacy_socket_uses_what_the_network_gave_typed_or_not()
    {
        Assert.True(HostScene.SessionOne.Contains(new HostScene().Attach(SessionOne).SendUdp().Source));
        PrefixAdvertisement untyped = HostScene.Of(HostScene.NonpersistentOne, AddressType.None);
        Assert.True(HostScene.NonpersistentOne.Contains(new HostScene().Attach(untyped).SendUdp().Source));
    }

    [Fact]
    [Rfc(8653, "3.4")]
    [Draft("3.4")]
    public void A_second_socket_that_asks_for_the_type_gets_the_same_address()
    {
        HostScene scene = new HostScene().Attach(Nonpersistent);
        scene.Request(AddressType.SessionLasting, 40000);
        scene.Grant(scene.Question(), SessionOne);
        IpAddress first = scene.Reply().Address;

        scene.Request(AddressType.SessionLasting, 40001);

        Assert.Equal(first, scene.Reply().Address);
        scene.AssertNothingAsked();
    }

    [Fact]
    public void Sockets_that_wait_for_the_same_type_wait_for_one_question()
    {
        HostScene scene = new HostScene().Attach(Nonpersistent);
        scene.Request(AddressType.SessionLasting, 40000, token: 1);
        scene.Request(AddressType.SessionLasting, 40001, token: 2);

        scene.Grant(scene.Question(), SessionOne);

        List<ulong> tokens = [];
        while (scene.Engine.TryTakeReply(out SetscReply reply))
        {
            Assert.Equal(SetscStatus.Granted, reply.Status);
            tokens.Add(reply.Token);
        }

        Assert.Equal([1UL, 2UL], tokens);
    }

    [Fact]
    [Draft("3.5")]
    [Draft("6.2")]
    public void ON_NET_read_as_request_new_asks_the_serving_network_although_the_type_is_held()
    {
        HostScene scene = new HostScene().Attach(SessionOne);

        scene.Request(AddressType.SessionLasting, onNet: true);
        PrefixRequest question = scene.Question();
        Assert.True(question.OnNet);
        scene.Grant(question, SessionTwo);

        IpAddress address = scene.Reply().Address;
        Assert.True(HostScene.SessionTwo.Contains(address));
        Assert.Equal(address, scene.SendTcp(TcpControl.Syn, 1, 0).Source);
    }

    [Fact]
    public void ON_NET_read_as_prefer_serving_takes_a_prefix_of_the_serving_network_and_asks_only_if_there_is_none()
    {
        HostScene scene = new HostScene(change: options => options with { OnNet = OnNetReading.PreferServing }).Attach(SessionOne);
        scene.Request(AddressType.SessionLasting, 40000, onNet: true);
        Assert.True(HostScene.SessionOne.Contains(scene.Reply().Address));

        scene.Attach(Nonpersistent);
        scene.Request(AddressType.SessionLasting, 40001, onNet: true);
        scene.Grant(scene.Question(), SessionTwo);
        Assert.True(HostScene.SessionTwo.Contains(scene.Reply().Address));
    }

    [Fact]
    [Draft("6.2")]
    public void Without_ON_NET_an_address_from_before_the_move_is_used_if_there_is_one()
    {
        HostScene scene = new HostScene().Attach(SessionOne);
        scene.Request(AddressType.SessionLasting, 40000);
        IpAddress address = scene.Reply().Address;

        scene.Attach(Nonpersistent);
        scene.Request(AddressType.SessionLasting, 40001);

        Assert.Equal(address, scene.Reply().Address);
        scene.AssertNothingAsked();
    }

    [Fact]
    [Rfc(8653, "4.4")]
    [Draft("5.4")]
    public void Preferences_are_ignored_when_a_type_is_asked_for()
    {
        HostScene scene = new HostScene().Attach(SessionOne, FixedOne);

        scene.Request(AddressType.SessionLasting, 40000, preferences: AddressPreferences.Public);
        Assert.True(HostScene.SessionOne.Contains(scene.Reply().Address));
        scene.Request(AddressType.Fixed, 40001, preferences: AddressPreferences.Temporary);
        Assert.True(HostScene.FixedOne.Contains(scene.Reply().Address));
    }

    [Fact]
    [Rfc(5014, "3")]
    public void Preferences_alone_choose_among_what_is_there()
    {
        HostScene scene = new HostScene().Attach(SessionOne, FixedOne);

        scene.Request(AddressType.None, 40000, preferences: AddressPreferences.Public);
        Assert.True(HostScene.FixedOne.Contains(scene.Reply().Address));
        scene.Request(AddressType.None, 40001, preferences: AddressPreferences.Temporary);
        Assert.True(HostScene.SessionOne.Contains(scene.Reply().Address));
        scene.AssertNothingAsked();
    }

    [Theory]
    [InlineData(AddressType.None, AddressPreferences.Temporary | AddressPreferences.Public)]
    [InlineData(AddressType.None, AddressPreferences.Home | AddressPreferences.CareOf)]
    [InlineData(AddressType.Fixed, AddressPreferences.Cga | AddressPreferences.NonCga)]
    [InlineData((AddressType)5, AddressPreferences.None)]
    [InlineData((AddressType)6, AddressPreferences.None)]
    [InlineData((AddressType)7, AddressPreferences.None)]
    [InlineData(AddressType.None, AddressPreferences.None)]
    [Rfc(5014, "4")]
    [Draft("6.1")]
    public void Contradictions_reserved_types_and_requests_for_nothing_are_invalid(AddressType type, AddressPreferences preferences)
    {
        HostScene scene = new HostScene().Attach(SessionOne, FixedOne);

        scene.Request(type, preferences: preferences);

        Assert.Equal(SetscStatus.Invalid, scene.Reply().Status);
        scene.AssertNothingAsked();
    }

    [Fact]
    public void A_later_request_of_the_same_socket_replaces_the_earlier_one()
    {
        HostScene scene = new HostScene().Attach(SessionOne, Nonpersistent);
        scene.Request(AddressType.SessionLasting);
        scene.Request(AddressType.Nonpersistent);

        Assert.True(HostScene.NonpersistentOne.Contains(scene.SendTcp(TcpControl.Syn, 1, 0).Source));
    }

    [Fact]
    public void A_pinned_prefix_is_used_whatever_its_type_and_never_asked_for()
    {
        HostScene scene = new HostScene().Attach(SessionOne, Nonpersistent);

        scene.Request(AddressType.None, 40000, prefix: HostScene.NonpersistentOne);
        Assert.True(HostScene.NonpersistentOne.Contains(scene.Reply().Address));
        scene.Request(AddressType.None, 40001, prefix: HostScene.NonpersistentTwo);
        Assert.Equal(SetscStatus.Failed, scene.Reply().Status);
        scene.AssertNothingAsked();
    }

    [Fact]
    [Rfc(8653, "3.2")]
    public void A_granted_session_lasting_request_keeps_the_prefix_until_its_socket_is_closed()
    {
        HostScene scene = new HostScene().Attach(SessionOne);
        scene.Request(AddressType.SessionLasting);
        scene.Attach(Nonpersistent);
        scene.Pass(10_000);
        Assert.Empty(scene.Events(EngineEventKind.PrefixEnded));

        scene.Engine.CloseSocket(IpProtocol.Tcp, Frames.Host, 40000, scene.Now);
        scene.Pass(61);
        Assert.Equal(PrefixEnd.Released, Assert.Single(scene.Events(EngineEventKind.PrefixEnded)).End);
    }

    [Fact]
    [Rfc(8653, "3.4")]
    public void Packets_that_wait_for_the_network_leave_in_order_with_the_new_source_when_it_grants()
    {
        HostScene scene = new HostScene(AddressType.SessionLasting).Attach(Nonpersistent);
        Handled[] waiting = [.. Enumerable.Range(0, 5)
            .Select(number => scene.Send(Frames.Udp(Frames.Host, (ushort)(5000 + (number % 2)), Frames.Server, 53, seed: number)))];
        Assert.All(waiting, packet => Assert.True(packet.Held));
        Assert.Empty(scene.Outputs());

        scene.Grant(scene.Question(), SessionOne);

        List<Output> released = scene.Outputs();
        IpAddress source = IpAddress.Read(released[0].Octets.AsSpan(8));
        Assert.True(HostScene.SessionOne.Contains(source));
        Assert.Equal(waiting.Select(packet => (packet.Frame with { Source = source }).Build()), released.Select(output => output.Octets));
    }

    [Theory]
    [InlineData(PrefixAnswerKind.Refused)]
    [InlineData(PrefixAnswerKind.Unsupported)]
    [Rfc(8653, "3.4")]
    [Rfc(4443, "3.1")]
    public void Packets_that_wait_in_vain_are_answered_with_destination_unreachable(PrefixAnswerKind answer)
    {
        HostScene scene = new HostScene(AddressType.SessionLasting).Attach(Nonpersistent);
        Handled first = scene.SendUdp(5000);
        Handled second = scene.SendUdp(5001);

        scene.Refuse(scene.Question(), answer);

        Assert.Equal(
            [Frames.Error(Frames.Server, Frames.Host, 1, 1, first.Frame.Build()).Build(),
                Frames.Error(Frames.Server, Frames.Host, 1, 1, second.Frame.Build()).Build()],
            scene.Outputs().Select(output => output.Octets));
        Assert.Equal(2, scene.Engine.Counters.Of(DropReason.Refused));
        Assert.Equal(0, scene.Engine.FlowCount);
    }

    [Fact]
    public void The_packets_that_may_wait_are_bounded()
    {
        HostScene scene = new HostScene(AddressType.SessionLasting, options => options with { MaximumHeldFrames = 3 })
            .Attach(Nonpersistent);

        Assert.Equal(
            [null, null, null, DropReason.HoldFull],
            Enumerable.Range(0, 4).Select(number => scene.SendUdp((ushort)(5000 + number)).Dropped));
    }

    [Fact]
    public void Answers_that_come_late_twice_or_to_no_question_change_nothing()
    {
        HostScene scene = new HostScene().Attach(Nonpersistent);
        scene.Request(AddressType.SessionLasting);
        PrefixRequest question = scene.Question();
        scene.Pass(11);
        Assert.Equal(SetscStatus.Failed, scene.Reply().Status);

        scene.Grant(question, SessionOne);
        scene.Grant(question, SessionOne);
        scene.Grant(question with { Id = 0 }, SessionOne);
        scene.Grant(question with { Id = 999 }, SessionOne);

        Assert.False(scene.HasReply);
        Assert.Equal([HostScene.NonpersistentOne], scene.Events(EngineEventKind.PrefixAdded).Select(added => added.Prefix));
    }

    [Fact]
    public void A_refusal_is_remembered_for_a_while_and_forgotten_with_a_move_and_unsupported_until_then()
    {
        HostScene scene = new HostScene(AddressType.SessionLasting).Attach(Nonpersistent);
        scene.SendUdp();
        scene.Refuse(scene.Question());
        Assert.Equal(DropReason.Refused, scene.SendUdp().Answered);
        scene.AssertNothingAsked();

        scene.Pass(1.5);
        Assert.True(scene.SendUdp().Held);
        scene.Refuse(scene.Question(), PrefixAnswerKind.Unsupported);
        scene.Pass(1000);
        Assert.Equal(DropReason.Refused, scene.SendUdp().Answered);
        scene.AssertNothingAsked();

        scene.Attach(Nonpersistent);
        Assert.True(scene.SendUdp().Held);
        Assert.Equal(AddressType.SessionLasting, scene.Question().Type);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Who_waits_is_served_as_soon_as_the_type_comes_unasked_and_the_answer_then_changes_nothing(bool move)
    {
        HostScene scene = new HostScene(AddressType.SessionLasting).Attach(Nonpersistent);
        scene.Request(AddressType.SessionLasting);
        Assert.True(scene.SendUdp().Held);
        PrefixRequest question = scene.Question();

        if (move)
        {
            scene.Attach(SessionTwo);
        }
        else
        {
            scene.Engine.Advertise([SessionTwo], authenticated: true, scene.Now);
        }

        Assert.True(HostScene.SessionTwo.Contains(scene.Reply().Address));
        Assert.True(HostScene.SessionTwo.Contains(IpAddress.Read(scene.OnlyOutput().Octets.AsSpan(8))));
        scene.Refuse(question);
        Assert.False(scene.HasReply);
        Assert.Equal(ForwardReason.Rewritten, scene.SendUdp(port: 6000).Forwarded);
    }

    [Fact]
    public void A_socket_that_asked_with_ON_NET_goes_on_waiting_for_its_own_prefix()
    {
        HostScene scene = new HostScene().Attach(Nonpersistent);
        scene.Request(AddressType.SessionLasting, onNet: true);
        PrefixRequest question = scene.Question();

        scene.Engine.Advertise([SessionOne], authenticated: true, scene.Now);
        Assert.False(scene.HasReply);
        scene.Grant(question, SessionTwo);

        Assert.True(HostScene.SessionTwo.Contains(scene.Reply().Address));
    }

    [Fact]
    public void What_is_advertised_for_another_host_answers_nobodys_question()
    {
        // The only Fixed prefix is a single address, and the other host's; an advertisement of something else must not settle the question.
        var only = IpPrefix.Parse("2001:db8:f1::7/128");
        HostScene scene = new HostScene(AddressType.Fixed, options => options with
        {
            Internal = [new IpPrefix(Frames.OtherHost, 128), new IpPrefix(Frames.Host, 128)],
        }).Attach(HostScene.Of(only, AddressType.Fixed));
        Assert.True(scene.SendUdp().Held);
        PrefixRequest question = scene.Question();

        scene.Engine.Advertise([Nonpersistent, HostScene.Of(only, AddressType.Fixed)], authenticated: true, scene.Now);

        Assert.Empty(scene.Outputs());
        scene.AssertNothingAsked();
        scene.Grant(question, FixedTwo);
        Assert.True(HostScene.FixedTwo.Contains(IpAddress.Read(scene.OnlyOutput().Octets.AsSpan(8))));
    }

    [Fact]
    public void Who_asked_first_is_answered_first_whatever_became_of_those_before()
    {
        HostScene scene = new HostScene(change: options => options with { MaximumSocketRequests = 3 }).Attach(Nonpersistent);
        for (ulong token = 1; token <= 21; token++)
        {
            scene.Request(AddressType.SessionLasting, port: (ushort)token, token: token);   // so many that places are used again
            if (token < 20)
            {
                scene.Engine.CloseSocket(IpProtocol.Tcp, Frames.Host, (ushort)token, scene.Now);
            }
        }

        scene.Engine.CloseSocket(IpProtocol.Tcp, Frames.Host, 20, scene.Now);
        scene.Request(AddressType.SessionLasting, port: 22, token: 22);
        scene.Request(AddressType.SessionLasting, port: 23, token: 23);
        scene.Grant(scene.Question(), SessionOne);

        List<ulong> answered = [];
        while (scene.Engine.TryTakeReply(out SetscReply reply))
        {
            answered.Add(reply.Token);
        }

        Assert.Equal([21UL, 22UL, 23UL], answered);
    }

    [Fact]
    public void Of_several_questions_that_are_settled_at_once_the_one_asked_first_comes_first()
    {
        HostScene scene = new HostScene().Attach(Nonpersistent);
        scene.Request(AddressType.Fixed, port: 1, token: 1);
        PrefixRequest first = scene.Question();
        scene.Request(AddressType.GracefulReplacement, port: 2, token: 2);
        scene.Refuse(first);
        Assert.Equal(1UL, scene.Reply().Token);
        scene.Request(AddressType.SessionLasting, port: 3, token: 3);   // its question takes the place of the one that was refused

        scene.Attach(SessionOne,
            GracefulOne);

        Assert.True(scene.Engine.TryTakeReply(out SetscReply second));
        Assert.True(scene.Engine.TryTakeReply(out SetscReply third));
        Assert.Equal((2UL, 3UL), (second.Token, third.Token));
    }

    [Fact]
    public void A_socket_that_was_closed_while_the_network_was_asked_for_it_leaves_its_grant_to_no_other()
    {
        HostScene scene = new HostScene(change: options => options with { MaximumSocketRequests = 1 }).Attach(Nonpersistent);
        scene.Request(AddressType.SessionLasting, port: 1, onNet: true, token: 1);
        _ = scene.Question();

        for (ulong token = 2; token <= 19; token++)
        {
            scene.Engine.CloseSocket(IpProtocol.Tcp, Frames.Host, (ushort)(token - 1), scene.Now);
            bool last = token == 19;   // whose turn it is to have the place of the first
            scene.Request(last ? AddressType.SessionLasting : AddressType.Nonpersistent, port: (ushort)token, onNet: last, token: token);
        }

        Assert.True(scene.Question().OnNet);
    }

    [Fact]
    public void While_detached_nobody_is_asked_and_nothing_waits()
    {
        HostScene scene = new HostScene(AddressType.SessionLasting);

        Assert.Equal(DropReason.Detached, scene.SendUdp().Dropped);
        scene.Request(AddressType.SessionLasting);
        Assert.Equal(SetscStatus.Failed, scene.Reply().Status);
        scene.AssertNothingAsked();
    }

    [Theory]
    [Rfc(8653, "3.4")]
    [InlineData(0)]
    [InlineData(70)]
    public void A_single_address_that_is_granted_is_that_of_the_host_that_asked_and_no_answer_to_another(int more)
    {
        HostScene scene = new HostScene(AddressType.Fixed, options => options with
        {
            MaximumInternalAddresses = more + 2,
            MaximumTypedAddresses = more + 100,
            Internal =
            [
                .. Enumerable.Range(1, more).Select(at => new IpPrefix(new IpAddress(0xfd00_0000_0000_00ff, (ulong)at), 128)),
                new IpPrefix(Frames.OtherHost, 128), new IpPrefix(Frames.Host, 128),
            ],
        }).Attach(Nonpersistent);
        PrefixAdvertisement only = HostScene.Of(IpPrefix.Parse("2001:db8:f1::7/128"), AddressType.Fixed);

        Assert.True(scene.SendUdp().Held);
        scene.Grant(scene.Question(), only);
        Assert.Equal(only.Prefix.Address, IpAddress.Read(scene.OnlyOutput().Octets.AsSpan(8)));
        Assert.True(scene.Send(Frames.Udp(Frames.OtherHost, 5000, Frames.Server, 53)).Held);
        scene.Grant(scene.Question(), only);

        Assert.Equal(OutputKind.Icmpv6Error, scene.OnlyOutput().Info.Kind);
        scene.AssertNothingAsked();
    }

    [Fact]
    [Rfc(8653, "3.4")]
    public void Without_a_linger_time_a_granted_prefix_stays_until_those_who_waited_for_it_have_it()
    {
        HostScene scene = new HostScene(AddressType.SessionLasting, options => options with { Linger = Duration.Zero }).Attach(Nonpersistent);
        Assert.True(scene.SendUdp().Held);

        scene.Grant(scene.Question(), SessionOne);

        Assert.Equal(OutputKind.Released, scene.OnlyOutput().Info.Kind);
        scene.AssertNothingAsked();
        scene.Pass(301);   // the flow falls idle
        Assert.Equal(PrefixEnd.Released, Assert.Single(scene.Events(EngineEventKind.PrefixEnded)).End);
    }
}

using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests;

/// <content>Sockets that remotes turn to: bound to their typed address or mapped, and the end of what remotes opened.</content>
public sealed partial class SocketTests
{
    [Fact]
    [Rfc(8653, "3.1")]
    public void Who_turns_to_a_socket_that_is_bound_to_its_typed_address_reaches_it_there()
    {
        HostScene scene = Scene(AddressType.None).Attach(Nonpersistent, Fixed);
        IpAddress typed = AskToBind(scene, cookie: 1);
        TestFrame opening = Frames.Tcp(Frames.Server, 40000, typed, 80, TcpControl.Syn, 1000, 0, 0);

        Assert.Equal((VerdictKind.Hold, HoldReason.Socket), Kind(scene.Receive(opening)));
        SocketQuestion question = Asked(scene);
        Assert.Equal(
            (new FlowIdentity(IpProtocol.Tcp, typed, 80, Frames.Server, 40000), SocketQuestionKind.Listener), (question.Flow, question.Kind));
        Say(scene, question, cookie: 1);
        Output released = scene.OnlyOutput();
        Assert.Equal(OutputDirection.Host, released.Info.Direction);
        Assert.Equal(opening.Build(), released.Octets);

        TestFrame answer = Frames.Tcp(typed, 80, Frames.Server, 40000, TcpControl.Syn | TcpControl.Ack, 5000, 1001, 0);
        Handled answered = scene.Send(answer);
        Assert.Equal(ForwardReason.Native, answered.Forwarded);
        Assert.Equal(answer.Build(), answered.Octets);
        SocketQuestion receiver = Asked(scene);
        Assert.Equal((question.Flow, SocketQuestionKind.Receiver), (receiver.Flow, receiver.Kind));
        Say(scene, receiver, cookie: 2);
        Assert.Equal(
            ForwardReason.Native, scene.Receive(Frames.Tcp(Frames.Server, 40000, typed, 80, TcpControl.Ack, 1001, 5001, 10)).Forwarded);
        FlowSnapshot flow = Flows(scene).Single();
        Assert.Equal((2UL, true, true, FlowState.Established), (flow.Socket, flow.IsNative, flow.IsInbound, flow.State));

        scene.Engine.EndSocket(1, scene.Now);        // a listener that is closed leaves its connections alone
        Assert.Equal(FlowState.Established, Flows(scene).Single().State);
        scene.Engine.EndSocket(2, scene.Now);
        Assert.Equal(FlowState.Closed, Flows(scene).Single().State);
    }

    [Fact]
    public void Datagrams_to_a_bound_socket_wait_in_order_for_the_word_on_it_and_their_flow_ends_with_it()
    {
        HostScene scene = Scene(AddressType.None).Attach(Nonpersistent, Fixed);
        IpAddress typed = AskToBind(scene, cookie: 1);
        TestFrame[] frames = [.. new[] { 10, 20, 30 }.Select(length => Frames.Udp(Frames.Server, 53, typed, 5000, payload: length))];

        Assert.All(frames, frame => Assert.True(scene.Receive(frame).Held));
        Say(scene, Asked(scene), cookie: 1);

        Assert.Equal(frames.Select(frame => frame.Build()), scene.Outputs().Select(output => output.Octets));
        Assert.Equal(ForwardReason.Native, scene.Send(Frames.Udp(typed, 5000, Frames.Server, 53)).Forwarded);
        AssertNothingAsked(scene);
        Assert.Equal(1UL, Flows(scene).Single().Socket);
        scene.Engine.EndSocket(1, scene.Now);
        Assert.Equal(0, scene.Engine.FlowCount);
    }

    [Fact]
    public void Where_none_is_bound_to_the_address_or_nobody_says_so_in_time_who_comes_is_mapped()
    {
        HostScene scene = Scene(AddressType.None).Attach(Nonpersistent, Fixed);
        IpAddress typed = AskToBind(scene, cookie: 1);

        Assert.True(scene.ReceiveUdp(typed).Held);
        Say(scene, Asked(scene), cookie: 0);
        Assert.Equal(Frames.Host, DestinationOf(scene.OnlyOutput()));
        Assert.Equal(SocketQuestionKind.Receiver, Asked(scene).Kind);

        Assert.True(scene.Receive(Frames.Udp(OtherServer, 53, typed, 5000)).Held);
        Assert.Equal(SocketQuestionKind.Listener, Asked(scene).Kind);
        scene.Pass(1.1);
        Assert.Equal(Frames.Host, DestinationOf(scene.OnlyOutput()));
    }

    [Fact]
    public void Nothing_waits_where_no_socket_has_asked_for_an_address_to_bind_to_or_such_ones_are_gone()
    {
        HostScene scene = Scene(AddressType.None).Attach(Nonpersistent, Fixed);
        Ask(scene, 1, AddressType.Fixed);
        IpAddress typed = scene.Reply().Address;
        Assert.Equal(ForwardReason.Rewritten, scene.ReceiveUdp(typed).Forwarded);
        Asked(scene);

        Ask(scene, 2, AddressType.Fixed, native: true);
        Ask(scene, 3, AddressType.Fixed, native: true);
        Assert.True(scene.Receive(Frames.Udp(OtherServer, 53, typed, 5000)).Held);
        scene.Engine.EndSocket(2, scene.Now);
        Assert.True(scene.Engine.ReleaseRequest(3, scene.Now));
        Assert.Equal(ForwardReason.Rewritten, scene.Receive(Frames.Udp(OtherServer, 54, typed, 5000)).Forwarded);
    }

    [Fact]
    public void A_flood_from_outside_leaves_room_for_the_hosts_own_flows()
    {
        const int questions = 64;
        HostScene scene = Scene(AddressType.Nonpersistent, options => options with { MaximumSocketQuestions = questions }).Attach(Nonpersistent, Fixed);
        IpAddress typed = AskToBind(scene, cookie: 1);
        for (int i = 0; i < 2 * questions; i++)
        {
            Handled handled = scene.Receive(Frames.Udp(new IpAddress(Frames.Server.High, (ulong)i + 100), 53, typed, 5000));
            Assert.True(i < questions / 4 ? handled.Held : handled.Dropped == DropReason.HoldFull);
        }

        Assert.True(scene.SendUdp().Held);
    }

    // A connection whose peer is silent ends in the kernel long before it would here.
    [Theory]
    [Rfc(8653, "3.2")]
    [InlineData(false)]
    [InlineData(true)]
    public void What_a_remote_opened_ends_with_the_socket_that_got_it_and_so_does_its_use_of_a_session_lasting_prefix(bool isConnection)
    {
        var open = new InboundRule { Type = AddressType.SessionLasting };
        HostScene scene = Scene(new ServicePolicy([], [open], PolicyOutcome.OfType(AddressType.SessionLasting))).Attach(Session);
        scene.SendUdp();
        Say(scene, Asked(scene), cookie: 9);
        IpAddress typed = SourceOf(scene.OnlyOutput());
        scene.Engine.EndSocket(9, scene.Now);
        scene.Attach(Nonpersistent);
        scene.Pass(10);
        scene.Events(EngineEventKind.PrefixEnded);

        if (isConnection)
        {
            scene.Receive(Frames.Tcp(Frames.Server, 40000, typed, 80, TcpControl.Syn, 1000, 0, 0));
            AssertNothingAsked(scene);               // it may come to nothing
            scene.Send(Frames.Tcp(Frames.Host, 80, Frames.Server, 40000, TcpControl.Syn | TcpControl.Ack, 5000, 1001, 0));
        }
        else
        {
            scene.Receive(Frames.Udp(Frames.Server, 40000, typed, 80));
        }

        SocketQuestion question = Asked(scene);
        Assert.Equal((Frames.Host, SocketQuestionKind.Receiver), (question.Flow.Internal, question.Kind));
        Say(scene, question, cookie: 4);
        scene.Pass(100);
        Assert.Equal(1, Prefixes(scene).Single(prefix => prefix.Type == AddressType.SessionLasting).Users);

        scene.Engine.EndSocket(4, scene.Now);
        scene.Pass(61);

        Assert.Equal(PrefixEnd.Released, Assert.Single(scene.Events(EngineEventKind.PrefixEnded)).End);
    }

    private static IpAddress AskToBind(HostScene scene, ulong cookie)
    {
        Ask(scene, cookie, AddressType.Fixed, native: true);
        return scene.Reply().Address;
    }

    private static (VerdictKind, HoldReason) Kind(Handled handled) => (handled.Verdict.Kind, handled.Verdict.Hold);

    private static IpAddress DestinationOf(Output output) => IpAddress.Read(output.Octets.AsSpan(output.Info.NetworkOffset + 24));
}

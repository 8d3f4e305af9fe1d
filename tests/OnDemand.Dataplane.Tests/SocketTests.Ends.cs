using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests;

/// <content>What is still under way when a socket ends, and who comes after it on its port.</content>
public sealed partial class SocketTests
{
    // The kernel tells of the end a little later than the next socket may send from the port.
    [Fact]
    public void A_late_answer_to_an_ended_socket_passes_and_keeps_the_next_one_of_its_port_on_no_address()
    {
        HostScene scene = Scene(AddressType.Nonpersistent).Attach(Nonpersistent, Fixed);
        Ask(scene, 1, AddressType.Fixed);
        IpAddress reachable = Open(scene, cookie: 1, Frames.Server);
        Assert.True(HostScene.FixedOne.Contains(reachable));

        scene.Engine.EndSocket(1, scene.Now);
        Assert.Equal(ForwardReason.Rewritten, scene.ReceiveUdp(reachable).Forwarded);

        Assert.True(HostScene.NonpersistentOne.Contains(Open(scene, cookie: 2, Frames.Server)));
        Assert.Equal(2UL, Flows(scene).Single().Socket);
    }

    [Fact]
    public void After_a_while_what_comes_to_the_port_of_an_ended_socket_is_a_flow_of_the_remotes_again()
    {
        HostScene scene = Scene(AddressType.Fixed).Attach(Fixed);
        IpAddress reachable = Open(scene, cookie: 1, Frames.Server);
        scene.Engine.EndSocket(1, scene.Now);
        Assert.Equal(0, Prefixes(scene).Single().Users);
        Assert.Single(scene.Events(EngineEventKind.FlowClosed));

        for (int second = 0; second < 4; second++)
        {
            scene.Pass(1);
            Assert.Equal(ForwardReason.Rewritten, scene.ReceiveUdp(reachable).Forwarded);
            Assert.Equal(FlowState.Closed, Flows(scene).Single().State);
        }

        scene.Pass(1.5);
        Assert.Equal(ForwardReason.Rewritten, scene.ReceiveUdp(reachable).Forwarded);
        FlowSnapshot flow = Flows(scene).Single();
        Assert.Equal((FlowState.Datagram, true), (flow.State, flow.IsInbound));
        Assert.Equal(ForwardReason.Rewritten, scene.SendUdp().Forwarded);
    }

    [Fact]
    public void Flows_of_ended_sockets_take_no_room_that_new_ones_need()
    {
        const int flows = 64;
        HostScene scene = Scene(AddressType.Fixed, options => options with { MaximumFlows = flows }).Attach(Fixed);
        for (ushort i = 1; i <= 2 * flows; i++)
        {
            Open(scene, cookie: i, Frames.Server, port: i);
            scene.Engine.EndSocket(i, scene.Now);
        }

        Assert.InRange(scene.Engine.FlowCount, 1, flows / 2);
        scene.Pass(6);
        Assert.Equal(0, scene.Engine.FlowCount);
    }

    [Fact]
    public void A_connection_on_the_port_of_one_that_never_came_about_begins_afresh_before_the_end_of_that_is_told()
    {
        HostScene scene = Scene(AddressType.Nonpersistent).Attach(Nonpersistent, Fixed);
        Ask(scene, 1, AddressType.Fixed);
        Assert.True(scene.SendTcp(TcpControl.Syn, 1000, 0).Held);
        Say(scene, Asked(scene), cookie: 1);
        Assert.True(HostScene.FixedOne.Contains(SourceOf(scene.OnlyOutput())));
        Assert.Equal(ForwardReason.Rewritten, scene.SendTcp(TcpControl.Syn, 1000, 0).Forwarded);    // the same, sent again

        Assert.True(scene.SendTcp(TcpControl.Syn, 900_000, 0).Held);
        Say(scene, Asked(scene), cookie: 2);
        IpAddress source = SourceOf(scene.OnlyOutput());
        Assert.True(HostScene.NonpersistentOne.Contains(source));
        scene.Engine.EndSocket(1, scene.Now);

        Assert.Equal(ForwardReason.Rewritten, scene.ReceiveTcp(source, TcpControl.Syn | TcpControl.Ack, 5000, 900_001).Forwarded);
        FlowSnapshot flow = Flows(scene).Single();
        Assert.Equal((2UL, FlowState.Established), (flow.Socket, flow.State));
    }

    // Both SYNs waited for the word on the first one's socket.
    [Fact]
    public void So_does_one_whose_first_packet_waits_together_with_that_of_an_ended_socket()
    {
        HostScene scene = Scene(AddressType.Nonpersistent).Attach(Nonpersistent, Fixed);
        Ask(scene, 1, AddressType.Fixed);
        Assert.True(scene.SendTcp(TcpControl.Syn, 1000, 0).Held);
        Assert.True(scene.SendTcp(TcpControl.Syn, 900_000, 0).Held);
        Say(scene, Asked(scene), cookie: 1);
        Assert.True(HostScene.FixedOne.Contains(SourceOf(scene.OnlyOutput())));
        SocketQuestion second = Asked(scene);
        scene.Engine.EndSocket(1, scene.Now);

        Say(scene, second, cookie: 2);

        Assert.True(HostScene.NonpersistentOne.Contains(SourceOf(scene.OnlyOutput())));
        Assert.Equal(2UL, Flows(scene).Single().Socket);
    }

    [Fact]
    [Rfc(7857, "2.2")]
    public void A_connection_whose_socket_is_gone_stays_closed_whatever_still_comes()
    {
        HostScene scene = Scene(AddressType.SessionLasting).Attach(Session);
        IpAddress source = Connect(scene, cookie: 3);
        scene.Engine.EndSocket(3, scene.Now);

        scene.SendTcp(TcpControl.Rst, 1001, 0);
        Assert.Equal(ForwardReason.Rewritten, scene.ReceiveTcp(source, TcpControl.Ack, 5001, 1001, payload: 100).Forwarded);
        Assert.Equal(FlowState.Closed, Flows(scene).Single().State);
        scene.SendTcp(TcpControl.Rst, 1001, 0);
        Assert.Equal(ForwardReason.Rewritten, scene.ReceiveTcp(source, TcpControl.Fin | TcpControl.Ack, 5101, 1001).Forwarded);
        scene.Pass(242);

        Assert.Equal(0, scene.Engine.FlowCount);
    }

    [Fact]
    public void A_socket_that_is_being_ended_gets_no_more_flows()
    {
        const int flows = 3000;
        HostScene scene = Scene(AddressType.Nonpersistent, options => options with { MaximumFlows = 2 * flows }).Attach(Nonpersistent);
        for (int i = 0; i < flows; i++)
        {
            Open(scene, 4, new IpAddress(Frames.Server.High, (ulong)i + 1));
        }

        scene.Engine.EndSocket(4, scene.Now);
        Open(scene, 4, OtherServer, port: 6000);
        scene.Advance();

        Assert.Equal((1, 0), (scene.Engine.FlowCount, scene.Engine.SocketCount));
        Assert.Equal(0UL, Flows(scene).Single().Socket);
    }

    // The notice of the end overtakes the packet, or the question for it.
    [Fact]
    public void What_a_socket_sent_before_it_was_closed_goes_by_its_request_although_the_end_is_told_first()
    {
        HostScene scene = Scene(AddressType.Nonpersistent).Attach(Nonpersistent, Session);
        Ask(scene, 1, AddressType.SessionLasting);
        Assert.Equal(1, Prefixes(scene).Single(prefix => prefix.Type == AddressType.SessionLasting).Users);
        scene.Engine.EndSocket(1, scene.Now);
        Assert.False(scene.Engine.KnowsSocket(1));
        Assert.False(scene.Engine.TryGetGrant(1, out _));
        Assert.False(scene.Engine.ReleaseRequest(2, scene.Now));
        Assert.All(Prefixes(scene), prefix => Assert.Equal(0, prefix.Users));

        Assert.True(HostScene.SessionOne.Contains(Open(scene, cookie: 1, Frames.Server)));
        scene.Engine.EndSocket(1, scene.Now);
        Assert.Equal(0, scene.Engine.FlowCount);

        scene.Pass(1.1);
        Assert.True(HostScene.NonpersistentOne.Contains(Open(scene, cookie: 1, Frames.Server)));
    }

    [Fact]
    public void Requests_of_ended_sockets_take_no_room_that_new_ones_need()
    {
        HostScene scene = Scene(AddressType.Nonpersistent, options => options with { MaximumSocketRequests = 4 }).Attach(Nonpersistent, Session);
        for (ulong cookie = 1; cookie <= 50; cookie++)
        {
            Ask(scene, cookie, AddressType.SessionLasting);
            Assert.Equal(SetscStatus.Granted, scene.Reply().Status);
            if (cookie % 3 != 0)
            {
                scene.Engine.EndSocket(cookie, scene.Now);
            }
            else
            {
                Assert.True(scene.Engine.ReleaseRequest(cookie, scene.Now));
            }
        }

        Ask(scene, 49, AddressType.Nonpersistent);   // of those that are over one that is not the first
        Assert.Equal(SetscStatus.Granted, scene.Reply().Status);
        Assert.True(scene.Engine.TryGetGrant(49, out AddressGrant granted));
        Assert.Equal(AddressType.Nonpersistent, granted.Type);
        scene.Pass(2);
        Assert.True(scene.Engine.KnowsSocket(49));
    }
}

using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests;

/// <summary>Sockets that bound themselves to the typed address that setsc() gave them (draft-17 §3.5).</summary>
public sealed class NativeTests
{
    [Fact]
    [Draft("3.5")]
    public void A_socket_that_is_bound_to_its_typed_address_is_checked_and_its_packets_are_not_touched()
    {
        HostScene scene = Scene(AddressType.SessionLasting, out IpAddress address);
        TestFrame syn = Frames.Tcp(address, 40000, Frames.Server, 443, TcpControl.Syn, 1000);
        TestFrame synAck = Frames.Tcp(Frames.Server, 443, address, 40000, TcpControl.Syn | TcpControl.Ack, 5000, 1001);

        Handled sent = scene.Send(syn);
        Handled received = scene.Receive(synAck);

        Assert.Equal((ForwardReason.Native, ForwardReason.Native), (sent.Forwarded, received.Forwarded));
        Assert.Equal(syn.Build(), sent.Octets);
        Assert.Equal(synAck.Build(), received.Octets);
    }

    [Fact]
    [Rfc(5961, "3.2")]
    public void When_its_address_ends_a_native_connection_gets_its_reset_at_the_typed_address()
    {
        HostScene scene = Scene(AddressType.Nonpersistent, out IpAddress address);
        scene.Send(Frames.Tcp(address, 40000, Frames.Server, 443, TcpControl.Syn, 1000));
        scene.Receive(Frames.Tcp(Frames.Server, 443, address, 40000, TcpControl.Syn | TcpControl.Ack, 5000, 1001));
        scene.Send(Frames.Tcp(address, 40000, Frames.Server, 443, TcpControl.Ack, 1001, 5001));

        scene.Attach(HostScene.Of(HostScene.SessionOne, AddressType.SessionLasting));

        Assert.Equal(HostScene.Reset(5001, 1001, host: address), scene.OnlyOutput().Octets);
    }

    [Fact]
    [Rfc(4443, "3.1")]
    public void A_native_datagram_from_an_ended_address_is_answered_with_source_address_failed_policy()
    {
        HostScene scene = Scene(AddressType.Nonpersistent, out IpAddress address);
        TestFrame datagram = Frames.Udp(address, 5000, Frames.Server, 53);
        scene.Send(datagram);
        scene.Attach(HostScene.Of(HostScene.SessionOne, AddressType.SessionLasting));

        Handled sent = scene.Send(datagram);

        Assert.Equal(DropReason.AddressEnded, sent.Answered);
        Assert.Equal(Frames.Error(Frames.Server, address, 1, 5, datagram.Build()).Build(), scene.OnlyOutput().Octets);
    }

    [Fact]
    public void A_native_socket_goes_on_inside_the_replacement_window()
    {
        HostScene scene = Scene(AddressType.GracefulReplacement, out IpAddress address);
        TestFrame datagram = Frames.Udp(address, 5000, Frames.Server, 53);
        scene.Send(datagram);
        scene.Attach(10, HostScene.Of(HostScene.GracefulTwo, AddressType.GracefulReplacement));

        Assert.Equal(ForwardReason.Native, scene.Send(datagram).Forwarded);
        Assert.Equal(ForwardReason.Native, scene.ReceiveUdp(address).Forwarded);
        scene.Pass(11);
        Assert.Equal(DropReason.AddressEnded, scene.Send(datagram).Answered);
    }

    private static HostScene Scene(AddressType type, out IpAddress address)
    {
        HostScene scene = new HostScene().Attach(HostScene.Of(HostScene.NonpersistentOne, type));
        address = scene.Events(EngineEventKind.AddressMade).Single().Address;
        return scene;
    }
}

using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests;

/// <summary>Packets of a host to one of its own typed addresses (RFC 4787 §6, RFC 6296 §4.3).</summary>
public sealed class HairpinTests
{
    [Fact]
    [Rfc(4787, "6")]
    [Rfc(6296, "4.3")]
    public void A_peer_on_the_same_host_sees_the_external_source_and_answers_to_it()
    {
        HostScene scene = Scene(out IpAddress served);
        TestFrame question = Frames.Udp(Frames.Host, 5000, served, 53);

        Handled sent = scene.Send(question);

        Assert.Equal(ForwardReason.Hairpin, sent.Forwarded);
        IpAddress outside = sent.Source;
        Assert.True(HostScene.NonpersistentOne.Contains(outside));
        Assert.Equal((question with { Source = outside, Destination = Frames.OtherHost }).Build(), sent.Octets);

        TestFrame answer = Frames.Udp(Frames.OtherHost, 53, outside, 5000);
        Handled back = scene.Send(answer);
        Assert.Equal(ForwardReason.Hairpin, back.Forwarded);
        Assert.Equal((answer with { Source = served, Destination = Frames.Host }).Build(), back.Octets);
    }

    [Fact]
    [Rfc(4787, "6")]
    public void What_may_not_come_in_from_outside_may_not_come_in_by_hairpin_either()
    {
        HostScene scene =
            new HostScene(AddressType.Nonpersistent, options => options with { Internal = [Of(Frames.Host), Of(Frames.OtherHost)] })
            .Attach(HostScene.Of(HostScene.NonpersistentOne, AddressType.Nonpersistent));
        IpAddress other = scene.Events(EngineEventKind.AddressMade).Single(made => made.Identity.Internal == Frames.OtherHost).Address;

        Assert.Equal(DropReason.Unsolicited, scene.SendUdp(to: other).Dropped);
    }

    [Fact]
    public void A_TCP_connection_between_two_sockets_of_one_host_opens_by_hairpin()
    {
        HostScene scene = Scene(out IpAddress served);
        Handled syn = scene.Send(Frames.Tcp(Frames.Host, 40000, served, 80, TcpControl.Syn, 1000));
        Handled synAck = scene.Send(Frames.Tcp(Frames.OtherHost, 80, syn.Source, 40000, TcpControl.Syn | TcpControl.Ack, 5000, 1001));
        Handled ack = scene.Send(Frames.Tcp(Frames.Host, 40000, served, 80, TcpControl.Ack, 1001, 5001));

        Assert.Equal([ForwardReason.Hairpin, ForwardReason.Hairpin, ForwardReason.Hairpin],
            [syn.Forwarded, synAck.Forwarded, ack.Forwarded]);
        Assert.Equal((served, Frames.Host), (synAck.Source, synAck.Destination));
        Assert.Equal((syn.Source, Frames.OtherHost), (ack.Source, ack.Destination));
    }

    [Fact]
    public void A_flow_to_an_address_that_becomes_one_of_the_hosts_own_no_longer_leaves_it()
    {
        var served = IpAddress.Parse("2001:db8:f1::7");
        HostScene scene =
            new HostScene(AddressType.Nonpersistent, options => options with { Internal = [Of(Frames.OtherHost), Of(Frames.Host)] })
            .Attach(HostScene.Of(HostScene.NonpersistentOne, AddressType.Nonpersistent));
        Assert.Equal(ForwardReason.Rewritten, scene.SendUdp(to: served).Forwarded);

        scene.Attach(HostScene.Of(HostScene.NonpersistentOne, AddressType.Nonpersistent), HostScene.Of(Of(served), AddressType.Fixed));

        Handled sent = scene.SendUdp(to: served);
        Assert.Equal((ForwardReason.Hairpin, Frames.OtherHost), (sent.Forwarded, sent.Destination));
    }

    private static IpPrefix Of(IpAddress address) => new(address, 128);

    // Two internal addresses; the second serves at a Fixed one.
    private static HostScene Scene(out IpAddress served)
    {
        HostScene scene =
            new HostScene(AddressType.Nonpersistent, options => options with { Internal = [Of(Frames.Host), Of(Frames.OtherHost)] })
            .Attach(HostScene.Of(HostScene.NonpersistentOne, AddressType.Nonpersistent),
                HostScene.Of(HostScene.FixedOne, AddressType.Fixed));
        served = scene.Events(EngineEventKind.AddressMade)
            .Single(made => made.Identity.Internal == Frames.OtherHost && made.Type == AddressType.Fixed).Address;
        return scene;
    }
}

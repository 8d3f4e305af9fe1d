using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests;

/// <summary>ICMPv6 errors belong to the flow that they quote (RFC 5508 §4).</summary>
public sealed class IcmpErrorTests
{
    private static readonly IpAddress Router = IpAddress.Parse("2001:db8:99::1");
    private static readonly PrefixAdvertisement Nonpersistent = HostScene.Of(HostScene.NonpersistentOne, AddressType.Nonpersistent);

    [Theory]
    [InlineData(1, 4, 0u)]
    [InlineData(2, 0, 1280u)]
    [InlineData(3, 0, 0u)]
    [InlineData(4, 1, 40u)]
    [Rfc(5508, "4.2")]
    public void A_routers_error_about_a_packet_of_the_host_arrives_as_if_about_the_packet_that_the_host_sent(byte type, byte code,
        uint field)
    {
        HostScene scene = Scene();
        Handled sent = scene.SendUdp();
        TestFrame error = Frames.Error(Router, sent.Source, type, code, sent.Octets, field);

        Handled received = scene.Receive(error);

        Assert.Equal(ForwardReason.Rewritten, received.Forwarded);
        Assert.Equal(Frames.Error(Router, Frames.Host, type, code, sent.Frame.Build(), field).Build(), received.Octets);
    }

    [Fact]
    [Rfc(5508, "4.3")]
    public void A_hosts_error_about_a_packet_of_the_remote_leaves_as_if_about_the_packet_that_the_remote_sent()
    {
        HostScene scene = Scene();
        IpAddress address = scene.SendUdp().Source;
        TestFrame answer = Frames.Udp(Frames.Server, 53, address, 5000);
        Handled received = scene.Receive(answer);

        Handled sent = scene.Send(Frames.Error(Frames.Host, Frames.Server, 1, 4, received.Octets));

        Assert.Equal(ForwardReason.Rewritten, sent.Forwarded);
        Assert.Equal(Frames.Error(address, Frames.Server, 1, 4, answer.Build()).Build(), sent.Octets);
    }

    // The host's kernel forwards from its link to the dataplane: a packet that does not fit there is still one to the typed address.
    [Fact]
    [Rfc(8201, "4")]
    public void The_hosts_error_about_a_packet_that_did_not_fit_into_the_TAP_reaches_the_remote()
    {
        HostScene scene = Scene();
        IpAddress address = scene.SendUdp().Source;
        byte[] late = Frames.Udp(Frames.Server, 53, address, 5000).Build();

        Handled sent = scene.Send(Frames.Error(Frames.Host, Frames.Server, 2, 0, late, 1280));

        Assert.Equal(ForwardReason.Rewritten, sent.Forwarded);
        Assert.Equal(Frames.Error(address, Frames.Server, 2, 0, late, 1280).Build(), sent.Octets);
        byte[] other = Frames.Udp(Frames.Server, 54, address, 5000).Build();
        Assert.Equal(DropReason.ErrorWithoutFlow, scene.Send(Frames.Error(Frames.Host, Frames.Server, 2, 0, other, 1280)).Dropped);
        Assert.Equal(DropReason.ErrorWithoutFlow, scene.Send(Frames.Error(Frames.Host, Router, 2, 0, late, 1280)).Dropped);
    }

    [Fact]
    [Rfc(4443, "2.4")]
    public void A_quote_that_was_cut_is_enough_if_it_has_the_ports()
    {
        HostScene scene = Scene();
        Handled sent = scene.SendTcp(TcpControl.Syn, 1000, 0);

        Handled received = scene.Receive(Frames.Error(Router, sent.Source, 1, 0, sent.Octets.AsSpan(0, 48)));

        Assert.Equal(ForwardReason.Rewritten, received.Forwarded);
        Assert.Equal(Frames.Error(Router, Frames.Host, 1, 0, sent.Frame.Build().AsSpan(0, 48)).Build(), received.Octets);
    }

    [Fact]
    [Rfc(6146, "3.4")]
    public void A_quote_too_short_for_the_ports_is_dropped()
    {
        HostScene scene = Scene();
        Handled sent = scene.SendUdp();

        Assert.Equal(DropReason.BadQuote, scene.Receive(Frames.Error(Router, sent.Source, 1, 0, sent.Octets.AsSpan(0, 43))).Dropped);
        Assert.Equal(DropReason.BadQuote, scene.Receive(Frames.Error(Router, sent.Source, 1, 0, sent.Octets.AsSpan(0, 20))).Dropped);
        Assert.Equal(DropReason.BadQuote, scene.Receive(Frames.Error(Router, sent.Source, 1, 0, [])).Dropped);
    }

    [Fact]
    [Rfc(7915, "5.3")]
    [Rfc(4443, "2.4")]
    public void An_error_about_an_error_is_dropped()
    {
        HostScene scene = Scene();
        Handled sent = scene.SendUdp();
        byte[] inner = Frames.Error(sent.Source, Frames.Server, 1, 0, sent.Octets).Build();

        Assert.Equal(DropReason.BadQuote, scene.Receive(Frames.Error(Router, sent.Source, 1, 0, inner)).Dropped);
    }

    [Fact]
    [Rfc(5508, "4.2")]
    public void An_error_with_a_wrong_checksum_is_dropped_and_one_that_quotes_a_wrong_checksum_is_not()
    {
        HostScene scene = Scene();
        TestFrame wrong = Frames.Udp(Frames.Host, 5000, Frames.Server, 53) with { Checksum = ChecksumState.Wrong };
        Handled sent = scene.Send(wrong);

        Assert.Equal(DropReason.BadIcmpChecksum,
            scene.Receive(Frames.Error(Router, sent.Source, 1, 0, sent.Octets) with { Checksum = ChecksumState.Wrong }).Dropped);
        Handled received = scene.Receive(Frames.Error(Router, sent.Source, 1, 0, sent.Octets));
        Assert.Equal(Frames.Error(Router, Frames.Host, 1, 0, wrong.Build()).Build(), received.Octets);
    }

    [Fact]
    [Rfc(5508, "4.2")]
    public void An_error_about_a_flow_that_is_not_there_is_dropped()
    {
        HostScene scene = Scene();
        Handled sent = scene.SendUdp();
        byte[] other = Frames.Udp(sent.Source, 5001, Frames.Server, 53).Build();

        Assert.Equal(DropReason.ErrorWithoutFlow, scene.Receive(Frames.Error(Router, sent.Source, 1, 0, other)).Dropped);
        Assert.Equal(DropReason.ErrorWithoutFlow,
            scene.Send(Frames.Error(Frames.Host, Frames.Server, 1, 0, Frames.Udp(Frames.Server, 1, Frames.Host, 2).Build())).Dropped);
    }

    [Fact]
    public void An_error_that_quotes_another_source_than_it_came_to_is_dropped()
    {
        HostScene scene = Scene();
        Handled sent = scene.SendUdp();
        byte[] foreign = Frames.Udp(Frames.OtherHost, 5000, Frames.Server, 53).Build();

        Assert.Equal(DropReason.ErrorWithoutFlow, scene.Receive(Frames.Error(Router, sent.Source, 1, 0, foreign)).Dropped);
    }

    [Fact]
    [Rfc(4787, "12")]
    [Rfc(5508, "4.4")]
    public void An_error_neither_refreshes_nor_ends_a_flow()
    {
        HostScene scene = Scene();
        Handled sent = scene.SendUdp();
        TestFrame error = Frames.Error(Router, sent.Source, 1, 4, sent.Octets);
        Assert.Equal(ForwardReason.Rewritten, scene.Receive(error).Forwarded);
        Assert.Equal(ForwardReason.Rewritten, scene.ReceiveUdp(sent.Source).Forwarded);

        scene.Pass(200);
        Assert.Equal(ForwardReason.Rewritten, scene.Receive(error).Forwarded);
        scene.Pass(105);
        Assert.Equal(0, scene.Engine.FlowCount);
    }

    [Fact]
    [Rfc(4884, "4.1")]
    public void The_extension_structure_behind_a_quote_is_left_alone()
    {
        HostScene scene = Scene();
        Handled sent = scene.SendUdp();
        byte[] quote = [.. sent.Octets, .. new byte[128 - (sent.Octets.Length % 128)]];
        byte[] extension = [0x20, 0, 0, 0, 0, 8, 1, 1, 1, 2, 3, 4];
        TestFrame error = Frames.Error(Router, sent.Source, 3, 0, [.. quote, .. extension], field: (uint)(quote.Length / 8) << 24);

        Handled received = scene.Receive(error);

        Assert.Equal(ForwardReason.Rewritten, received.Forwarded);
        byte[] restored = [.. sent.Frame.Build(), .. quote[sent.Octets.Length..], .. extension];
        Assert.Equal(Frames.Error(Router, Frames.Host, 3, 0, restored, field: (uint)(quote.Length / 8) << 24).Build(), received.Octets);
    }

    [Fact]
    public void An_error_may_quote_any_fragment_of_a_datagram()
    {
        HostScene scene = Scene();
        TestFrame datagram = Frames.Udp(Frames.Host, 5000, Frames.Server, 53, payload: 3000);
        Handled[] sent = [.. datagram.BuildFragments(7, 1200, 2400).Select(octets => scene.SendOctets(datagram, octets))];

        Handled received = scene.Receive(Frames.Error(Router, sent[0].Source, 2, 0, sent[1].Octets.AsSpan(0, 800), field: 1280));

        Assert.Equal(ForwardReason.Rewritten, received.Forwarded);
        Assert.Equal(Frames.Error(Router, Frames.Host, 2, 0, datagram.BuildFragments(7, 1200, 2400)[1].AsSpan(0, 800), field: 1280).Build(),
            received.Octets);
    }

    [Fact]
    [Rfc(4443, "2.2")]
    public void An_error_from_a_router_that_speaks_with_a_link_local_address_still_arrives()
    {
        HostScene scene = Scene();
        Handled sent = scene.SendUdp();

        Assert.Equal(ForwardReason.Rewritten,
            scene.Receive(Frames.Error(IpAddress.Parse("fe80::1"), sent.Source, 3, 0, sent.Octets)).Forwarded);
    }

    private static HostScene Scene() => new HostScene(AddressType.Nonpersistent).Attach(Nonpersistent);
}

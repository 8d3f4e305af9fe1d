using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests;

/// <summary>Only the first fragment has ports: the others follow it (RFC 8200 §4.5, RFC 4787 §11).</summary>
public sealed class FragmentTests
{
    private static readonly TestFrame Datagram = Frames.Udp(Frames.Host, 5000, Frames.Server, 53, payload: 4000);
    private static readonly PrefixAdvertisement Nonpersistent = HostScene.Of(HostScene.NonpersistentOne, AddressType.Nonpersistent);

    [Fact]
    [Rfc(8200, "4.5")]
    public void Fragments_in_order_all_leave_with_the_first_ones_source_and_the_datagram_is_the_one_that_would_have_been_built_with_it()
    {
        HostScene scene = Scene();

        Handled[] sent = [.. Datagram.BuildFragments(7, 1200, 2400, 3600).Select(octets => scene.SendOctets(Datagram, octets))];

        Assert.All(sent, fragment => Assert.Equal(ForwardReason.Rewritten, fragment.Forwarded));
        Assert.Equal(
            (Datagram with { Source = sent[0].Source }).BuildFragments(7, 1200, 2400, 3600), sent.Select(fragment => fragment.Octets));
    }

    [Fact]
    [Rfc(4787, "11")]
    [Rfc(6146, "3.4")]
    public void Later_fragments_that_come_first_wait_and_leave_in_order_behind_the_first()
    {
        HostScene scene = Scene();
        byte[][] fragments = Datagram.BuildFragments(7, 1200, 2400);

        Assert.True(scene.SendOctets(Datagram, fragments[2]).Held);
        Assert.True(scene.SendOctets(Datagram, fragments[1]).Held);
        Handled first = scene.SendOctets(Datagram, fragments[0]);
        List<Output> released = scene.Outputs();

        byte[][] expected = (Datagram with { Source = first.Source }).BuildFragments(7, 1200, 2400);
        Assert.Equal(ForwardReason.Rewritten, first.Forwarded);
        Assert.Equal([expected[2], expected[1]], released.Select(output => output.Octets));
        Assert.All(released,
            output => Assert.Equal((OutputKind.Released, OutputDirection.Network), (output.Info.Kind, output.Info.Direction)));
    }

    [Fact]
    [Rfc(4787, "11")]
    public void Inbound_fragments_in_any_order_come_to_the_host()
    {
        HostScene scene = Scene();
        IpAddress address = scene.SendUdp().Source;
        TestFrame answer = Frames.Udp(Frames.Server, 53, address, 5000, payload: 4000);
        byte[][] fragments = answer.BuildFragments(9, 1200, 2400);

        Assert.True(scene.ReceiveOctets(answer, fragments[1]).Held);
        Handled first = scene.ReceiveOctets(answer, fragments[0]);
        Output waited = scene.OnlyOutput();
        Handled last = scene.ReceiveOctets(answer, fragments[2]);

        byte[][] expected = (answer with { Destination = Frames.Host }).BuildFragments(9, 1200, 2400);
        Assert.Equal(expected, [first.Octets, waited.Octets, last.Octets]);
        Assert.Equal(OutputDirection.Host, waited.Info.Direction);
    }

    [Fact]
    [Rfc(6146, "3.4")]
    public void A_fragment_whose_first_never_comes_is_dropped_and_counted_after_the_time_limit()
    {
        HostScene scene = Scene();
        scene.SendOctets(Datagram, Datagram.BuildFragments(7, 1200)[1]);

        scene.Pass(4.9);
        Assert.Equal(0, scene.Engine.Counters.Of(DropReason.HoldTimeout));
        scene.Pass(0.2);
        Assert.Equal(1, scene.Engine.Counters.Of(DropReason.HoldTimeout));
        Assert.Empty(scene.Outputs());
    }

    [Fact]
    public void Where_the_options_let_pass_what_cannot_be_rewritten_a_fragment_whose_first_never_comes_passes_untouched_after_the_time_limit()
    {
        HostScene scene = Scene(options => options with { Untranslatable = UntranslatablePolicy.Pass });
        byte[][] fragments = Datagram.BuildFragments(7, 1200);
        scene.SendOctets(Datagram, [.. fragments[1]]);

        scene.Pass(5.1);

        Assert.Equal(fragments[1], scene.OnlyOutput().Octets);
        Assert.Equal(0, scene.Engine.Counters.Of(DropReason.HoldTimeout));
        Handled first = scene.SendOctets(Datagram, [.. fragments[0]]);
        Assert.Equal((ForwardReason.Untranslatable, Frames.Host), (first.Forwarded, first.Source));   // so that it still meets the other
    }

    [Fact]
    public void A_fragment_that_waits_in_vain_does_not_pass_to_or_from_an_address_that_has_ended_meanwhile()
    {
        HostScene scene = Scene(options => options with { Untranslatable = UntranslatablePolicy.Pass });
        IpAddress typed = scene.SendUdp().Source;
        TestFrame toHost = Frames.Udp(Frames.Server, 53, typed, 5000, 3000);
        TestFrame native = Frames.Udp(typed, 2000, Frames.Server, 53, 3000);
        Assert.True(scene.ReceiveOctets(toHost, toHost.BuildFragments(8, 1200)[1]).Held);
        Assert.True(scene.SendOctets(native, native.BuildFragments(9, 1200)[1]).Held);

        scene.Attach();
        _ = scene.SendTcp(TcpControl.Ack, 1, 1);
        scene.Pass(400);   // nothing remembers the address any more

        Assert.Empty(scene.Outputs());
        Assert.Equal(2, scene.Engine.Counters.Of(DropReason.AddressEnded));
    }

    [Fact]
    [Rfc(5722, "4")]
    public void An_overlap_ends_the_datagram_and_everything_of_it_that_waits_or_comes()
    {
        HostScene scene = Scene();
        byte[] upper = Datagram.SummedUpper();
        Assert.True(scene.SendOctets(Datagram, Datagram.BuildFragment(7, 1200, true, upper.AsSpan(1200, 1200))).Held);

        Handled overlapping = scene.SendOctets(Datagram, Datagram.BuildFragment(7, 1600, true, upper.AsSpan(1600, 1200)));
        Handled first = scene.SendOctets(Datagram, Datagram.BuildFragment(7, 0, true, upper.AsSpan(0, 1200)));

        Assert.Equal((DropReason.OverlappingFragment, DropReason.FragmentOfDropped), (overlapping.Dropped, first.Dropped));
        Assert.Equal(2, scene.Engine.Counters.Of(DropReason.FragmentOfDropped));
        Assert.Empty(scene.Outputs());
    }

    [Fact]
    [Rfc(8200, "4.5")]
    public void An_exact_duplicate_is_no_overlap()
    {
        HostScene scene = Scene();
        byte[][] fragments = Datagram.BuildFragments(7, 1200);
        scene.SendOctets(Datagram, [.. fragments[0]]);

        Assert.Equal(ForwardReason.Rewritten, scene.SendOctets(Datagram, [.. fragments[0]]).Forwarded);
        Assert.Equal(ForwardReason.Rewritten, scene.SendOctets(Datagram, [.. fragments[1]]).Forwarded);
        Assert.Equal(ForwardReason.Rewritten, scene.SendOctets(Datagram, [.. fragments[1]]).Forwarded);
    }

    [Fact]
    [Rfc(6946, "4")]
    public void An_atomic_fragment_is_handled_alone_and_meets_no_other_with_its_identification()
    {
        HostScene scene = Scene();
        scene.SendOctets(Datagram, Datagram.BuildFragments(77, 1200)[1]);
        TestFrame atomic = Frames.Udp(Frames.Host, 5000, Frames.Server, 53) with { Extensions = [Frames.AtomicFragment(77)] };

        Handled sent = scene.Send(atomic);

        Assert.Equal(ForwardReason.Rewritten, sent.Forwarded);
        Assert.Equal((atomic with { Source = sent.Source }).Build(), sent.Octets);
    }

    [Fact]
    [Rfc(7112, "5")]
    public void A_first_fragment_without_its_headers_is_dropped_with_all_that_follow()
    {
        HostScene scene = Scene();
        TestFrame segment = Frames.Tcp(Frames.Host, 40000, Frames.Server, 443, TcpControl.Syn, payload: 1000);
        byte[][] fragments = segment.BuildFragments(7, 8);

        Assert.Equal(DropReason.TinyFragment, scene.SendOctets(segment, fragments[0]).Dropped);
        Assert.Equal(DropReason.FragmentOfDropped, scene.SendOctets(segment, fragments[1]).Dropped);
    }

    [Fact]
    [Rfc(4787, "11")]
    public void The_number_of_fragmented_datagrams_is_bounded()
    {
        HostScene scene = Scene(options => options with { MaximumFragmentedDatagrams = 2 });

        DropReason?[] dropped =
            [.. Enumerable.Range(1, 3).Select(id => scene.SendOctets(Datagram, Datagram.BuildFragments((uint)id, 1200)[1]).Dropped)];

        Assert.Equal([null, null, DropReason.FragmentTableFull], dropped);
        scene.Pass(5.1);
        Assert.True(scene.SendOctets(Datagram, Datagram.BuildFragments(4, 1200)[1]).Held);
    }

    [Fact]
    [Rfc(4787, "11")]
    public void What_waits_is_bounded()
    {
        HostScene scene = Scene(options => options with { MaximumHeldFrames = 2 });
        byte[][] fragments = Datagram.BuildFragments(7, 800, 1600, 2400);

        Assert.True(scene.SendOctets(Datagram, fragments[1]).Held);
        Assert.True(scene.SendOctets(Datagram, fragments[2]).Held);
        Assert.Equal(DropReason.HoldFull, scene.SendOctets(Datagram, fragments[3]).Dropped);
    }

    [Fact]
    public void A_fragment_that_follows_after_its_address_has_ended_is_dropped()
    {
        HostScene scene = Scene();
        byte[][] fragments = Datagram.BuildFragments(7, 1200);
        scene.SendOctets(Datagram, fragments[0]);

        scene.Attach(HostScene.Of(HostScene.NonpersistentTwo, AddressType.Nonpersistent));

        Assert.Equal(DropReason.AddressEnded, scene.SendOctets(Datagram, fragments[1]).Dropped);
    }

    [Fact]
    public void A_first_fragment_that_comes_once_more_gets_no_other_address_than_the_first_time()
    {
        HostScene scene = Scene();
        byte[][] fragments = Datagram.BuildFragments(7, 1200);
        scene.SendOctets(Datagram, [.. fragments[0]]);

        scene.Attach(HostScene.Of(HostScene.NonpersistentTwo, AddressType.Nonpersistent));

        Assert.Equal(DropReason.AddressEnded, scene.SendOctets(Datagram, fragments[0]).Dropped);
    }

    [Fact]
    public void What_becomes_of_the_duplicate_of_a_first_fragment_that_waits_does_not_lose_the_datagram()
    {
        HostScene scene = new HostScene(AddressType.SessionLasting).Attach(Nonpersistent);
        byte[][] fragments = Datagram.BuildFragments(7, 1200);
        Assert.True(scene.SendOctets(Datagram, [.. fragments[0]]).Held);
        Assert.True(scene.SendOctets(Datagram, [.. fragments[1]]).Held);

        scene.Engine.Detach(scene.Now);
        Assert.True(scene.SendOctets(Datagram, [.. fragments[0]]).Held);
        scene.Attach(HostScene.Of(HostScene.SessionOne, AddressType.SessionLasting));

        List<Output> released = scene.Outputs();
        Assert.Equal(3, released.Count);
        Assert.All(released, output => Assert.True(HostScene.SessionOne.Contains(IpAddress.Read(output.Octets.AsSpan(8)))));
    }

    [Fact]
    public void A_native_sockets_fragment_that_waits_in_vain_does_not_leave_from_an_address_that_has_ended_but_is_still_known()
    {
        HostScene scene = Scene(options => options with { Untranslatable = UntranslatablePolicy.Pass });
        IpAddress typed = scene.SendUdp().Source;
        Assert.Equal(ForwardReason.Native, scene.Send(Frames.Udp(typed, 2001, Frames.Server, 53)).Forwarded);
        TestFrame native = Frames.Udp(typed, 2000, Frames.Server, 53, 3000);
        Assert.True(scene.SendOctets(native, native.BuildFragments(9, 1200)[1]).Held);

        scene.Attach();
        scene.Pass(5.1);

        Assert.Empty(scene.Outputs());
        Assert.Equal(1, scene.Engine.Counters.Of(DropReason.AddressEnded));
    }

    [Fact]
    public void A_datagram_whose_first_fragment_waits_for_the_network_waits_as_a_whole_and_leaves_in_order()
    {
        HostScene scene = new HostScene(AddressType.SessionLasting).Attach(Nonpersistent);
        byte[][] fragments = Datagram.BuildFragments(7, 1200, 2400);
        Assert.All(fragments, octets => Assert.True(scene.SendOctets(Datagram, [.. octets]).Held));

        scene.Grant(scene.Question(), HostScene.Of(HostScene.SessionOne, AddressType.SessionLasting));

        List<Output> released = scene.Outputs();
        IpAddress source = IpAddress.Read(released[0].Octets.AsSpan(8));
        Assert.True(HostScene.SessionOne.Contains(source));
        Assert.Equal((Datagram with { Source = source }).BuildFragments(7, 1200, 2400), released.Select(output => output.Octets));
    }

    private static HostScene Scene(Func<DataplaneOptions, DataplaneOptions>? change = null) =>
        new HostScene(AddressType.Nonpersistent, change).Attach(Nonpersistent);
}

using System.Buffers.Binary;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Run;
using OnDemand.Linux.Tap;
using Xunit;

namespace OnDemand.Linux.Tests.Run;

public sealed class FramePumpTests : IDisposable
{
    private const string Asking = """
        internal: [fd00:a::2]
        seed: 1
        network: [{at: 0s, attach: ar1}]
        on-demand: {session-lasting: {answer: grant, prefix: "2001:db8:51::/64", delay: 20ms}}
        policy: {default: session-lasting}
        """;

    private readonly HostRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Fact]
    public void A_frame_of_the_host_goes_back_with_a_typed_source_to_the_taps_own_address()
    {
        _rig.Put(Question());

        byte[] frame = Assert.Single(_rig.Tap.Written)[VirtioNetHeader.Length..];
        Assert.True(IpPrefix.Parse("2001:db8:a1::/64").Contains(TestFrames.SourceOf(frame)));
        Assert.True(TestFrames.HasRightChecksum(frame));
        Assert.Equal(MemoryTap.Address, MacAddress.Read(frame));
        Assert.Equal(MemoryTap.Address.OtherEnd, MacAddress.Read(frame.AsSpan(6)));
    }

    [Fact]
    public void The_answer_comes_back_to_the_internal_address()
    {
        IpAddress typed = TypedAddress();

        _rig.Put(TestFrames.Udp(HostRig.Server, typed.ToString(), 53, 1000, new byte[20]));

        Assert.Equal(IpAddress.Parse(HostRig.Inside), TestFrames.DestinationOf(_rig.Last));
        Assert.True(TestFrames.HasRightChecksum(_rig.Last));
    }

    [Fact]
    public void A_superpacket_keeps_its_header_and_its_partial_checksum_is_adjusted_as_one()
    {
        byte[] frame = TestFrames.Udp(HostRig.Inside, HostRig.Server, 1000, 53, new byte[60_000]);
        int checksum = 14 + TestFrames.ChecksumAt(17);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(checksum), TestFrames.PseudoHeaderSum(frame));
        var header = new VirtioNetHeader(1, 5, 62, 1400, 54, 6);

        _rig.Tap.Put(frame, header);
        _rig.Settle();

        Assert.Equal(header, VirtioNetHeader.Read(_rig.Tap.Written[0]));
        Assert.Equal(TestFrames.PseudoHeaderSum(_rig.Last), BinaryPrimitives.ReadUInt16BigEndian(_rig.Last.AsSpan(checksum)));
        Assert.Equal(1, _rig.Counters.Superpackets);
    }

    // VXLAN and the like: the kernel has finished the outer sum and leaves the inner one to the device.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_datagram_around_a_packet_whose_checksum_is_left_to_the_device_has_a_finished_one_itself(bool inbound)
    {
        const int inner = 62 + 24;
        var header = new VirtioNetHeader(1, 0, 0, 0, inner, 6);
        string typed = TypedAddress().ToString();
        byte[] content = [.. Enumerable.Range(0, 61).Select(i => (byte)(i * 7))];
        byte[] finished = Make(Segmenter.Finish(WithHeader(Make(content)))[0][62..]);
        Assert.True(TestFrames.HasRightChecksum(finished));

        _rig.Tap.Put([.. finished[..62], .. content], header);
        _rig.Settle();

        Assert.Equal(header, VirtioNetHeader.Read(_rig.Tap.Written[^1]));
        byte[] written = Assert.Single(Segmenter.Finish(_rig.Tap.Written[^1]));
        Assert.Equal(IpAddress.Parse(inbound ? HostRig.Inside : typed), inbound ? TestFrames.DestinationOf(written) : TestFrames.SourceOf(written));
        Assert.Equal(finished[62..], written[62..]);
        Assert.True(TestFrames.HasRightChecksum(written));

        byte[] Make(byte[] payload) => inbound
            ? TestFrames.Udp(HostRig.Server, typed, 53, 1000, payload) : TestFrames.Udp(HostRig.Inside, HostRig.Server, 1000, 53, payload);

        byte[] WithHeader(byte[] frame)
        {
            byte[] whole = [.. new byte[VirtioNetHeader.Length], .. frame];
            header.Write(whole);
            return whole;
        }
    }

    [Fact]
    public void A_partial_checksum_behind_an_extension_header_is_adjusted_as_one()
    {
        byte[] plain = TestFrames.Udp(HostRig.Inside, HostRig.Server, 1000, 53, new byte[20]);
        byte[] frame = [.. plain[..54], 17, 0, 1, 4, 0, 0, 0, 0, .. plain[54..]];
        frame[14 + 5] += 8;
        frame[20] = 60;                              // destination options: padding
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(62 + 6), TestFrames.PseudoHeaderSum(plain));

        _rig.Tap.Put(frame, new VirtioNetHeader(1, 0, 0, 0, 62, 6));
        _rig.Settle();

        byte[] expected = TestFrames.Udp(TestFrames.SourceOf(_rig.Last).ToString(), HostRig.Server, 1000, 53, new byte[20]);
        Assert.NotEqual(TestFrames.SourceOf(plain), TestFrames.SourceOf(expected));
        Assert.Equal(TestFrames.PseudoHeaderSum(expected), BinaryPrimitives.ReadUInt16BigEndian(_rig.Last.AsSpan(62 + 6)));
    }

    [Fact]
    public void A_frame_that_had_to_wait_goes_out_with_the_header_it_came_with()
    {
        using var rig = new HostRig(Asking);
        var header = new VirtioNetHeader(1, 0, 0, 0, 54, 6);
        rig.Tap.Put(Question(), header);
        rig.Settle();
        Assert.Empty(rig.Tap.Written);

        rig.Time.Pass(TimeSpan.FromMilliseconds(20));
        rig.Settle();

        Assert.Equal(header, VirtioNetHeader.Read(Assert.Single(rig.Tap.Written)));
        Assert.True(IpPrefix.Parse("2001:db8:51::/64").Contains(TestFrames.SourceOf(rig.Last)));
        Assert.Equal(MemoryTap.Address, MacAddress.Read(rig.Last));
        Assert.Contains("add 2001:db8:51::/64", rig.Network.Told);
    }

    [Fact]
    public void All_that_had_to_wait_for_one_answer_goes_out_in_one_turn()
    {
        using var rig = new HostRig(Asking);
        foreach (ushort port in (ushort[])[1001, 1002, 1003])
        {
            rig.Put(TestFrames.Udp(HostRig.Inside, HostRig.Server, port, 53, new byte[20]));
        }

        rig.Time.Pass(TimeSpan.FromMilliseconds(20));
        rig.Host.Turn();

        Assert.Equal(3, rig.Tap.Written.Count);
    }

    [Fact]
    public void A_frame_to_nobody_in_a_prefix_that_is_routed_here_is_not_sent_in_circles()
    {
        _rig.Put(TestFrames.Udp(HostRig.Server, HostRig.Prefix + "dead", 53, 1000, new byte[20]));
        _rig.Put(TestFrames.Udp(HostRig.Inside, HostRig.Prefix + "dead", 1000, 53, new byte[20]));

        Assert.Empty(_rig.Tap.Written);
        Assert.Equal(2, _rig.Counters.Loops);
    }

    [Fact]
    public void Nor_is_one_that_had_to_wait_first()
    {
        using var rig = new HostRig("""
            internal: [fd00:a::2]
            seed: 1
            network: [{at: 0s, attach: ar1, prefixes: [{prefix: "2001:db8:a1::/64", type: nonpersistent}]}]
            on-demand: {session-lasting: {answer: grant, prefix: "2001:db8:51::/64", delay: 20ms}}
            policy: {default: session-lasting}
            """);
        rig.Put(TestFrames.Udp(HostRig.Inside, HostRig.Prefix + "dead", 1000, 53, new byte[20]));
        Assert.Equal(0, rig.Counters.Loops);

        rig.Time.Pass(TimeSpan.FromMilliseconds(20));
        rig.Settle();

        Assert.Empty(rig.Tap.Written);
        Assert.Equal(1, rig.Counters.Loops);
    }

    [Fact]
    public void A_frame_from_an_address_that_is_not_ours_passes_untouched()
    {
        byte[] frame = TestFrames.Udp("2001:db8:5::1", HostRig.Server, 1000, 53, new byte[20]);

        _rig.Put([.. frame]);

        Assert.Equal(frame[12..], _rig.Last[12..]);
    }

    [Theory]
    [InlineData("fe80::1", "ff02::16")]
    [InlineData("fe80::1", "fe80::2")]
    [InlineData("::", "ff02::1:ff00:2")]
    [InlineData(HostRig.Inside, "ff0e::1")]
    public void What_is_only_for_the_link_is_not_written_back(string source, string destination)
    {
        _rig.Put(TestFrames.Ipv6(IpAddress.Parse(source), IpAddress.Parse(destination), 17, new byte[30]));

        Assert.Empty(_rig.Tap.Written);
        Assert.Equal(1, _rig.Counters.LinkScope);
    }

    [Fact]
    public void Short_frames_and_other_protocols_are_counted_and_forgotten()
    {
        byte[] arp = new byte[42];
        arp[12] = 8;
        arp[13] = 6;

        _rig.Put(new byte[13]).Put([]).Put(arp).Put(Question()[..53]);

        Assert.Empty(_rig.Tap.Written);
        Assert.Equal(2, _rig.Counters.ShortFrames);
        Assert.Equal(2, _rig.Counters.NotIpv6);
    }

    [Fact]
    public void An_error_of_this_hosts_own_routing_reaches_the_socket_it_is_about()
    {
        IpAddress typed = TypedAddress();
        byte[] sent = _rig.Last;
        byte[] error = new byte[8 + sent.Length - 14];
        error[0] = 2;                                // Packet Too Big
        BinaryPrimitives.WriteUInt32BigEndian(error.AsSpan(4), 1400);
        sent.AsSpan(14).CopyTo(error.AsSpan(8));

        // The kernel's choice of a source is the TAP's own address, which is the internal one.
        _rig.Put(TestFrames.Ipv6(IpAddress.Parse(HostRig.Inside), typed, 58, error));

        byte[] frame = _rig.Last;
        Assert.Equal(2, _rig.Tap.Written.Count);
        Assert.Equal(IpAddress.Parse(HostRig.Inside), TestFrames.DestinationOf(frame));
        Assert.Equal(IpAddress.Parse(HostRig.Inside), IpAddress.Read(frame.AsSpan(14 + 48 + 8)));
        Assert.True(TestFrames.HasRightChecksum(frame));
    }

    [Fact]
    public void What_the_engine_makes_gets_a_link_header_and_an_empty_virtio_header()
    {
        using var rig = new HostRig("""
            internal: [fd00:a::2]
            seed: 1
            network: [{at: 0s, attach: ar1}]
            on-demand: {fixed: {answer: refuse}}
            policy: {default: fixed}
            """);

        rig.Put(Question());

        byte[] frame = Assert.Single(rig.Tap.Written);
        Assert.Equal(default, VirtioNetHeader.Read(frame));
        Assert.Equal(MemoryTap.Address, MacAddress.Read(rig.Last));
        Assert.Equal([0x86, 0xdd], rig.Last[12..14]);
        Assert.Equal(IpAddress.Parse(HostRig.Inside), TestFrames.DestinationOf(rig.Last));
        Assert.Equal((1, 1), (rig.Last[14 + 40], rig.Last[14 + 41]));   // unreachable, prohibited
        Assert.True(TestFrames.HasRightChecksum(rig.Last));
    }

    [Theory]
    [InlineData(Errno.Eagain)]
    [InlineData(Errno.Enobufs)]
    [InlineData(Errno.Eio)]
    [InlineData(Errno.Einval)]
    public void A_frame_that_the_kernel_refuses_is_counted_by_reason(int error)
    {
        _rig.Tap.WriteResult = -error;

        _rig.Put(Question());

        ShellCounters counters = _rig.Counters;
        Assert.Equal(error is Errno.Eagain or Errno.Enobufs ? 1 : 0, counters.WritesWithoutRoom);
        Assert.Equal(error is Errno.Eio ? 1 : 0, counters.WritesWhileDown);
        Assert.Equal(error is Errno.Einval ? 1 : 0, counters.WritesRefused);
        Assert.Equal(0, counters.FramesWritten);
    }

    [Fact]
    public void Neighbor_solicitations_are_answered_only_where_the_configuration_says_so()
    {
        byte[] message = new byte[24];
        message[0] = 135;
        IpAddress.Parse(HostRig.Server).Write(message.AsSpan(8));
        byte[] solicitation = TestFrames.Ipv6(
            IpAddress.Parse(HostRig.Inside), IpAddress.Parse("ff02::1:ff00:2"), 58, message, hopLimit: 255);
        using var answering = new HostRig(HostRig.Nonpersistent + "\nhost: {neighbors: answer}\n");

        answering.Put([.. solicitation]);
        _rig.Put([.. solicitation]);

        Assert.Equal(136, Assert.Single(answering.Tap.Written)[VirtioNetHeader.Length + 14 + 40]);
        Assert.Equal(1, answering.Counters.NeighborAnswers);
        Assert.Empty(_rig.Tap.Written);
    }

    [Fact]
    public void Many_frames_go_out_in_the_order_in_which_they_came()
    {
        AssertKeepsOrder(_rig, 100);
        Assert.InRange(_rig.Counters.Batches, 4, 99);
        Assert.Equal((100, 100), (_rig.Counters.FramesRead, _rig.Counters.FramesWritten));
    }

    // Before Linux 6.4 a TAP cannot be read through a ring without waiting for frames.
    [Fact]
    public void Where_the_kernel_cannot_read_many_frames_together_as_many_are_read_one_by_one()
    {
        using var rig = new HostRig(tap: new MemoryTap { HasRing = true, RingResult = -Errno.Eopnotsupp });
        AssertKeepsOrder(rig, 200);
        Assert.InRange(rig.Counters.Batches, 4, 20);
        Assert.Equal((0, 0), (rig.Counters.ReadErrors, rig.Counters.RingBatches));
    }

    private static void AssertKeepsOrder(HostRig rig, ushort frames)
    {
        for (ushort port = 1; port <= frames; port++)
        {
            rig.Tap.Put(TestFrames.Udp(HostRig.Inside, HostRig.Server, port, 53, new byte[20]));
        }

        rig.Settle();

        Assert.Equal(
            Enumerable.Range(1, frames),
            rig.Tap.Written.Select(frame => (int)BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(10 + 14 + 40))));
    }

    private static byte[] Question() => TestFrames.Udp(HostRig.Inside, HostRig.Server, 1000, 53, new byte[20]);

    private IpAddress TypedAddress()
    {
        _rig.Put(Question());
        return TestFrames.SourceOf(_rig.Last);
    }
}

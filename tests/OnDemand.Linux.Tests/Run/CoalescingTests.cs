using System.Buffers.Binary;
using FsCheck;
using FsCheck.Fluent;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Run;
using OnDemand.Linux.Tap;
using Xunit;

namespace OnDemand.Linux.Tests.Run;

/// <summary>
/// What leaves the device must be the same whether segments were joined or not. So two dataplanes that differ in nothing else get the same
/// frames, and what each writes is finished as a device would.
/// </summary>
public sealed partial class CoalescingTests
{
    private const string Off = HostRig.Nonpersistent + "\nhost: {coalesce: off}\n";
    private const int Flows = 3;
    private const byte Ack = TestFrames.Ack;

    [Fact]
    public void Segments_that_follow_one_another_become_one_superpacket()
    {
        using HostRig rig = MakeRig();
        var world = new World(rig);
        for (int i = 0; i < 5; i++)
        {
            rig.Tap.PutWhole(world.Segment(flow: 0, inbound: false, i < 4 ? 1000 : 300, mode: 0));
        }

        rig.Tap.PutWhole(world.Segment(0, false, 700, 0));
        List<byte[]> written = TakeBatches(rig, warm: 16);

        var header = VirtioNetHeader.Read(written[0]);
        Assert.Equal(new VirtioNetHeader(1, 4, 14 + 40 + 20, 1000, 54, 16), header);
        Assert.Equal([10 + 74 + 4300, 10 + 74 + 700], written.Select(whole => whole.Length));
        Assert.Equal((1, 5), (rig.Counters.SuperpacketsMade, rig.Counters.FramesJoined));
        Assert.Equal(MemoryTap.Address, MacAddress.Read(written[0].AsSpan(10)));
    }

    [Fact]
    public void Whatever_comes_leaves_as_if_nothing_had_been_joined()
    {
        int joined = 0;
        Prop.ForAll<(byte Kind, byte Length, byte Odd, byte Mode)[]>(steps =>
        {
            using HostRig plain = MakeRig(Off);
            using HostRig joining = MakeRig();
            Feed(plain, steps);
            Feed(joining, steps);
            joined += (int)joining.Counters.FramesJoined;
            Assert.Equal(0, plain.Counters.SuperpacketsMade);
            Assert.Equal(plain.Counters.FramesWritten, joining.Counters.FramesWritten);
            Assert.Equal(plain.Counters.OctetsWritten, joining.Counters.OctetsWritten);
            AssertSame(plain.Tap.Written, joining.Tap.Written);
        }).Check(FsCheck.Config.QuickThrowOnFailure.WithMaxTest(300).WithEndSize(200));

        Assert.True(joined > 1000, $"Only {joined} frames were joined at all.");
    }

    [Theory]
    [InlineData("sequence")]
    [InlineData("push")]
    [InlineData("fin")]
    [InlineData("cwr")]
    [InlineData("ece")]
    [InlineData("urgent")]
    [InlineData("window")]
    [InlineData("acknowledgment")]
    [InlineData("hop limit")]
    [InlineData("traffic class")]
    [InlineData("flow label")]
    [InlineData("options")]
    [InlineData("checksum")]
    [InlineData("partial checksum")]
    [InlineData("partial checksum called valid")]
    [InlineData("superpacket")]
    [InlineData("option words")]
    [InlineData("padded")]
    public void A_segment_that_differs_begins_anew_and_stays_as_it_is(string difference)
    {
        using HostRig rig = MakeRig();
        using HostRig plain = MakeRig(Off);
        foreach (HostRig each in (HostRig[])[rig, plain])
        {
            var world = new World(each);
            byte[] first = world.Segment(0, false, 1000, 2);
            byte[] second = world.Segment(0, false, 1000, 2);
            if (difference == "option words")
            {
                Change("options", first);
                BinaryPrimitives.WriteUInt32BigEndian(second.AsSpan(10 + 58), BinaryPrimitives.ReadUInt32BigEndian(second.AsSpan(10 + 58)) - 4);
            }

            Change(difference, difference == "push" ? first : second);
            each.Tap.PutWhole(first);
            each.Tap.PutWhole(second);
        }

        List<byte[]> expected = TakeBatches(plain, warm: 4);
        List<byte[]> written = TakeBatches(rig, warm: 4);

        Assert.Equal(0, rig.Counters.SuperpacketsMade);
        Assert.Equal(2, written.Count);
        Assert.Equal(expected[0], written[0]);
        Assert.Equal(expected[1], written[1]);
    }

    [Theory]
    [InlineData("length", 2)]
    [InlineData("no checksum", 3)]
    [InlineData("place of the checksum", 0)]
    [InlineData("beginning of the sum", 0)]
    [InlineData("empty", 2)]
    public void A_datagram_that_is_not_as_segmentation_would_make_it_stays_as_it_is(string difference, int mode)
    {
        using HostRig rig = MakeRig();
        using HostRig plain = MakeRig(Off);
        foreach (HostRig each in (HostRig[])[rig, plain])
        {
            var world = new World(each);
            int length = difference == "empty" ? 0 : 100;
            byte[] first = world.Datagram(0, false, length, mode);
            byte[] second = world.Datagram(0, false, length, mode);
            Span<byte> datagram = second.AsSpan(10 + 54);
            switch (difference)
            {
                case "length":
                    datagram[5] -= 2;                // what is behind it are options of UDP, or nothing
                    World.Finish(second.AsSpan(10));
                    break;
                case "no checksum":
                    datagram[6..8].Clear();
                    break;
                case "place of the checksum":
                    new VirtioNetHeader(1, 0, 0, 0, 54, 16).Write(second);
                    break;
                case "beginning of the sum":
                    new VirtioNetHeader(1, 0, 0, 0, 52, 6).Write(second);
                    break;
            }

            each.Tap.PutWhole(first);
            each.Tap.PutWhole(second);
        }

        List<byte[]> expected = TakeBatches(plain, warm: 4);

        Assert.Equal(2, expected.Count);
        Assert.Equal(expected, TakeBatches(rig, warm: 4));
        Assert.Equal(0, rig.Counters.SuperpacketsMade);
    }

    [Fact]
    public void Sequence_numbers_go_on_over_their_end()
    {
        using HostRig rig = MakeRig();
        var world = new World(rig, uint.MaxValue - 1500);
        for (int i = 0; i < 4; i++)
        {
            rig.Tap.PutWhole(world.Segment(0, false, 1000, 0));
        }

        Assert.Equal(10 + 74 + 4000, Assert.Single(TakeBatches(rig, warm: 16)).Length);
    }

    [Fact]
    public void Acknowledgments_without_data_stay_as_many_as_they_were()
    {
        using HostRig rig = MakeRig();
        var world = new World(rig);
        for (int i = 0; i < 4; i++)
        {
            rig.Tap.PutWhole(world.Segment(0, false, 0, 2));           // three of them alike are a sign of loss (RFC 5681 §3.2)
        }

        Assert.Equal(Enumerable.Repeat(10 + 74, 4), TakeBatches(rig, warm: 16).Select(whole => whole.Length));
        Assert.Equal(0, rig.Counters.SuperpacketsMade);
    }

    [Fact]
    public void A_wrong_checksum_stays_wrong_and_alone_in_the_middle_of_others()
    {
        using HostRig rig = MakeRig();
        var world = new World(rig);
        for (int i = 0; i < 9; i++)
        {
            byte[] whole = world.Segment(0, false, 1000, 2);
            whole[10 + 80] ^= (byte)(i == 4 ? 1 : 0);
            rig.Tap.PutWhole(whole);
        }

        List<byte[]> written = TakeBatches(rig, warm: 16);

        Assert.Equal([4084, 1084, 4084], written.Select(whole => whole.Length));
        Assert.False(TestFrames.HasRightChecksum(written[1].AsSpan(10)));
        Assert.Equal(0, written[1][0]);
    }

    [Fact]
    public void Segments_of_several_flows_in_turns_are_joined_per_flow_and_direction()
    {
        using HostRig rig = MakeRig();
        var world = new World(rig);
        for (int i = 0; i < 10; i++)
        {
            rig.Tap.PutWhole(world.Segment(0, false, 1000, 0));
            rig.Tap.PutWhole(world.Segment(1, true, 1200, 3));
            rig.Tap.PutWhole(world.Datagram(2, false, 64, 0));
        }

        List<byte[]> written = TakeBatches(rig, warm: 64);

        Assert.Equal([10 + 74 + 10_000, 10 + 74 + 12_000, 10 + 62 + 640], written.Select(whole => whole.Length));
        Assert.Equal([4, 4, 5], written.Select(whole => (int)VirtioNetHeader.Read(whole).SegmentationType));
    }

    [Fact]
    public void A_superpacket_never_exceeds_sixty_four_kibibytes_or_sixty_four_frames()
    {
        using HostRig rig = MakeRig();
        var world = new World(rig);
        for (int i = 0; i < 60; i++)
        {
            rig.Tap.PutWhole(world.Segment(0, false, 1428, 0));
        }

        for (int i = 0; i < 200; i++)
        {
            rig.Tap.PutWhole(world.Datagram(0, false, 8, 0));
        }

        List<byte[]> written = TakeBatches(rig, warm: 64);

        Assert.All(written, whole => Assert.InRange(whole.Length, 1, 10 + 14 + 40 + 65535));
        Assert.All(
            written.Where(whole => whole[1] == 5), whole => Assert.InRange((whole.Length - 72) / 8, 1, SegmentJoiner.MostSegments));
        Assert.True(rig.Counters.FramesJoined > 200);
    }

    [Theory]
    [InlineData(40, 1)]                // 65,535 octets behind the IPv6 header
    [InlineData(41, 2)]
    public void A_superpacket_is_as_long_as_its_header_can_say_and_not_one_octet_longer(int last, int writes)
    {
        using HostRig rig = MakeRig(ring: true);      // which reads as many at once
        var world = new World(rig);
        for (int i = 0; i < 45; i++)
        {
            rig.Tap.PutWhole(world.Segment(0, false, 1455, 0));
        }

        rig.Tap.PutWhole(world.Segment(0, false, last, 0));

        List<byte[]> written = TakeBatches(rig, warm: 64);

        Assert.Equal(writes, written.Count);
        Assert.All(written, whole => Assert.Equal(whole.Length - 10 - 54, BinaryPrimitives.ReadUInt16BigEndian(whole.AsSpan(10 + 18))));
    }

    [Fact]
    public void What_belongs_to_no_flow_may_belong_to_any_and_is_not_overtaken()
    {
        const string neighbor = "2001:db8:77::1";
        using HostRig rig = MakeRig();
        var world = new World(rig);
        for (int i = 0; i < 6; i++)
        {
            rig.Tap.PutWhole(world.Segment(0, false, 1000, 0));
            if (i == 2)
            {
                rig.Tap.Put(TestFrames.Udp(neighbor, HostRig.Server, 1000, 53, new byte[100]));
            }
        }

        List<byte[]> written = TakeBatches(rig, warm: 16);

        Assert.Equal([10 + 74 + 3000, 10 + 62 + 100, 10 + 74 + 3000], written.Select(whole => whole.Length));
    }

    [Fact]
    public void Without_the_kernels_consent_nothing_is_joined()
    {
        using HostRig none = MakeRig(offloads: TapOffloads.Checksum);
        using HostRig onlyTcp = MakeRig(offloads: TapOffloads.Checksum | TapOffloads.TcpSegmentation6);
        foreach (HostRig rig in (HostRig[])[none, onlyTcp])
        {
            var world = new World(rig);
            for (int i = 0; i < 4; i++)
            {
                rig.Tap.PutWhole(world.Segment(0, false, 1000, 0));
                rig.Tap.PutWhole(world.Datagram(0, false, 500, 0));
            }

            TakeBatches(rig, warm: 16);
        }

        Assert.Equal((0, 0), (none.Counters.SuperpacketsMade, none.Counters.FramesJoined));
        Assert.Equal((1, 4), (onlyTcp.Counters.SuperpacketsMade, onlyTcp.Counters.FramesJoined));
    }

    [Fact]
    public void What_the_kernel_refuses_joined_still_goes_out_before_what_came_after_it()
    {
        using HostRig rig = MakeRig();
        var world = new World(rig);
        rig.Tap.RefusesMade = true;
        int[] payloads = [500, 500, 500, 700, 800, 800, 600];
        foreach (int payload in payloads)
        {
            rig.Tap.PutWhole(world.Datagram(0, false, payload, 0));
        }

        List<byte[]> written = TakeBatches(rig, warm: 16);

        Assert.Equal(payloads, written.Select(whole => whole.Length - (10 + 62)));
        Assert.Equal(2, rig.Counters.SuperpacketsRefused);
    }

    [Fact]
    public void What_the_kernel_refuses_joined_goes_out_one_by_one_and_only_that_kind_is_not_joined_again()
    {
        using HostRig rig = MakeRig();
        var world = new World(rig);
        rig.Tap.RefusesMade = true;
        int before = Put(world.Datagram).Count;
        rig.Tap.RefusesMade = false;
        Put(world.Datagram);
        List<byte[]> written = Put(world.Segment);

        Assert.Equal(8, before);
        Assert.Equal([.. Enumerable.Repeat(10 + 62 + 500, 16), 10 + 74 + 4000], written.Select(whole => whole.Length));
        Assert.Equal((1, 1, 8), (rig.Counters.SuperpacketsRefused, rig.Counters.SuperpacketsMade, rig.Counters.FramesJoined));
        Assert.Equal(0, rig.Counters.WritesRefused);

        List<byte[]> Put(Func<int, bool, int, int, byte[]> make)
        {
            for (int i = 0; i < 8; i++)
            {
                rig.Tap.PutWhole(make(0, false, 500, 0));
            }

            return TakeBatches(rig, warm: 16);
        }
    }

    [Fact]
    public void Frames_of_a_superpacket_share_its_fate_and_are_shown_as_they_were()
    {
        var seen = new FateRecorder();
        using HostRig rig = MakeRig(observer: seen);
        var world = new World(rig);
        for (int i = 0; i < 4; i++)
        {
            rig.Tap.PutWhole(world.Segment(0, false, 1000, 2));
            rig.Tap.PutWhole(world.Segment(1, false, 900, 2));
        }

        byte[] stray = TestFrames.Udp(HostRig.Inside, HostRig.Prefix + "dead", 1000, 53, new byte[20]);
        rig.Tap.Put(stray);
        rig.Tap.Room = rig.Tap.Writes + 16 + 1;      // for warming up, and one superpacket
        TakeBatches(rig, warm: 16);

        FrameFate sent = FrameFate.Sent, failed = FrameFate.WriteFailed;
        Assert.Equal(9, seen.Last.Count - 1);
        seen.Last.RemoveAt(0);                       // of warming up
        Assert.Equal([sent, failed, sent, failed, sent, failed, sent, failed, FrameFate.Loop], seen.Last.Select(one => one.Fate));
        Assert.Equal(4, rig.Counters.WritesWithoutRoom);
        Assert.All(seen.Last.Take(8), one => Assert.True(TestFrames.HasRightChecksum(one.Frame)));
        Assert.Equal([1074, 974, 1074, 974, 1074, 974, 1074, 974], seen.Last.Take(8).Select(one => one.Frame.Length));
        Assert.All(seen.Last.Take(8), one => Assert.Equal(MemoryTap.Address, MacAddress.Read(one.Frame)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Joining_allocates_nothing_with_a_ring_and_without(bool ring)
    {
        using HostRig rig = MakeRig(ring: ring);
        var world = new World(rig);
        rig.Tap.Keeps = false;
        byte[][] frames = [.. Enumerable.Range(0, 64).Select(i => i % 3 == 0 ? world.Datagram(0, false, 100, 0) : world.Segment(1, false, 1000, 2))];
        Walk(10);
        long least = long.MaxValue;
        for (int i = 0; i < 3; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            Walk(200);
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(0, least);
        Assert.True(rig.Counters.FramesJoined > 1000);
        Assert.Equal(ring, rig.Counters.RingBatches > 100);

        void Walk(int rounds)
        {
            for (int round = 0; round < rounds; round++)
            {
                foreach (byte[] frame in frames)
                {
                    rig.Tap.PutWhole(frame);
                }

                rig.Settle();
            }
        }
    }

    [Fact]
    public void Read_together_frames_go_the_same_ways_and_errors_and_odd_ones_are_counted_the_same()
    {
        using HostRig plain = MakeRig(Off);
        using HostRig ring = MakeRig(Off, ring: true);
        foreach (HostRig rig in (HostRig[])[plain, ring])
        {
            var world = new World(rig);
            for (int i = 0; i < 200; i++)
            {
                rig.Tap.PutWhole(world.Segment(i % Flows, i % 2 == 0, 100 + i, 0));
                rig.Tap.PutWhole(i % 50 == 7 ? new byte[10 + 5] : i % 50 == 8 ? new byte[FramePump.SlotSize] : world.Datagram(0, true, 50, 2));
            }

            rig.Settle();
            rig.Tap.ReadResult = -Errno.Ebadfd;
            Assert.False(rig.Host.Turn());
        }

        Assert.Equal(plain.Tap.Written, ring.Tap.Written);
        Assert.Equal((4, 4), (ring.Counters.ShortFrames, ring.Counters.TruncatedFrames));
        Assert.Equal(plain.Counters.FramesRead, ring.Counters.FramesRead);
        Assert.Equal(1, ring.Counters.ReadErrors);
        Assert.True(ring.Counters.RingBatches > 3);
    }

    [Fact]
    public void A_lone_packet_is_answered_before_the_device_is_asked_for_another()
    {
        using HostRig rig = MakeRig(ring: true);
        var world = new World(rig);
        for (int i = 0; i < 50; i++)
        {
            rig.Tap.PutWhole(world.Segment(0, false, 100, 0));
            rig.Settle();
        }

        Assert.Equal(0, rig.Counters.RingBatches);
    }

    private static HostRig MakeRig(
        string yaml = HostRig.Nonpersistent, TapOffloads offloads = TapOffloads.All, bool ring = false, IDataplaneObserver? observer = null) =>
        new(yaml, observer, tap: new MemoryTap { Offloads = offloads, HasRing = ring });

    // The pump reads as many frames as the last turn makes it expect: first so many others, which are not looked at.
    private static List<byte[]> TakeBatches(HostRig rig, int warm)
    {
        rig.Tap.PutFirst([.. Enumerable.Range(0, warm).Select(i => new byte[10].Concat(TestFrames.Udp(
            HostRig.Inside, HostRig.Server, (ushort)(5000 + i), 9, new byte[20])).ToArray())]);
        rig.Settle();
        return [.. rig.Tap.Written.Where(whole => !IsWarming(whole))];
    }

    private static bool IsWarming(byte[] whole) => whole[10 + 20] == 17 && BinaryPrimitives.ReadUInt16BigEndian(whole.AsSpan(10 + 56)) == 9;

    private static void Feed(HostRig rig, (byte Kind, byte Length, byte Odd, byte Mode)[] steps)
    {
        var world = new World(rig);
        foreach ((byte kind, byte length, byte odd, byte mode) in steps)
        {
            int flow = kind % Flows;
            int octets = (length & 7) switch { 0 => 1, 1 => 999, 2 => length * 5, _ => 1000 };
            byte[] whole = (kind / Flows % 4) switch
            {
                0 => world.Datagram(flow, (kind & 0x80) != 0, octets, mode & 3),
                _ => world.Segment(flow, (kind & 0x80) != 0, octets, mode & 3),
            };
            if (odd < Differences.Length)
            {
                Change(Differences[odd], whole);
            }

            rig.Tap.PutWhole(whole);
        }

        rig.Settle();
    }

    private static readonly string[] Differences =
    [
        "sequence", "push", "cwr", "urgent", "window", "acknowledgment", "hop limit", "traffic class", "flow label", "checksum",
        "partial checksum", "ece", "push", "checksum", "padded",
    ];

    private static void Change(string difference, byte[] whole)
    {
        Span<byte> frame = whole.AsSpan(10);
        bool isTcp = frame[20] == 6;
        bool isFinished = (whole[0] & 1) == 0;
        switch (difference)
        {
            case "checksum":
                frame[^1] ^= 1;
                whole[0] = 0;
                return;
            case "partial checksum":
                Ports(frame, whole);
                return;
            case "partial checksum called valid":
                Ports(frame, whole);
                whole[0] |= 2;
                return;
            case "superpacket":
                new VirtioNetHeader(0, 4, 74, 500, 0, 0).Write(whole);
                return;
            case "hop limit":
                frame[21]--;
                return;
            case "traffic class":
                frame[15] ^= 0x10;
                return;
            case "flow label":
                frame[17] ^= 1;
                return;
            case "padded":
                BinaryPrimitives.WriteUInt16BigEndian(frame[18..], (ushort)(BinaryPrimitives.ReadUInt16BigEndian(frame[18..]) - 2));
                break;
        }

        if (isTcp)
        {
            Span<byte> segment = frame[54..];
            (int at, int bits) = difference switch
            {
                "sequence" => (5, 1),
                "push" => (13, 8),
                "fin" => (13, 1),
                "ece" => (13, 0x40),
                "cwr" => (13, 0x80),
                "urgent" => (19, 1),
                "window" => (15, 1),
                "acknowledgment" => (11, 1),
                "options" or "option words" => (12, 0x30),
                _ => (4, 0),
            };
            segment[at] ^= (byte)bits;
        }

        if (isFinished)
        {
            World.Finish(frame);
        }
    }

    // A partial sum that is not the pseudo-header's: the device would finish it to a wrong checksum.
    private static void Ports(Span<byte> frame, Span<byte> whole)
    {
        byte offset = (byte)(frame[20] == 6 ? 16 : 6);
        new VirtioNetHeader(1, 0, 0, 0, 54, offset).Write(whole);
        BinaryPrimitives.WriteUInt16BigEndian(frame[(54 + offset)..], 0x1234);
    }

    private static void AssertSame(List<byte[]> expected, List<byte[]> written)
    {
        ILookup<string, byte[]> one = ByFlow(expected);
        ILookup<string, byte[]> other = ByFlow(written);
        Assert.Equal(one.Select(flow => flow.Key).Order(), other.Select(flow => flow.Key).Order());
        foreach (IGrouping<string, byte[]> flow in one)
        {
            Assert.Equal(flow, other[flow.Key]);
        }
    }

    private static ILookup<string, byte[]> ByFlow(List<byte[]> written) =>
        written.SelectMany(Segmenter.Finish).ToLookup(frame => Convert.ToHexString(frame.AsSpan(22, 36)) + frame[20]);
}

using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Tests.Support;
using Xunit;

namespace OnDemand.Dataplane.Tests.Flows;

public sealed class TcpTrackerTests
{
    /// <summary>RFC 7857 figure 1 as data: o… is a segment of the host, i… of the remote; the state after each.</summary>
    public static TheoryData<string, string> Lives => new()
    {
        { "oS iSA oA", "OpeningOut Established Established" },
        { "iS oSA iA", "OpeningIn Established Established" },
        { "oS iS oSA iSA oA", "OpeningOut Established Established Established Established" },                 // simultaneous open
        { "oS iSA oA oA iA", "OpeningOut Established Established Established Established" },
        { "oS iSA oA oFA iA iFA oA", "OpeningOut Established Established HostFin HostFin Closed Closed" },
        { "oS iSA oA iFA oA oFA iA", "OpeningOut Established Established RemoteFin RemoteFin Closed Closed" },
        { "oS iSA oA oFA iFA", "OpeningOut Established Established HostFin Closed" },                      // simultaneous close
        { "oS iSA oA oFA oFA iA", "OpeningOut Established Established HostFin HostFin HostFin" },          // FIN sent again
        { "oS iRA", "OpeningOut Reset" },
        { "oS iSA oR", "OpeningOut Established Reset" },
        { "oS iSA oA iR", "OpeningOut Established Established Reset" },
        { "oS iSA oA iR oA", "OpeningOut Established Established Reset Established" },                     // it was not the end (§2.2)
        { "oS iSA oA iR iA", "OpeningOut Established Established Reset Established" },
        { "oS iSA oA iFA iR", "OpeningOut Established Established RemoteFin Reset" },
        { "oS oS oS", "OpeningOut OpeningOut OpeningOut" },
        { "oS oA", "OpeningOut OpeningOut" },                                                             // one side alone opens nothing
        { "iS oRA", "OpeningIn Reset" },
        { "oA iA", "Established Established" },                                                           // picked up in the middle
        { "oFA iA iFA", "HostFin HostFin Closed" },
    };

    [Theory]
    [MemberData(nameof(Lives))]
    [Rfc(7857, "2")]
    [Rfc(6146, "3.5.2")]
    public void The_states_follow_the_figure(string segments, string states)
    {
        string[] steps = segments.Split(' ');
        FlowEntry entry = Begin(steps[0]);
        List<FlowState> seen = [];
        foreach (string step in steps)
        {
            Step(ref entry, step);
            seen.Add(entry.State);
        }

        Assert.Equal(states.Split(' ').Select(Enum.Parse<FlowState>), seen);
    }

    [Fact]
    [Rfc(5382, "5")]
    public void Every_opening_that_TCP_allows_ends_established()
    {
        foreach (string opening in new[] { "oS iSA oA", "iS oSA iA", "oS iS oSA iSA oA", "oS iS iSA oSA iA", "iS oS oSA iSA oA" })
        {
            FlowEntry entry = Begin(opening.Split(' ')[0]);
            foreach (string step in opening.Split(' '))
            {
                Step(ref entry, step);
            }

            Assert.Equal(FlowState.Established, entry.State);
        }
    }

    [Theory]
    [InlineData(1000u, 1000u, true)]
    [InlineData(1000u, 1001u, true)]
    [InlineData(1000u, 66_000u, true)]
    [InlineData(1000u, 999u, false)]
    [InlineData(1000u, 0x8000_0000u, false)]
    [InlineData(0xffff_ff00u, 0x0000_0010u, true)]
    [InlineData(0x0000_0010u, 0xffff_ff00u, false)]
    [InlineData(1000u, 1000u + (1 << 20) + 1, false)]
    [Rfc(5961, "3.2")]
    [Rfc(7857, "2.2")]
    public void A_reset_of_the_remote_counts_only_where_the_host_could_take_it(uint expected, uint sequence, bool counts)
    {
        FlowEntry entry = Begin("oA");
        TcpTracker.Outbound(ref entry, Segment("A", 5000, expected), 20);

        TcpTracker.Inbound(ref entry, Segment("R", sequence, 0), 20);

        Assert.Equal(counts ? FlowState.Reset : FlowState.Established, entry.State);
    }

    [Fact]
    [Rfc(5961, "3.2")]
    public void The_hosts_RCV_NXT_is_the_highest_acknowledgment_it_has_sent_also_across_the_wrap()
    {
        FlowEntry entry = Begin("oA");
        foreach (uint acknowledged in new[] { 0xffff_ff00u, 0xffff_fff0u, 0xffff_ff80u, 0x10u, 0xffff_fff8u })
        {
            TcpTracker.Outbound(ref entry, Segment("A", 1, acknowledged), 20);
        }

        Assert.Equal(0x10u, entry.ReceiveNext);
        Assert.True(entry.Marks.HasFlag(FlowMarks.ReceiveKnown));
    }

    [Fact]
    public void Before_the_host_acknowledges_anything_its_RCV_NXT_is_the_end_of_the_remotes_segment()
    {
        FlowEntry entry = Begin("iS");
        TcpTracker.Inbound(ref entry, Segment("S", 7000, 0), 20);
        Assert.Equal(7001u, entry.ReceiveNext);

        FlowEntry middle = Begin("iA");
        TcpTracker.Inbound(ref middle, Segment("FA", 0xffff_fffe, 0), 120);
        Assert.Equal(99u, middle.ReceiveNext);   // 100 octets and the FIN, across the wrap
        Assert.False(middle.Marks.HasFlag(FlowMarks.ReceiveKnown));
    }

    [Theory]
    [InlineData("S", 100u, 20, 101u)]
    [InlineData("A", 100u, 20, 100u)]
    [InlineData("PA", 100u, 1020, 1100u)]
    [InlineData("FPA", 100u, 1020, 1101u)]
    [InlineData("A", 0xffff_ff00u, 1020, 744u)]
    [Rfc(9293, "3.4")]
    public void The_hosts_SND_NXT_counts_data_SYN_and_FIN(string flags, uint sequence, int length, uint next)
    {
        FlowEntry entry = Begin("oA");

        TcpTracker.Outbound(ref entry, Segment(flags, sequence, 0), length);

        Assert.Equal(next, entry.SendNext);
    }

    [Fact]
    public void A_segment_sent_again_does_not_take_SND_NXT_back()
    {
        FlowEntry entry = Begin("oA");
        TcpTracker.Outbound(ref entry, Segment("PA", 1000, 0), 520);
        TcpTracker.Outbound(ref entry, Segment("PA", 1000, 0), 120);

        Assert.Equal(1500u, entry.SendNext);
    }

    [Fact]
    public void A_header_that_says_it_is_longer_than_the_segment_has_no_data()
    {
        FlowEntry entry = Begin("oA");
        byte[] segment = Segment("A", 1000, 0);
        segment[12] = 15 << 4;

        TcpTracker.Outbound(ref entry, segment, 20);

        Assert.Equal(1000u, entry.SendNext);
    }

    [Fact]
    public void The_faster_way_to_note_a_segment_notes_what_the_other_one_does()
    {
        uint[] near = [0u, 1u, 0x7fff_ffffu, 0x8000_0000u, 0x8000_0001u, 0xffff_ff00u, 0xffff_ffffu];
        foreach (uint known in near)
        {
            foreach (uint noted in near)
            {
                const FlowMarks marks = FlowMarks.SendKnown | FlowMarks.ReceiveKnown | FlowMarks.HostSyn;
                var entry = new FlowEntry { State = FlowState.Established, Marks = marks, SendNext = known, ReceiveNext = known };
                FlowEntry other = entry;
                TcpTracker.NoteSent(ref entry, noted, TcpTracker.Ack, noted + 1);
                TcpTracker.NoteSentMore(ref other, noted, noted + 1);

                Assert.Equal((entry.SendNext, entry.ReceiveNext, entry.Marks), (other.SendNext, other.ReceiveNext, other.Marks));
            }
        }
    }

    [Fact]
    public void The_faster_way_is_for_segments_that_change_nothing_else()
    {
        for (int marks = 0; marks <= byte.MaxValue; marks++)
        {
            for (int flags = 0; flags <= byte.MaxValue; flags++)
            {
                var entry = new FlowEntry { State = FlowState.Established, Marks = (FlowMarks)marks, SendNext = 2000, ReceiveNext = 3000 };
                FlowEntry other = entry;
                byte[] segment = Segment("A", 2000, 3000);
                segment[13] = (byte)flags;
                bool isRewritten = (entry.Marks & (FlowMarks.Native | FlowMarks.Hairpin)) == 0;

                TcpTracker.Outbound(ref entry, segment, 20);
                Assert.False(GoesOn(other.Marks, (byte)flags, inbound: false) && !(isRewritten && Same(entry, other)), $"{marks} {flags}");
                entry = other;
                TcpTracker.Inbound(ref entry, segment, 20);
                Assert.False(GoesOn(other.Marks, (byte)flags, inbound: true) && !(isRewritten && Same(entry, other)), $"{marks} {flags}");
            }
        }

        static bool Same(in FlowEntry one, in FlowEntry other) => one.State == other.State && one.Marks == other.Marks
            && one.SendNext == other.SendNext && one.ReceiveNext == other.ReceiveNext && one.ReceiveGuessed == other.ReceiveGuessed;
    }

    [Theory]
    [InlineData(true, true, TcpTracker.Ack, true, true)]
    [InlineData(true, true, TcpTracker.Ack | 0x08, true, true)]
    [InlineData(true, true, 0, false, true)]
    [InlineData(false, true, TcpTracker.Ack, false, true)]
    [InlineData(true, false, TcpTracker.Ack, false, false)]
    [InlineData(true, true, TcpTracker.Ack | TcpTracker.Rst, false, false)]
    public void A_segment_of_a_known_connection_goes_the_faster_way(bool sendKnown, bool receiveKnown, byte flags, bool outbound, bool inbound)
    {
        FlowMarks marks = FlowMarks.HostSyn | FlowMarks.Inbound
            | (sendKnown ? FlowMarks.SendKnown : FlowMarks.None) | (receiveKnown ? FlowMarks.ReceiveKnown : FlowMarks.None);

        Assert.Equal(outbound, GoesOn(marks, flags, inbound: false));
        Assert.Equal(inbound, GoesOn(marks, flags, inbound: true));
        Assert.False(GoesOn(marks | FlowMarks.Native, flags, inbound: false) || GoesOn(marks | FlowMarks.Hairpin, flags, inbound: true));
    }

    private static bool GoesOn(FlowMarks marks, byte flags, bool inbound) => TcpTracker.IsKnown(marks, inbound) && TcpTracker.IsPlain(flags, inbound);

    private static FlowEntry Begin(string step) =>
        new() { State = TcpTracker.Begin(Flags(step[1..]), inbound: step[0] == 'i') };

    private static void Step(ref FlowEntry entry, string step)
    {
        if (step[0] == 'o')
        {
            TcpTracker.Outbound(ref entry, Segment(step[1..], 1000, 2000), 20);
        }
        else
        {
            TcpTracker.Inbound(ref entry, Segment(step[1..], 2000, 1000), 20);
        }
    }

    private static byte[] Segment(string flags, uint sequence, uint acknowledgment) =>
        Frames.Tcp(Frames.Host, 1, Frames.Server, 2, (TcpControl)Flags(flags), sequence, acknowledgment).Upper;

    private static byte Flags(string letters) => (byte)letters.Sum(letter => letter switch
    {
        'F' => TcpTracker.Fin,
        'S' => TcpTracker.Syn,
        'R' => TcpTracker.Rst,
        'A' => TcpTracker.Ack,
        _ => 0x08,
    });
}

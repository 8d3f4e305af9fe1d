using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests;

/// <summary>What a remote would have sent, where a capture shows the internal address.</summary>
public sealed class RemoteViewTests
{
    private readonly EngineRig _rig = new(EngineRig.Options(AddressType.Nonpersistent));

    [Theory]
    [InlineData(IpProtocol.Udp, ChecksumState.Right)]
    [InlineData(IpProtocol.Udp, ChecksumState.Partial)]
    [InlineData(IpProtocol.Udp, ChecksumState.Absent)]
    [InlineData(IpProtocol.Tcp, ChecksumState.Right)]
    [InlineData(IpProtocol.Tcp, ChecksumState.Partial)]
    public void The_faster_way_gives_what_the_other_one_does_and_it_comes_in_as_what_it_was(byte protocol, ChecksumState checksum)
    {
        _rig.Attach(EngineRig.NonpersistentPrefix);
        IpAddress typed = Begin(_rig, protocol);
        TestFrame frame = Answer(protocol) with { Checksum = checksum, Link = LinkHeader.Ethernet };
        byte[] fast = frame.Build();
        byte[] slow = frame.Build();
        byte[] proof = new byte[DataplaneEngine.ProofLength];

        Assert.Equal(RemoteView.Rewritten, _rig.Engine.ViewAsRemote(slow, frame.Info, _rig.Now, out IpAddress external));
        Assert.Equal(1, Handle(_rig.Engine, fast, Captured(frame, _rig.Now), proof));

        Assert.Equal((frame with { Destination = typed }).Build(), fast);
        Assert.Equal(fast, slow);
        Assert.Equal(typed, external);
        Assert.Equal(frame.Build()[frame.NetworkOffset..], proof[(proof.Length / 2)..]);
        (Verdict verdict, byte[] after) = _rig.Send(slow, frame.Info, inbound: true);
        Assert.Equal(ForwardReason.Rewritten, verdict.Forward);
        Assert.Equal(frame.Build(), after);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_faster_way_leaves_what_comes_when_something_falls_due_to_the_other_one(bool inbound)
    {
        _rig.Attach(EngineRig.NonpersistentPrefix);
        _ = Begin(_rig, IpProtocol.Udp);
        TestFrame frame = inbound ? Answer(IpProtocol.Udp) : Question(IpProtocol.Udp);
        byte[] octets = frame.Build();
        Timestamp due = _rig.Engine.NextDeadline;

        Assert.Equal(0, Handle(due));
        Assert.Equal(frame.Build(), octets);
        Assert.Equal(1, Handle(new Timestamp(due.Nanoseconds - 1)));
        Assert.NotEqual(frame.Build(), octets);

        int Handle(Timestamp now) => RemoteViewTests.Handle(_rig.Engine, octets, Captured(frame, now), new byte[DataplaneEngine.ProofLength]);
    }

    [Theory]
    [InlineData(TcpControl.Syn, true)]
    [InlineData(TcpControl.Ack, false)]
    public void What_a_remote_begins_goes_to_an_address_that_it_may_reach_and_what_goes_on_to_the_one_that_the_host_would_get(
        TcpControl flags, bool isFixed)
    {
        _rig.Engine.Attach(
            1,
            [
                EngineRig.Of(EngineRig.NonpersistentPrefix),
                new PrefixAdvertisement(EngineRig.FixedPrefix, AddressType.Fixed, Duration.FromSeconds(10), Duration.FromSeconds(1000)),
            ],
            null, _rig.Now);
        _rig.Pass(20_000);                           // the fixed prefix is no longer preferred; it can still be reached
        TestFrame frame = Frames.Tcp(Frames.Server, 443, Frames.Host, 5000, flags);

        Assert.Equal(RemoteView.Rewritten, _rig.Engine.ViewAsRemote(frame.Build(), frame.Info, _rig.Now, out IpAddress external));

        Assert.True((isFixed ? EngineRig.FixedPrefix : EngineRig.NonpersistentPrefix).Contains(external));
    }

    [Fact]
    public void What_cannot_be_rewritten_stays_as_it_is()
    {
        const byte esp = 50;
        _rig.Attach(EngineRig.NonpersistentPrefix);
        TestFrame frame = Frames.Other(Frames.Server, Frames.Host, esp);
        byte[] octets = frame.Build();

        Assert.Equal(RemoteView.Unchanged, _rig.Engine.ViewAsRemote(octets, frame.Info, _rig.Now, out _));

        Assert.Equal(frame.Build(), octets);
    }

    [Fact]
    [Rfc(8653, "3.2")]
    public void Within_the_window_what_a_flow_has_is_seen_at_its_old_address_and_what_would_be_new_at_the_new_one()
    {
        var rig = new EngineRig(EngineRig.Options(AddressType.GracefulReplacement));
        rig.Attach(EngineRig.GracefulPrefix);
        IpAddress old = Begin(rig, IpProtocol.Tcp);
        rig.Outbound(Question(IpProtocol.Tcp, TcpControl.Fin | TcpControl.Ack));
        rig.Inbound(Answer(IpProtocol.Tcp, TcpControl.Fin | TcpControl.Ack) with { Destination = old });
        IpAddress oldOfDatagrams = Begin(rig, IpProtocol.Udp);
        rig.Attach(EngineRig.OtherGracefulPrefix);

        Assert.Equal(old, View(Answer(IpProtocol.Tcp)));             // closed, but seen once more
        Assert.Equal(oldOfDatagrams, View(Answer(IpProtocol.Udp)));
        Assert.True(EngineRig.OtherGracefulPrefix.Contains(View(Answer(IpProtocol.Tcp, TcpControl.Syn))));
        Assert.True(EngineRig.OtherGracefulPrefix.Contains(View(Answer(IpProtocol.Udp) with { Source = Frames.OtherServer })));

        IpAddress View(TestFrame frame)
        {
            Assert.Equal(RemoteView.Rewritten, rig.Engine.ViewAsRemote(frame.Build(), frame.Info, rig.Now, out IpAddress external));
            return external;
        }
    }

    private static int Handle(DataplaneEngine engine, byte[] octets, CapturedSlot slot, byte[] proof)
    {
        CapturedSlot[] slots = [slot];
        engine.LookAtCaptured(octets, slots);
        return engine.HandleCaptured(octets, slots, 0, proof);
    }

    private static CapturedSlot Captured(TestFrame frame, Timestamp time) => new()
    {
        Length = frame.Build().Length,
        NetworkOffset = frame.NetworkOffset,
        PartialChecksum = frame.Checksum == ChecksumState.Partial,
        Time = time,
    };

    private static TestFrame Question(byte protocol, TcpControl flags = TcpControl.Ack) => protocol == IpProtocol.Tcp
        ? Frames.Tcp(Frames.Host, 5000, Frames.Server, 443, flags, 1000) : Frames.Udp(Frames.Host, 5000, Frames.Server, 443);

    private static TestFrame Answer(byte protocol, TcpControl flags = TcpControl.Ack) => protocol == IpProtocol.Tcp
        ? Frames.Tcp(Frames.Server, 443, Frames.Host, 5000, flags, 5000) : Frames.Udp(Frames.Server, 443, Frames.Host, 5000);

    private static IpAddress Begin(EngineRig rig, byte protocol)
    {
        IpAddress typed = rig.SourceOf(Question(protocol, TcpControl.Syn));
        if (protocol == IpProtocol.Tcp)
        {
            rig.Inbound(Answer(protocol, TcpControl.Syn | TcpControl.Ack) with { Destination = typed });
            rig.Outbound(Question(protocol));
        }

        return typed;
    }
}

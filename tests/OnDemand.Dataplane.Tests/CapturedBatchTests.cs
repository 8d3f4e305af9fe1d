using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests;

/// <summary>Batches of a capture's packets: what one look sees need not be so any more when its turn comes.</summary>
public sealed class CapturedBatchTests
{
    private static readonly TestFrame First = Frames.Udp(Frames.Host, 1000, Frames.Server, 53);
    private static readonly TestFrame Other = Frames.Udp(Frames.Host, 2000, Frames.Server, 53);
    private static readonly TestFrame Answer = Frames.Udp(Frames.Server, 53, Frames.Host, 2000);

    private readonly EngineRig _rig = new(EngineRig.Options(AddressType.Nonpersistent));
    private readonly byte[] _proofs = new byte[4 * DataplaneEngine.ProofLength];

    [Fact]
    public void A_flow_that_an_uncommon_packet_opens_serves_those_behind_it_in_the_batch()
    {
        _rig.Attach(EngineRig.NonpersistentPrefix);
        _ = _rig.Outbound(First);
        byte[] octets = Lay([First, Other, Other, Answer], out CapturedSlot[] slots);

        _rig.Engine.LookAtCaptured(octets, slots);
        Assert.Equal(1, _rig.Engine.HandleCaptured(octets, slots, 0, _proofs));
        Assert.Equal(ForwardReason.Rewritten, _rig.Engine.HandleOutbound(FrameOf(octets, slots[1]), new FrameInfo(slots[1].NetworkOffset), _rig.Now).Forward);
        Assert.Equal(2, _rig.Engine.HandleCaptured(octets, slots, 2, _proofs));

        Assert.Equal(slots[2].Flow, slots[3].Flow);
        Assert.NotEqual(slots[0].Flow, slots[2].Flow);
        Assert.Equal([false, false, true], [slots[0].Inbound, slots[2].Inbound, slots[3].Inbound]);
        Assert.Equal(FrameOf(octets, slots[1]).ToArray(), FrameOf(octets, slots[2]).ToArray());
    }

    [Fact]
    public void After_a_move_in_the_midst_of_a_batch_nothing_of_the_first_look_is_used()
    {
        _rig.Attach(EngineRig.NonpersistentPrefix);
        _ = _rig.Outbound(First);
        _ = _rig.Outbound(Other);
        byte[] octets = Lay([First, First with { Protocol = IpProtocol.NoNextHeader }, Other], out CapturedSlot[] slots);
        byte[] before = [.. octets];

        _rig.Engine.LookAtCaptured(octets, slots);
        Assert.Equal(1, _rig.Engine.HandleCaptured(octets, slots, 0, _proofs));
        _rig.Attach(EngineRig.FixedPrefix);

        Assert.Equal(0, _rig.Engine.HandleCaptured(octets, slots, 2, _proofs));
        Assert.Equal(FrameOf(before, slots[2]).ToArray(), FrameOf(octets, slots[2]).ToArray());
    }

    [Fact]
    public void What_is_not_common_is_passed_by_and_the_rest_handled()
    {
        _rig.Attach(EngineRig.NonpersistentPrefix);
        _ = _rig.Outbound(First);
        byte[] octets = Lay([First with { Protocol = IpProtocol.NoNextHeader }, First, First], out CapturedSlot[] slots);

        _rig.Engine.LookAtCaptured(octets, slots);

        Assert.Equal(0, _rig.Engine.HandleCaptured(octets, slots, 0, _proofs));
        Assert.Equal(2, _rig.Engine.HandleCaptured(octets, slots, 1, _proofs));
    }

    [Fact]
    public void Slots_that_were_not_looked_at_and_proofs_without_room_are_refused()
    {
        byte[] octets = Lay([First, First], out CapturedSlot[] slots);
        Assert.Throws<ArgumentException>(() => _rig.Engine.HandleCaptured(octets, slots, 0, _proofs));
        _rig.Engine.LookAtCaptured(octets, slots);
        Assert.Throws<ArgumentException>(() => _rig.Engine.HandleCaptured(octets, slots.AsSpan(1), 0, _proofs));
        Assert.Throws<ArgumentException>(() => _rig.Engine.HandleCaptured(octets, slots, 0, _proofs.AsSpan(1, DataplaneEngine.ProofLength)));
        Assert.Throws<ArgumentException>(() => _rig.Engine.LookAtCaptured(octets, new CapturedSlot[DataplaneEngine.MaximumCaptured + 1]));
    }

    private static Span<byte> FrameOf(byte[] octets, in CapturedSlot slot) => octets.AsSpan(slot.Offset, slot.Length);

    private byte[] Lay(TestFrame[] frames, out CapturedSlot[] slots)
    {
        List<byte> octets = [];
        slots = new CapturedSlot[frames.Length];
        for (int i = 0; i < frames.Length; i++)
        {
            byte[] frame = frames[i].Build();
            slots[i] = new CapturedSlot { Offset = octets.Count, Length = frame.Length, NetworkOffset = frames[i].NetworkOffset, Time = _rig.Now };
            octets.AddRange(frame);
        }

        return [.. octets];
    }
}

using FsCheck;
using FsCheck.Fluent;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Tests.Fuzz;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Properties;

public sealed class EngineProperties
{
    private static readonly List<FrameSeed> Corpus = FrameCorpus.All();

    private static Config Many => Config.QuickThrowOnFailure.WithMaxTest(TestScale.Times(100));

    [Fact]
    [Rfc(4787, "12")]
    public void The_same_calls_with_the_same_seeds_give_the_same_octets_and_another_seed_gives_other_addresses() =>
        Check.One(Many, Prop.ForAll(AnyFrame.Numbers(), numbers =>
        {
            (List<Verdict> verdicts, List<byte[]> frames, List<byte[]> outputs) = Walk(numbers, seed: 5);
            (List<Verdict> again, List<byte[]> framesAgain, List<byte[]> outputsAgain) = Walk(numbers, seed: 5);

            Assert.Equal(verdicts, again);
            Assert.Equal(frames, framesAgain);
            Assert.Equal(outputs, outputsAgain);
        }));

    [Fact]
    public void Another_address_seed_gives_other_addresses()
    {
        IpAddress one = AddressOf(1);
        IpAddress other = AddressOf(2);

        Assert.NotEqual(one, other);
        Assert.Equal(one, AddressOf(1));
    }

    [Fact]
    public void A_batch_gives_the_verdicts_and_octets_that_its_frames_give_one_by_one() =>
        Check.One(Many, Prop.ForAll(AnyFrame.Numbers(), numbers =>
        {
            EngineRig single = Rig(9);
            EngineRig batch = Rig(9);
            FrameSeed[] seeds = [.. Enumerable.Range(0, 24).Select(index => Corpus[(numbers[index % 8] + (index * 131)) % Corpus.Count])];
            byte[] buffer = new byte[seeds.Sum(seed => seed.Frame.Length)];
            var slots = new FrameSlot[seeds.Length];
            int offset = 0;
            for (int index = 0; index < seeds.Length; index++)
            {
                FrameSeed seed = seeds[index];
                seed.Frame.CopyTo(buffer, offset);
                slots[index] = new FrameSlot
                {
                    Offset = offset,
                    Length = seed.Frame.Length,
                    Inbound = seed.Inbound,
                    Info = new FrameInfo(seed.NetworkOffset, Tag: index + 1)
                };
                offset += seed.Frame.Length;
            }

            batch.Engine.HandleBatch(buffer, slots, batch.Now);
            batch.Drain();
            for (int index = 0; index < seeds.Length; index++)
            {
                (Verdict verdict, byte[] after) = single.Send(seeds[index].Frame, new FrameInfo(seeds[index].NetworkOffset),
                    seeds[index].Inbound);
                Assert.Equal(verdict, slots[index].Verdict);
                if (verdict.Kind == VerdictKind.Forward)
                {
                    Assert.Equal(after, buffer.AsSpan(slots[index].Offset, slots[index].Length).ToArray());
                }
            }

            Assert.Equal(single.Outputs.Select(output => output.Frame), batch.Outputs.Select(output => output.Frame));
        }));

    [Theory]
    [InlineData(DropReason.FlowTableFull)]
    [InlineData(DropReason.BindingTableFull)]
    [Rfc(5508, "7")]
    public void Flows_that_are_there_go_on_when_a_table_is_full_and_new_ones_are_answered(DropReason full)
    {
        DataplaneOptions options = EngineRig.Options(AddressType.Nonpersistent);
        options = full == DropReason.FlowTableFull ? options with { MaximumFlows = 8 } : options with { MaximumBindings = 8 };
        var rig = new EngineRig(options);
        rig.Attach(EngineRig.NonpersistentPrefix);
        TestFrame[] flows = [.. Enumerable.Range(0, 8).Select(index => Frames.Udp(Frames.Host, (ushort)(1000 + index), Frames.Server, 80))];
        IpAddress[] sources = [.. flows.Select(rig.SourceOf)];

        (Verdict refused, _) = rig.Outbound(Frames.Udp(Frames.Host, 2000, Frames.Server, 80));

        Assert.Equal((VerdictKind.Reply, full), (refused.Kind, refused.Drop));
        (OutputFrame answer, byte[] error) = Assert.Single(rig.Outputs);
        Assert.Equal((OutputKind.Icmpv6Error, 1, 1), (answer.Kind, error[40], error[41]));
        Assert.Equal(sources, flows.Select(rig.SourceOf));
        foreach ((TestFrame flow, IpAddress source) in flows.Zip(sources))
        {
            ushort port = (ushort)((flow.Upper[0] << 8) | flow.Upper[1]);
            Assert.Equal(VerdictKind.Forward, rig.Inbound(Frames.Udp(Frames.Server, 80, source, port)).Verdict.Kind);
        }
    }

    private static IpAddress AddressOf(ulong seed) => Rig(seed).SourceOf(Frames.Udp(Frames.Host, 1000, Frames.Server, 80));

    private static EngineRig Rig(ulong seed)
    {
        var rig = new EngineRig(EngineRig.Options(AddressType.Nonpersistent) with { AddressSeed = seed });
        rig.Engine.Attach(
            1, [EngineRig.Of(EngineRig.NonpersistentPrefix), new PrefixAdvertisement(FrameCorpus.TypedPrefix,
                AddressType.Nonpersistent)], null, rig.Now);
        rig.Drain();
        return rig;
    }

    private static (List<Verdict> Verdicts, List<byte[]> Frames, List<byte[]> Outputs) Walk(int[] numbers, ulong seed)
    {
        EngineRig rig = Rig(seed);
        List<Verdict> verdicts = [];
        List<byte[]> frames = [];
        for (int index = 0; index < 60; index++)
        {
            FrameSeed start = Corpus[(numbers[index % 8] + (index * 37)) % Corpus.Count];
            (Verdict verdict, byte[] after) = rig.Send(start.Frame, new FrameInfo(start.NetworkOffset), start.Inbound);
            verdicts.Add(verdict);
            frames.Add(after);
            if (index % 20 == 19)
            {
                rig.Attach(index % 40 == 19 ? EngineRig.OtherNonpersistentPrefix : EngineRig.GracefulPrefix);
                rig.Pass(1000);
            }
        }

        return (verdicts, frames, [.. rig.Outputs.Select(output => output.Frame)]);
    }
}

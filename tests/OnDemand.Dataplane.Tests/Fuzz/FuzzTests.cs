using System.Globalization;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Fuzz;

/// <summary>
/// Mutated frames. Two engines with the same past get the same frame inside different surroundings: what one of them reads beside the
/// frame would tell them apart, and what it writes there is seen. <c>ONDEMAND_FUZZ_FRAMES</c> says how many.
/// </summary>
public sealed class FuzzTests
{
    private const int DefaultFrames = 300_000;
    private const int Guard = 64;
    private const int Longest = 2048;
    private const int BetweenEvents = 512;

    public static TheoryData<int> Variants => [0, 1, 2, 3];

    private static int Count =>
        int.TryParse(Environment.GetEnvironmentVariable("ONDEMAND_FUZZ_FRAMES"), NumberStyles.None, CultureInfo.InvariantCulture,
            out int count)
            ? count
            : DefaultFrames;

    [Theory]
    [MemberData(nameof(Variants))]
    [Rfc(8200, "4")]
    public void No_frame_makes_the_engine_throw_read_or_write_beside_the_frame_or_send_an_internal_source(int variant)
    {
        var mutator = new FrameMutator(FrameCorpus.All(), seed: 1000 + variant);
        var one = new FuzzSubject(Options(variant), guard: 0x00);
        var other = new FuzzSubject(Options(variant), guard: 0xff);
        int frames = Math.Max(1, Count / Variants.Count);
        for (int index = 0; index < frames; index++)
        {
            if (index % BetweenEvents == 0)
            {
                int number = index / BetweenEvents;
                one.Happen(number);
                other.Happen(number);
            }

            int length = mutator.Next(Longest, out bool inbound, out FrameInfo info);
            Verdict verdict = one.Handle(mutator.Frame[..length], info, inbound);
            Verdict same = other.Handle(mutator.Frame[..length], info, inbound);
            if (verdict != same || !one.Frame.SequenceEqual(other.Frame))
            {
                Assert.Fail($"What stands beside frame {index} matters: {verdict}, {same}, {Convert.ToHexString(mutator.Frame[..length])}");
            }

            if (verdict is { Kind: VerdictKind.Forward, Forward: ForwardReason.Rewritten } && !inbound
                && IsInternal(IpAddress.Read(one.Frame[(info.NetworkOffset + 8)..])))
            {
                Assert.Fail($"Frame {index} leaves with an internal source: {Convert.ToHexString(mutator.Frame[..length])}");
            }
        }

        Assert.True(one.Engine.Counters.Of(ForwardReason.Rewritten) > frames / 20,
            "Hardly a frame was rewritten: the corpus has gone astray.");
    }

    private static bool IsInternal(IpAddress address) => address.High >> 32 == Frames.Host.High >> 32;

    private static DataplaneOptions Options(int variant) => EngineRig.Options(AddressType.Nonpersistent) with
    {
        MaximumFlows = variant % 2 == 0 ? 64 : 1 << 14,
        MaximumBindings = variant % 2 == 0 ? 1 << 10 : 1 << 14,
        PickUpMidFlow = variant > 1,
        Untranslatable = variant % 2 == 0 ? UntranslatablePolicy.Drop : UntranslatablePolicy.Pass,
        NeutralTypes = (byte)(variant == 3 ? 0x1f : 0),
        Policy = new ServicePolicy(
            [new PolicyRule { Protocol = IpProtocol.Udp, Outcome = PolicyOutcome.OfType(AddressType.GracefulReplacement) }],
            [new InboundRule(AddressType.Nonpersistent)],
            PolicyOutcome.OfType(AddressType.Nonpersistent)),
    };

    /// <summary>An engine and a buffer at whose very end, inside guards, each frame is put.</summary>
    private sealed class FuzzSubject
    {
        private readonly byte[] _buffer = new byte[Guard + Longest + Guard];
        private readonly byte[] _output;
        private readonly byte _guard;
        private int _length;
        private Timestamp _now = Timestamp.FromSeconds(1);

        public FuzzSubject(DataplaneOptions options, byte guard)
        {
            Engine = new DataplaneEngine(options, _now);
            _output = new byte[Engine.MaximumOutputLength];
            _guard = guard;
            _buffer.AsSpan().Fill(guard);
        }

        public DataplaneEngine Engine { get; }

        public ReadOnlySpan<byte> Frame => _buffer.AsSpan(Guard + Longest - _length, _length);

        public Verdict Handle(ReadOnlySpan<byte> frame, FrameInfo info, bool inbound)
        {
            Span<byte> before = _buffer.AsSpan(Longest - frame.Length, Guard);
            before.Fill(_guard);
            Span<byte> place = _buffer.AsSpan(Guard + Longest - frame.Length, frame.Length);
            _length = frame.Length;
            frame.CopyTo(place);
            FrameInfo tagged = info with { Tag = frame.Length };
            Verdict verdict = inbound ? Engine.HandleInbound(place, tagged, _now) : Engine.HandleOutbound(place, tagged, _now);
            if (before.ContainsAnyExcept(_guard) || _buffer.AsSpan(Guard + Longest).ContainsAnyExcept(_guard))
            {
                Assert.Fail($"Something was written beside the frame {Convert.ToHexString(frame)}.");
            }

            Drain();
            return verdict;
        }

        public void Happen(int number)
        {
            _now = _now.Add(Duration.FromMilliseconds(number % 7 == 0 ? 70_000 : 300));
            Engine.Advance(_now);
            switch (number % 5)
            {
                case 0:
                    Engine.Attach(
                        (ulong)number,
                        [new PrefixAdvertisement(FrameCorpus.TypedPrefix, AddressType.Nonpersistent),
                            EngineRig.Of(number % 2 == 0 ? EngineRig.GracefulPrefix : EngineRig.OtherGracefulPrefix)],
                        Duration.FromSeconds(1),
                        _now);
                    break;
                case 3:
                    Engine.Withdraw(EngineRig.GracefulPrefix, Duration.Zero, _now);
                    break;
            }

            while (Engine.TryTakePrefixRequest(out PrefixRequest question))
            {
                Engine.Answer(new PrefixAnswer(question.Id, PrefixAnswerKind.Granted, EngineRig.Of(EngineRig.GracefulPrefix)), _now);
            }

            Drain();
        }

        private void Drain()
        {
            while (Engine.TryTakeOutput(_output, _now, out OutputFrame info, out int length))
            {
                if (info.Kind == OutputKind.Released && length != info.Tag)
                {
                    Assert.Fail($"A frame of {info.Tag} octets was held and {length} were released.");
                }
            }
        }
    }
}

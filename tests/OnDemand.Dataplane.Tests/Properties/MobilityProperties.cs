using FsCheck;
using FsCheck.Fluent;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Tests.Model;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Properties;

public sealed class MobilityProperties
{
    private static readonly IpPrefix[] Given =
    [
        EngineRig.NonpersistentPrefix, EngineRig.OtherNonpersistentPrefix, EngineRig.GracefulPrefix, EngineRig.OtherGracefulPrefix,
        EngineRig.SessionLastingPrefix, EngineRig.FixedPrefix,
    ];

    private static Config Many => Config.QuickThrowOnFailure.WithMaxTest(TestScale.Times(300));

    [Fact]
    [Rfc(8653, "3.4")]
    public void No_packet_leaves_from_an_address_of_another_type_than_the_socket_asked_for() =>
        Check.One(Many, Prop.ForAll(AnyFrame.Numbers(), AnyFrame.Numbers(), (networks, numbers) =>
        {
            var type = (AddressType)(1 + (numbers[7] % 4));
            var rig = new EngineRig(EngineRig.Options(type));
            foreach (int network in networks)
            {
                rig.Attach(Duration.FromSeconds(network % 3), [.. Given.Where((_, index) => World.Bit(network, index))]);
                (Verdict verdict, byte[] after) = rig.Outbound(AnyFrame.Of(numbers, Frames.Host, Frames.Server, outbound: true));
                AssertType(verdict, after, numbers, type);
                rig.Pass(network % 5000);
                AnswerAll(rig, network);
                (verdict, after) = rig.Outbound(AnyFrame.Of(numbers, Frames.Host, Frames.Server, outbound: true));
                AssertType(verdict, after, numbers, type);
            }
        }));

    [Fact]
    [Rfc(8653, "3.2")]
    public void Inside_the_window_no_packet_of_an_old_flow_is_lost_and_after_it_none_leaves_from_the_old_prefix() =>
        Check.One(Many, Prop.ForAll(AnyFrame.Numbers(), numbers =>
        {
            var rig = new EngineRig(EngineRig.Options(AddressType.GracefulReplacement));
            rig.Attach(EngineRig.GracefulPrefix);
            TestFrame first = AnyFrame.Of(numbers, Frames.Host, Frames.Server, outbound: true);
            IpAddress old = rig.SourceOf(first);
            rig.Inbound(AnyFrame.Of(numbers, old, Frames.Server, outbound: false));
            TestFrame next = first.Protocol == IpProtocol.Tcp ? Answering(numbers) : first;
            rig.Outbound(next);

            rig.Attach(Duration.FromSeconds(10), EngineRig.OtherGracefulPrefix);
            for (int quarter = 0; quarter < 4; quarter++)
            {
                Assert.Equal(old, rig.SourceOf(next));
                (Verdict back, _) = rig.Inbound(AnyFrame.Of(numbers, old, Frames.Server, outbound: false));
                Assert.Equal(VerdictKind.Forward, back.Kind);
                rig.Pass(2499);
            }

            rig.Pass(4);
            (Verdict verdict, byte[] after) = rig.Outbound(next);
            Assert.True(
                verdict.Kind != VerdictKind.Forward
                    || EngineRig.OtherGracefulPrefix.Contains(IpAddress.Read(after.AsSpan(next.NetworkOffset + 8))),
                "The old prefix is still used.");
            Assert.Equal(first.Protocol == IpProtocol.Tcp ? VerdictKind.Reply : VerdictKind.Forward, verdict.Kind);
        }));

    [Fact]
    [Rfc(8653, "4.2")]
    public void The_network_is_never_asked_for_a_socket_that_asked_for_nothing() =>
        Check.One(Many, Prop.ForAll(AnyFrame.Numbers(), AnyFrame.Numbers(), (networks, numbers) =>
        {
            var rig = new EngineRig(EngineRig.Options());
            foreach (int network in networks)
            {
                if (network % 4 == 0)
                {
                    rig.Engine.Detach(rig.Now);
                }
                else
                {
                    rig.Attach([.. Given.Where((_, index) => World.Bit(network, index + 3))]);
                }

                rig.Outbound(AnyFrame.Of(numbers, Frames.Host, Frames.Server, outbound: true));
                rig.Pass(network % 90_000);
            }

            Assert.Empty(rig.Questions);
        }));

    [Fact]
    [Rfc(4787, "12")]
    public void A_live_TCP_flow_is_never_given_another_source() =>
        Check.One(Many, Prop.ForAll(AnyFrame.Numbers(), AnyFrame.Numbers(), (networks, numbers) =>
        {
            numbers[3] = 0;
            var type = (AddressType)(numbers[7] % 5);
            var rig = new EngineRig(EngineRig.Options(type));
            rig.Attach(Given);
            IpAddress source = rig.SourceOf(AnyFrame.Of(numbers, Frames.Host, Frames.Server, outbound: true));
            rig.Inbound(AnyFrame.Of(numbers, source, Frames.Server, outbound: false));
            rig.Outbound(Answering(numbers));
            foreach (int network in networks)
            {
                rig.Attach(Duration.FromSeconds(network % 4), [.. Given.Where((_, index) => World.Bit(network, index))]);
                rig.Pass(network % 3000);
                AnswerAll(rig, network);
                (Verdict verdict, byte[] after) = rig.Outbound(Answering(numbers));
                if (verdict.Kind == VerdictKind.Forward)
                {
                    Assert.Equal(source, IpAddress.Read(after.AsSpan(Answering(numbers).NetworkOffset + 8)));
                }
            }
        }));

    [Fact]
    public void An_answer_that_is_unknown_late_or_given_twice_changes_nothing() =>
        Check.One(Many, Prop.ForAll(AnyFrame.Numbers(), numbers =>
        {
            var rig = new EngineRig(EngineRig.Options(AddressType.SessionLasting));
            rig.Attach(EngineRig.NonpersistentPrefix);
            rig.Outbound(AnyFrame.Of(numbers, Frames.Host, Frames.Server, outbound: true));
            PrefixRequest asked = Assert.Single(rig.Questions);
            bool late = numbers[6] % 2 == 0;
            rig.Pass(late ? 10_001 : 1);
            var granted = new PrefixAnswer(asked.Id, PrefixAnswerKind.Granted, EngineRig.Of(EngineRig.SessionLastingPrefix));
            if (!late)
            {
                rig.Engine.Answer(granted, rig.Now);
            }

            rig.Drain();
            int outputs = rig.Outputs.Count;
            int flows = rig.Engine.FlowCount;

            rig.Engine.Answer(granted with
            {
                Prefix = new PrefixAdvertisement(IpPrefix.Parse("2001:db8:bad::/64"),
                AddressType.SessionLasting)
            }, rig.Now);
            rig.Engine.Answer(granted with { Kind = PrefixAnswerKind.Unsupported }, rig.Now);
            rig.Engine.Answer(new PrefixAnswer(asked.Id + 1 + numbers[5], (PrefixAnswerKind)(numbers[4] % 3), granted.Prefix), rig.Now);
            rig.Engine.Answer(new PrefixAnswer(-1, PrefixAnswerKind.Granted, granted.Prefix), rig.Now);
            rig.Drain();

            Assert.Equal((outputs, flows), (rig.Outputs.Count, rig.Engine.FlowCount));
            Assert.False(rig.Engine.Withdraw(IpPrefix.Parse("2001:db8:bad::/64"), Duration.Zero, rig.Now));
            Assert.Equal(!late, rig.Engine.Withdraw(EngineRig.SessionLastingPrefix, Duration.Zero, rig.Now));
        }));

    [Fact]
    [Rfc(8653, "5")]
    public void After_the_octets_of_a_renewal_limit_new_sockets_get_a_fresh_address_and_old_flows_keep_theirs() =>
        Check.One(Many, Prop.ForAll(AnyFrame.Numbers(), numbers =>
        {
            var rig = new EngineRig(EngineRig.Options(AddressType.SessionLasting) with
            {
                SessionLastingRenewal = new RenewalLimit(Duration.Infinite, 400),
            });
            rig.Attach(EngineRig.SessionLastingPrefix);
            TestFrame first = Frames.Udp(Frames.Host, 1000, Frames.Server, 80, payload: 400 + (numbers[2] % 400));
            TestFrame second = Frames.Udp(Frames.Host, (ushort)(2000 + (numbers[0] % 1000)), Frames.Server, 80);

            IpAddress old = rig.SourceOf(first);
            IpAddress fresh = rig.SourceOf(second);

            Assert.NotEqual(old, fresh);
            Assert.True(EngineRig.SessionLastingPrefix.Contains(fresh));
            Assert.Equal((old, fresh), (rig.SourceOf(first), rig.SourceOf(second)));
        }));

    // What the host sends once the remote has answered its SYN.
    private static TestFrame Answering(int[] numbers)
    {
        TestFrame frame = AnyFrame.Of(numbers, Frames.Host, Frames.Server, outbound: true);
        byte[] upper = [.. frame.Upper];
        upper[13] = (byte)TcpControl.Ack;
        return frame with { Upper = upper };
    }

    private static void AnswerAll(EngineRig rig, int number)
    {
        foreach (PrefixRequest question in rig.Questions)
        {
            var prefix = new IpPrefix(new IpAddress(0x2001_0db8_00e0_0000 + ((ulong)question.Type << 8) + (ulong)(number % 200), 0), 64);
            rig.Engine.Answer(new PrefixAnswer(question.Id, (PrefixAnswerKind)(number % 3),
                new PrefixAdvertisement(prefix, question.Type)), rig.Now);
        }

        rig.Questions.Clear();
        rig.Drain();
    }

    private static void AssertType(Verdict verdict, byte[] after, int[] numbers, AddressType type)
    {
        if (verdict.Kind != VerdictKind.Forward)
        {
            return;
        }

        IpAddress source = IpAddress.Read(after.AsSpan(AnyFrame.Of(numbers, Frames.Host, Frames.Server, outbound: true).NetworkOffset + 8));
        bool asked = source.High >> 16 == 0x2001_0db8_00e0 && (source.High >> 8 & 0xff) == (ulong)type;
        Assert.True(asked || Given.Any(prefix => prefix.Contains(source) && EngineRig.TypeOf(prefix) == type), $"{source} is not {type}.");
    }
}

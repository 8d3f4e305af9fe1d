using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Support;

/// <summary>An engine with a clock that a test turns, and what came out of it.</summary>
internal sealed class EngineRig
{
    public static readonly IpPrefix NonpersistentPrefix = IpPrefix.Parse("2001:db8:a1::/64");
    public static readonly IpPrefix OtherNonpersistentPrefix = IpPrefix.Parse("2001:db8:a2::/64");
    public static readonly IpPrefix GracefulPrefix = IpPrefix.Parse("2001:db8:61::/64");
    public static readonly IpPrefix OtherGracefulPrefix = IpPrefix.Parse("2001:db8:62::/64");
    public static readonly IpPrefix SessionLastingPrefix = IpPrefix.Parse("2001:db8:51::/64");
    public static readonly IpPrefix FixedPrefix = IpPrefix.Parse("2001:db8:f0::/64");

    private readonly byte[] _output;
    private ulong _attachment;
    private long _tag;

    public EngineRig(DataplaneOptions options)
    {
        Engine = new DataplaneEngine(options, Now);
        _output = new byte[Engine.MaximumOutputLength];
    }

    public DataplaneEngine Engine { get; }

    public Timestamp Now { get; private set; } = Timestamp.FromSeconds(1);

    /// <summary>Everything that came out, in order.</summary>
    public List<(OutputFrame Info, byte[] Frame)> Outputs { get; } = [];

    public List<PrefixRequest> Questions { get; } = [];

    public List<SetscReply> Replies { get; } = [];

    /// <summary>Small tables, the internal addresses of <see cref="Frames"/>, and this type for all that no rule names.</summary>
    public static DataplaneOptions Options(AddressType type = AddressType.None, params PolicyRule[] rules) => new()
    {
        AddressSeed = 7,
        IdentifierSecret = Frames.Payload(16),
        MaximumFlows = 1 << 12,
        MaximumBindings = 1 << 12,
        MaximumInternalAddresses = 16,
        MaximumTypedAddresses = 1 << 10,
        MaximumHeldFrames = 64,
        MaximumHeldOctets = 1 << 20,
        MaximumReplies = 64,
        MaximumFragmentedDatagrams = 16,
        IcmpErrorsPerSecond = 1_000_000,
        Internal = [new IpPrefix(Frames.Host, 128), new IpPrefix(Frames.OtherHost, 128)],
        Policy = new ServicePolicy(rules, [], type == AddressType.None ? PolicyOutcome.Legacy : PolicyOutcome.OfType(type)),
    };

    public static PrefixAdvertisement Of(IpPrefix prefix) => new(prefix, TypeOf(prefix));

    public static AddressType TypeOf(IpPrefix prefix) =>
        prefix == NonpersistentPrefix || prefix == OtherNonpersistentPrefix ? AddressType.Nonpersistent
        : prefix == GracefulPrefix || prefix == OtherGracefulPrefix ? AddressType.GracefulReplacement
        : prefix == SessionLastingPrefix ? AddressType.SessionLasting
        : AddressType.Fixed;

    public void Attach(params IpPrefix[] prefixes) => Attach(Duration.FromSeconds(10), prefixes);

    public void Attach(Duration window, params IpPrefix[] prefixes)
    {
        Engine.Attach(++_attachment, prefixes.Select(Of).ToArray(), window, Now);
        Drain();
    }

    public void Pass(long milliseconds)
    {
        Now = Now.Add(Duration.FromMilliseconds(milliseconds));
        do
        {
            Engine.Advance(Now);
            Drain();
        }
        while (Engine.NextDeadline <= Now);
    }

    public (Verdict Verdict, byte[] Frame) Outbound(TestFrame frame) => Send(frame.Build(), frame.Info, inbound: false);

    public (Verdict Verdict, byte[] Frame) Inbound(TestFrame frame) => Send(frame.Build(), frame.Info, inbound: true);

    public (Verdict Verdict, byte[] Frame) Send(byte[] frame, FrameInfo info, bool inbound)
    {
        byte[] copy = [.. frame];
        FrameInfo tagged = info with { Tag = ++_tag };
        Verdict verdict = inbound ? Engine.HandleInbound(copy, tagged, Now) : Engine.HandleOutbound(copy, tagged, Now);
        Drain();
        return (verdict, copy);
    }

    /// <summary>The address that a flow leaves with.</summary>
    public IpAddress SourceOf(TestFrame frame)
    {
        (Verdict verdict, byte[] after) = Outbound(frame);
        return verdict.Kind == VerdictKind.Forward
            ? IpAddress.Read(after.AsSpan(frame.NetworkOffset + 8))
            : throw new InvalidOperationException($"The frame is not forwarded: {verdict}.");
    }

    public void Drain()
    {
        while (Engine.TryTakeOutput(_output, Now, out OutputFrame info, out int length))
        {
            Outputs.Add((info, _output[..length]));
        }

        while (Engine.TryTakeReply(out SetscReply reply))
        {
            Replies.Add(reply);
        }

        while (Engine.TryTakePrefixRequest(out PrefixRequest question))
        {
            Questions.Add(question);
        }
    }
}

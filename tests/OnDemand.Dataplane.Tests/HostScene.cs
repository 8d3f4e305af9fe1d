using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests;

/// <summary>A frame that went through the engine: what it was, what was said of it, and what it is now.</summary>
internal sealed record Handled(TestFrame Frame, Verdict Verdict, byte[] Octets)
{
    public ForwardReason? Forwarded => Verdict.Kind == VerdictKind.Forward ? Verdict.Forward : null;

    public DropReason? Dropped => Verdict.Kind == VerdictKind.Drop ? Verdict.Drop : null;

    public DropReason? Answered => Verdict.Kind == VerdictKind.Reply ? Verdict.Drop : null;

    public bool Held => Verdict.Kind == VerdictKind.Hold;

    public IpAddress Source => IpAddress.Read(Octets.AsSpan(Frame.NetworkOffset + 8));

    public IpAddress Destination => IpAddress.Read(Octets.AsSpan(Frame.NetworkOffset + 24));
}

/// <summary>A frame that the engine gave out.</summary>
internal sealed record Output(OutputFrame Info, byte[] Octets);

/// <summary>One host and its engine, told as a story: the network attaches and withdraws, time passes, programs send and peers answer.</summary>
internal sealed class HostScene
{
    public static readonly IpPrefix NonpersistentOne = IpPrefix.Parse("2001:db8:a1:1::/64");
    public static readonly IpPrefix NonpersistentTwo = IpPrefix.Parse("2001:db8:a2:1::/64");
    public static readonly IpPrefix SessionOne = IpPrefix.Parse("2001:db8:51:1::/64");
    public static readonly IpPrefix SessionTwo = IpPrefix.Parse("2001:db8:51:2::/64");
    public static readonly IpPrefix GracefulOne = IpPrefix.Parse("2001:db8:61:1::/64");
    public static readonly IpPrefix GracefulTwo = IpPrefix.Parse("2001:db8:61:2::/64");
    public static readonly IpPrefix FixedOne = IpPrefix.Parse("2001:db8:f1::/64");
    public static readonly IpPrefix FixedTwo = IpPrefix.Parse("2001:db8:f2::/64");

    private ulong _attachments;

    public HostScene(AddressType policy = AddressType.None, Func<DataplaneOptions, DataplaneOptions>? change = null)
    {
        var options = new DataplaneOptions
        {
            Internal = [new IpPrefix(Frames.Host, 128)],
            MaximumEvents = 4096,
            MaximumFlows = 1024,
            MaximumBindings = 1024,
            MaximumTypedAddresses = 256,
            AddressSeed = 8653,
            Policy = policy == AddressType.None ? ServicePolicy.Empty : Default(policy),
        };
        Engine = new DataplaneEngine(change is null ? options : change(options), Now);
    }

    public DataplaneEngine Engine { get; }

    public Timestamp Now { get; private set; } = Timestamp.FromSeconds(100);

    public static ServicePolicy Default(AddressType type, params InboundRule[] inbound) => new([], inbound, PolicyOutcome.OfType(type));

    public static PrefixAdvertisement Of(IpPrefix prefix, AddressType type) => new(prefix, type);

    public static PrefixAdvertisement Of(IpPrefix prefix, AddressType type, long preferred, long valid) =>
        new(prefix, type, Duration.FromSeconds(preferred), Duration.FromSeconds(valid));

    public HostScene Attach(params PrefixAdvertisement[] prefixes) => Attach(null, prefixes);

    public HostScene Attach(long? window, params PrefixAdvertisement[] prefixes)
    {
        Engine.Attach(++_attachments, prefixes, window is { } seconds ? Duration.FromSeconds(seconds) : null, Now);
        Advance();
        return this;
    }

    /// <summary>Lets time pass and does what falls due, as a caller that keeps to <see cref="DataplaneEngine.NextDeadline"/> does.</summary>
    public void Pass(double seconds)
    {
        var end = new Timestamp(Now.Nanoseconds + (long)(seconds * Timestamp.NanosecondsPerSecond));
        while (Engine.NextDeadline is var due && due <= end)
        {
            Now = due > Now ? due : Now;
            Engine.Advance(Now);
            if (due <= Now && Engine.NextDeadline <= Now && Engine.NextDeadline == due && due != default)
            {
                break;
            }
        }

        Now = end;
        Advance();
    }

    public void Advance()
    {
        for (int i = 0; i < 1000 && Engine.NextDeadline <= Now; i++)
        {
            Engine.Advance(Now);
        }

        Engine.Advance(Now);
    }

    public Handled Send(TestFrame frame) => SendOctets(frame, frame.Build());

    public Handled SendOctets(TestFrame frame, byte[] octets)
    {
        Verdict verdict = Engine.HandleOutbound(octets, frame.Info, Now);
        return new Handled(frame, verdict, octets);
    }

    public Handled Receive(TestFrame frame) => ReceiveOctets(frame, frame.Build());

    public Handled ReceiveOctets(TestFrame frame, byte[] octets)
    {
        Verdict verdict = Engine.HandleInbound(octets, frame.Info, Now);
        return new Handled(frame, verdict, octets);
    }

    public Handled SendUdp(ushort port = 5000, IpAddress? to = null, ushort toPort = 53) =>
        Send(Frames.Udp(Frames.Host, port, to ?? Frames.Server, toPort));

    public Handled ReceiveUdp(IpAddress at, ushort port = 5000, IpAddress? from = null, ushort fromPort = 53) =>
        Receive(Frames.Udp(from ?? Frames.Server, fromPort, at, port));

    public Handled SendTcp(TcpControl flags, uint sequence, uint acknowledgment, ushort port = 40000, int payload = 0) =>
        Send(Frames.Tcp(Frames.Host, port, Frames.Server, 443, flags, sequence, acknowledgment, payload));

    public Handled ReceiveTcp(IpAddress at, TcpControl flags, uint sequence, uint acknowledgment, ushort port = 40000, int payload = 0) =>
        Receive(Frames.Tcp(Frames.Server, 443, at, port, flags, sequence, acknowledgment, payload));

    /// <summary>The three segments that open a connection; the host is then at 1001 and the remote at 5001.</summary>
    public IpAddress Connect(ushort port = 40000)
    {
        Handled syn = SendTcp(TcpControl.Syn, 1000, 0, port);
        Assert.Equal(ForwardReason.Rewritten, syn.Forwarded);
        Assert.Equal(ForwardReason.Rewritten, ReceiveTcp(syn.Source, TcpControl.Syn | TcpControl.Ack, 5000, 1001, port).Forwarded);
        Assert.Equal(ForwardReason.Rewritten, SendTcp(TcpControl.Ack, 1001, 5001, port).Forwarded);
        return syn.Source;
    }

    public List<Output> Outputs()
    {
        List<Output> outputs = [];
        byte[] octets = new byte[Engine.MaximumOutputLength];
        while (Engine.TryTakeOutput(octets, Now, out OutputFrame info, out int length))
        {
            outputs.Add(new Output(info, octets[..length]));
        }

        return outputs;
    }

    public Output OnlyOutput() => Assert.Single(Outputs());

    public void Request(
        AddressType type, ushort port = 40000, byte protocol = IpProtocol.Tcp, bool onNet = false, AddressPreferences preferences = AddressPreferences.None,
        IpPrefix? prefix = null, ulong token = 1) => Engine.Handle(
            new SetscRequest
            {
                Token = token, Protocol = protocol, Internal = Frames.Host, LocalPort = port, Type = type, OnNet = onNet, Preferences = preferences, Prefix = prefix,
            },
            Now);

    public SetscReply Reply()
    {
        Assert.True(Engine.TryTakeReply(out SetscReply reply), "There is no reply.");
        Assert.False(Engine.TryTakeReply(out _), "There is more than one reply.");
        return reply;
    }

    public bool HasReply => Engine.TryTakeReply(out _);

    /// <summary>The question that the network was asked; there is exactly one.</summary>
    public PrefixRequest Question()
    {
        Assert.True(Engine.TryTakePrefixRequest(out PrefixRequest request), "The network was not asked.");
        Assert.False(Engine.TryTakePrefixRequest(out _), "The network was asked more than once.");
        return request;
    }

    public void AssertNothingAsked() => Assert.False(Engine.TryTakePrefixRequest(out _), "The network was asked.");

    public void Grant(PrefixRequest request, PrefixAdvertisement prefix) =>
        Engine.Answer(new PrefixAnswer(request.Id, PrefixAnswerKind.Granted, prefix), Now);

    public void Refuse(PrefixRequest request, PrefixAnswerKind kind = PrefixAnswerKind.Refused) =>
        Engine.Answer(new PrefixAnswer(request.Id, kind, default), Now);

    public List<EngineEvent> Events(EngineEventKind kind)
    {
        List<EngineEvent> events = [];
        while (Engine.TryTakeEvent(out EngineEvent happened))
        {
            events.Add(happened);
        }

        return [.. events.Where(happened => happened.Kind == kind)];
    }

    /// <summary>The RST that a program's own stack gets, octet for octet.</summary>
    public static byte[] Reset(uint sequence, uint acknowledgment, ushort port = 40000, IpAddress? host = null)
    {
        TestFrame frame = Frames.Tcp(Frames.Server, 443, host ?? Frames.Host, port, TcpControl.Rst | TcpControl.Ack, sequence, acknowledgment);
        frame.Upper[14] = 0;
        frame.Upper[15] = 0;
        return frame.Build();
    }
}

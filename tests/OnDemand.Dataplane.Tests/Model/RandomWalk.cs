using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Model;

/// <summary>Walks a random walk with the engine and its twin: turns each step's numbers into a call.</summary>
internal sealed class RandomWalk
{
    private static readonly byte[] Protocols =
    [
        IpProtocol.Tcp, IpProtocol.Tcp, IpProtocol.Tcp, IpProtocol.Tcp, IpProtocol.Udp, IpProtocol.Udp, IpProtocol.Udp, IpProtocol.Icmpv6,
        IpProtocol.UdpLite, IpProtocol.Dccp, IpProtocol.Sctp, IpProtocol.Esp, IpProtocol.Gre, 253,
    ];

    private static readonly TcpControl[] Controls =
    [
        TcpControl.Syn, TcpControl.Syn, TcpControl.Ack, TcpControl.Ack, TcpControl.Ack | TcpControl.Psh, TcpControl.Fin | TcpControl.Ack,
        TcpControl.Rst, TcpControl.Rst | TcpControl.Ack, TcpControl.Syn | TcpControl.Ack,
    ];

    private static readonly IpAddress AnyHome = IpAddress.Parse("2001:db8:77::1");

    private readonly Twins _twins;
    private readonly List<(byte[] Frame, FrameInfo Info, bool Inbound)> _late = [];   // fragments that come after everything else
    private ulong _token;
    private uint _datagram;
    private int _grant;

    private RandomWalk(DataplaneOptions options) => _twins = new Twins(options);

    /// <summary>Walks; throws with the whole script where the engine and the model part.</summary>
    public static Twins Run(Walk walk)
    {
        var runner = new RandomWalk(World.Options(walk.World));
        try
        {
            foreach (WalkStep step in walk.Steps)
            {
                runner._twins.Pass(Duration.FromMilliseconds(1));
                runner.Take(step);
            }

            runner._twins.Advance();
        }
        catch (Exception exception)
        {
            string trace = exception is ModelMismatchException ? string.Empty : $"{exception.StackTrace}";
            throw new ModelMismatchException(
                $"{exception.Message}\nworld {walk.World}: {World.Describe(walk.World)}\n{runner._twins.Script}{trace}", exception);
        }

        return runner._twins;
    }

    private void Take(WalkStep step)
    {
        ReferenceDataplane model = _twins.Model;

        // What a silence of the network settles is worked off when the outputs are drained; a call in between may come before or after.
        // So may one before the sweep has found the flows whose remote has become one of our own addresses.
        if (model.OpenQuestions.Any(question => question.Deadline <= _twins.Now) || model.HasNewHairpin)
        {
            _twins.Advance();
        }

        switch (step.Kind)
        {
            case StepKind.Outbound:
                _twins.Outbound(Packet(World.Internals[step.D % World.Internals.Length], LocalPort(step), Remote(step), RemotePort(step),
                    step, toRemote: true));
                break;
            case StepKind.Inbound when AnyAddress(step.D) is IpAddress typed:
                _twins.Inbound(Packet(Remote(step), RemotePort(step), typed, LocalPort(step), step, toRemote: false));
                break;
            case StepKind.Mirror when model.Flows.Count > 0:
                Mirror(step, model.Flows.OrderBy(Order, StringComparer.Ordinal).ElementAt(step.A % model.Flows.Count));
                break;
            case StepKind.Native when AnyAddress(step.D) is IpAddress typed:
                _twins.Outbound(Packet(typed, (ushort)(World.FirstNativePort + (step.A % 2)), Remote(step), RemotePort(step), step,
                    toRemote: true));
                break;
            case StepKind.Errors when model.Flows.Count > 0:
                Errors(step, model.Flows.OrderBy(Order, StringComparer.Ordinal).ElementAt(step.A % model.Flows.Count));
                break;
            case StepKind.Fragments:
                Fragments(step);
                break;
            case StepKind.Hairpin when AnyAddress(step.D) is IpAddress typed:
                _twins.Outbound(Packet(World.Internals[step.B % 3], LocalPort(step), typed,
                    (ushort)(World.FirstPort + (step.B % World.Ports)), step, toRemote: true));
                break;
            case StepKind.Request:
                Request(step);
                break;
            case StepKind.CloseSocket when model.Requests.Count > 0:
                ModelRequest request = model.Requests[step.A % model.Requests.Count];
                _twins.CloseSocket(request.Protocol, request.Named, request.LocalPort);
                break;
            case StepKind.Answer:
                Answer(step, model);
                break;
            default:
                Move(step);
                break;
        }
    }

    private void Move(WalkStep step)
    {
        switch (step.Kind)
        {
            case StepKind.Attach:
                Duration? window = (step.B % 4) switch
                {
                    0 => null,
                    1 => Duration.Zero,
                    2 => Duration.FromSeconds(5),
                    _ => Duration.FromSeconds(40),
                };
                _twins.Attach([.. World.Prefixes.Where((prefix, index) => World.Bit(step.A, index) && !Returns(prefix.Prefix))
                    .Select((prefix, index) => Advertisement(index == step.D % 24 ? Retyped(prefix, step.D) : prefix, step.C >> index))],
                    window);
                break;
            case StepKind.Advertise:
                (IpPrefix Prefix, AddressType Type) advertised = World.Prefixes[step.A % World.Prefixes.Length];
                if (!Returns(advertised.Prefix))
                {
                    _twins.Advertise([Advertisement(step.D % 8 == 0 ? Retyped(advertised, step.D) : advertised, step.C)], step.B % 2 == 0);
                }

                break;
            case StepKind.Withdraw:
                _twins.Withdraw(World.Prefixes[step.A % World.Prefixes.Length].Prefix,
                    Duration.FromSeconds(step.B % 3 == 0 ? 0 : step.B % 30));
                break;
            case StepKind.Detach:
                _twins.Detach();
                break;
            case StepKind.Pass:
                _twins.Pass(Duration.FromMilliseconds((step.A % 4) switch
                {
                    0 => step.B % 3000,
                    1 => step.B % 30_000,
                    2 => step.B % 400_000,
                    _ => step.B % 20_000
                }));
                break;
            case StepKind.Until:
                _twins.PassUntilNextDeadline(Duration.FromSeconds(60));
                break;
            case StepKind.Advance:
                _twins.Advance();
                break;
            case StepKind.Policy:
                _twins.SetPolicy(World.Policy(step.A));
                break;
        }
    }

    // Left out: an address that comes back while a flow goes to it and frames wait; until the sweep has found the flow both ways are right.
    private bool Returns(IpPrefix prefix) =>
        _twins.Model.HeldCount > 0 && _twins.Model.Flows.Any(flow => prefix.Contains(flow.Key.Remote));

    private static (IpPrefix Prefix, AddressType Type) Retyped((IpPrefix Prefix, AddressType Type) prefix, int number) =>
        (prefix.Prefix, (AddressType)(number / 24 % 5));

    private static string Order(ModelFlow flow) => $"{flow.Key with { Native = null }} {flow.IsNative} {flow.Address.Since}";

    private static ushort LocalPort(WalkStep step) => (ushort)(World.FirstPort + (step.A % World.Ports));

    private static IpAddress Remote(WalkStep step) => World.Remotes[step.B % World.Remotes.Length];

    private static ushort RemotePort(WalkStep step) => World.RemotePorts[(step.B >> 4) % World.RemotePorts.Length];

    private static PrefixAdvertisement Advertisement((IpPrefix Prefix, AddressType Type) prefix, int lifetimes) => (lifetimes % 8) switch
    {
        0 => new(prefix.Prefix, prefix.Type, Duration.FromSeconds(30), Duration.FromSeconds(90)),
        1 => new(prefix.Prefix, prefix.Type, Duration.Zero, Duration.FromSeconds(9000)),
        2 => new(prefix.Prefix, prefix.Type, Duration.FromSeconds(600), Duration.Infinite, Home: true),
        3 => new(prefix.Prefix, prefix.Type, Duration.FromSeconds(60), Duration.FromSeconds(30)),   // not acceptable
        4 => new(prefix.Prefix, prefix.Type, Duration.Zero, Duration.Zero),
        _ => new(prefix.Prefix, prefix.Type),
    };

    // Any address that has been seen, of whatever age; the youngest are the likeliest.
    private IpAddress? AnyAddress(int number)
    {
        IReadOnlyList<ModelAddress> addresses = _twins.Model.Addresses;
        List<IpAddress> seen =
        [
            .. addresses
                .Where(address => address.External is not null
                    && !addresses.Any(other => other.External == address.External && other.IsUsable && !other.IsShown))
                .Select(address => address.External!.Value),
        ];
        return seen.Count == 0 ? null : number % 3 == 0 ? seen[number / 3 % seen.Count]
            : seen[^(1 + (number / 3 % Math.Min(seen.Count, 8)))];
    }

    private TestFrame Packet(IpAddress source, ushort sourcePort, IpAddress destination, ushort destinationPort, WalkStep step,
        bool toRemote)
    {
        byte protocol = Protocols[step.C % Protocols.Length];
        int variety = step.C / Protocols.Length;
        TcpControl control = Controls[variety % Controls.Length];
        ushort identifier = toRemote ? sourcePort : destinationPort;
        TestFrame frame = protocol switch
        {
            IpProtocol.Tcp => Frames.Tcp(source, sourcePort, destination, destinationPort, control, (uint)(1000 + (variety % 5 * 100)),
                (uint)(5000 + (variety % 7 * 50)), variety % 3 * 10),
            IpProtocol.Udp => Frames.Udp(source, sourcePort, destination, destinationPort, variety % 40, variety),
            IpProtocol.UdpLite => Frames.UdpLite(source, sourcePort, destination, destinationPort, (ushort)(variety % 2 == 0 ? 8 : 0)),
            IpProtocol.Dccp => Frames.Dccp(source, sourcePort, destination, destinationPort, (byte)(variety % 3)),
            IpProtocol.Sctp => Frames.Sctp(source, sourcePort, destination, destinationPort),
            IpProtocol.Icmpv6 when variety % 8 == 0 => Frames.Icmpv6(source, destination, (byte)(variety % 16 == 0 ? 139 : 135)),
            IpProtocol.Icmpv6 => Frames.Echo(source, destination, identifier, reply: variety % 5 == 0),
            _ => Frames.Other(source, destination, protocol),
        };
        TestFrame dressed = Dressed(frame, step.D / 16);

        // Left out: to one of our own addresses with segments left. Nobody could say whose flow that is.
        return dressed.PseudoDestination is not null && !World.Remotes.Contains(destination) && toRemote ? frame : dressed;
    }

    private static TestFrame Dressed(TestFrame frame, int variety)
    {
        TestFrame dressed = frame with
        {
            Link = (LinkHeader)(variety % 4),
            TrafficClass = (byte)(variety % 3 * 8),
            Checksum = (variety / 4 % 8) switch
            {
                0 => ChecksumState.Wrong,
                1 => ChecksumState.Partial,
                2 when frame.Protocol == IpProtocol.Udp => ChecksumState.Absent,
                _ => ChecksumState.Right
            },
        };
        return (variety / 32 % 24) switch
        {
            0 => dressed with { Extensions = [Frames.HopByHop(), Frames.DestinationOptions(2)] },
            1 => dressed with { Extensions = [Frames.AtomicFragment()] },
            2 => dressed with { Extensions = [Frames.Authentication()] },
            3 => dressed with { Extensions = [Frames.Routing(dressed.Destination, 0)] },
            4 => Frames.Mobility(dressed.Source, dressed.Destination) with { Link = dressed.Link },
            5 => dressed with { Destination = IpAddress.Parse("ff02::1") },
            6 => dressed with { Extensions = [Frames.HomeAddress(AnyHome)], PseudoSource = AnyHome },
            7 => dressed with { Extensions = [Frames.Routing(World.Remotes[1], 1)], PseudoDestination = World.Remotes[1] },
            8 => dressed with
            {
                Extensions = [Frames.SegmentRouting(1, World.Remotes[2], World.Remotes[0])],
                PseudoDestination = World.Remotes[2],
            },
            _ => dressed,
        };
    }

    private void Mirror(WalkStep step, ModelFlow flow)
    {
        ModelAddress address = step.D % 5 == 0 && flow.OldAddress is not null ? flow.OldAddress : flow.Address;
        byte protocol = flow.Key.Protocol;
        bool inbound = step.D % 2 == 0;
        if (inbound && address.External is null)
        {
            return;
        }

        IpAddress near = inbound || flow.IsNative ? address.External!.Value : flow.Key.Internal;
        (IpAddress source, ushort sourcePort) = inbound ? (flow.Key.Remote, flow.Key.RemotePort) : (near, flow.Key.LocalPort);
        (IpAddress destination, ushort destinationPort) = inbound ? (near, flow.Key.LocalPort) : (flow.Key.Remote, flow.Key.RemotePort);
        TcpControl control = Likely(flow, step.C, inbound);
        TestFrame frame = protocol switch
        {
            IpProtocol.Tcp => Frames.Tcp(
                source, sourcePort, destination, destinationPort, control,
                (inbound ? flow.HostAcknowledged ?? flow.RemoteEnd : flow.HostEnd) ?? (uint)(1000 + (step.C % 5 * 100)),
                (inbound ? flow.HostEnd : flow.RemoteEnd) ?? (uint)(5000 + (step.C % 7 * 50)),
                step.C % 3 * 10),
            IpProtocol.Udp => Frames.Udp(source, sourcePort, destination, destinationPort, step.C % 50, step.C),
            IpProtocol.UdpLite => Frames.UdpLite(source, sourcePort, destination, destinationPort),
            IpProtocol.Dccp => Frames.Dccp(source, sourcePort, destination, destinationPort, (byte)(step.C % 3)),
            IpProtocol.Sctp => Frames.Sctp(source, sourcePort, destination, destinationPort),
            IpProtocol.Icmpv6 when flow.Key.LocalPort == 139 && flow.Key.RemotePort == 0 => Frames.Icmpv6(source, destination, 139),
            IpProtocol.Icmpv6 => Frames.Echo(source, destination, Math.Max(flow.Key.LocalPort, flow.Key.RemotePort),
                reply: inbound == (flow.Key.LocalPort != 0)),
            _ => Frames.Other(source, destination, protocol),
        };
        TestFrame dressed = Dressed(frame, step.D / 16) with { Destination = destination };
        frame = dressed.PseudoDestination is not null && !inbound && !World.Remotes.Contains(destination) ? frame : dressed;
        if (inbound)
        {
            _twins.Inbound(frame);
        }
        else
        {
            _twins.Outbound(frame);
        }
    }

    // What a peer would send next, most of the time.
    private static TcpControl Likely(ModelFlow flow, int number, bool inbound)
    {
        if (number % 7 == 0)
        {
            return Controls[number / 7 % Controls.Length];
        }

        return flow.State switch
        {
            FlowState.OpeningOut => inbound ? TcpControl.Syn | TcpControl.Ack : TcpControl.Syn,
            FlowState.OpeningIn => inbound ? TcpControl.Syn : TcpControl.Syn | TcpControl.Ack,
            FlowState.HostFin or FlowState.RemoteFin when number % 2 == 0 => TcpControl.Fin | TcpControl.Ack,
            _ when number % 11 == 0 => TcpControl.Fin | TcpControl.Ack,
            _ => TcpControl.Ack,
        };
    }

    private void Errors(WalkStep step, ModelFlow flow)
    {
        if (flow.Address.External is not IpAddress typed)
        {
            return;
        }

        bool inbound = step.D % 2 == 0;
        ushort localPort = step.D % 7 == 0 ? (ushort)4444 : flow.Key.LocalPort;
        IpAddress near = inbound || flow.IsNative ? typed : flow.Key.Internal;
        (IpAddress source, ushort sourcePort) = inbound ? (near, localPort) : (flow.Key.Remote, flow.Key.RemotePort);
        (IpAddress destination, ushort destinationPort) = inbound ? (flow.Key.Remote, flow.Key.RemotePort) : (near, localPort);
        TestFrame about = flow.Key.Protocol switch
        {
            IpProtocol.Tcp => Frames.Tcp(source, sourcePort, destination, destinationPort, TcpControl.Ack, payload: 30),
            IpProtocol.Udp => Frames.Udp(source, sourcePort, destination, destinationPort, 60),
            IpProtocol.Sctp => Frames.Sctp(source, sourcePort, destination, destinationPort),
            _ => Frames.Udp(source, sourcePort, destination, destinationPort),
        };
        byte[] quoted = Dressed(about, step.C % 128).Build()[Dressed(about, step.C % 128).NetworkOffset..];
        int length = (step.C / 128 % 6) switch { 0 => 44, 1 => 48, 2 => 40 + (step.B % 20), _ => quoted.Length };
        IpAddress far = step.B % 3 == 0 ? IpAddress.Parse("2001:db8:c:ffff::1") : flow.Key.Remote;
        byte type = (byte)(1 + (step.B % 4));
        TestFrame error = inbound
            ? Frames.Error(far, near, type, 0, quoted.AsSpan(0, Math.Min(length, quoted.Length)))
            : Frames.Error(near, far, type, 0, quoted.AsSpan(0, Math.Min(length, quoted.Length)));
        error = error with { Checksum = step.B % 11 == 0 ? ChecksumState.Wrong : ChecksumState.Right, Link = (LinkHeader)(step.B % 4) };
        if (inbound)
        {
            _twins.Inbound(error);
        }
        else
        {
            _twins.Outbound(error);
        }
    }

    private void Fragments(WalkStep step)
    {
        if (step.C % 3 == 0 && _late.Count > 0)
        {
            foreach ((byte[] frame, FrameInfo info, bool toHost) in _late)
            {
                _twins.Send(frame, info, toHost);
            }

            _late.Clear();
            return;
        }

        bool inbound = step.D % 3 == 0;
        ModelFlow? flow = _twins.Model.Flows.Where(flow => flow.Key.Protocol == IpProtocol.Udp && flow.Address.External is not null)
            .OrderBy(Order, StringComparer.Ordinal).ElementAtOrDefault(step.B % 3);
        // Of a native socket only while its address may be used: how long the engine knows it as ours afterwards is not said.
        bool native = step.D % 7 == 0 && AnyAddress(step.D / 7) is IpAddress any && _twins.Model.IsUsable(any);
        IpAddress own = native ? AnyAddress(step.D / 7)!.Value : World.Internals[step.D % World.Internals.Length];
        TestFrame whole = inbound && flow is not null
            ? Frames.Udp(flow.Key.Remote, flow.Key.RemotePort, flow.Address.External!.Value, flow.Key.LocalPort, 100)
            : step.C % 11 == 0 ? Frames.Tcp(own, LocalPort(step), Remote(step), RemotePort(step), TcpControl.Ack, payload: 100)
            : Frames.Udp(own, LocalPort(step), Remote(step), RemotePort(step), 100);
        inbound &= flow is not null;
        whole = whole with
        {
            Checksum = step.C % 5 == 0 ? ChecksumState.Wrong
            : step.C % 5 == 1 && whole.Protocol == IpProtocol.Udp ? ChecksumState.Absent : ChecksumState.Right
        };
        List<byte[]> pieces = [.. whole.BuildFragments(++_datagram, step.C % 22 == 0 ? 16 : 40, 72)];   // 16: not a whole TCP header
        if (step.C % 7 == 0 && _twins.Options.MaximumHeldFrames > 3)
        {
            pieces.Add(pieces[step.C % 3]);                                                      // once more
        }
        else if (step.C % 7 == 1)
        {
            pieces.Add(whole.BuildFragment(_datagram, 64, more: true, Frames.Payload(16)));      // over others
        }

        byte[][] shuffled = [.. pieces];
        if (step.A % 2 == 0)
        {
            new Random(step.C).Shuffle(shuffled);
        }

        int now = step.B % 5 == 0 ? 2 : shuffled.Length;
        foreach (byte[] piece in shuffled.Take(now))
        {
            _twins.Send(piece, whole.Info, inbound);
        }

        if (step.B % 2 == 0 && !native)
        {
            _late.AddRange(shuffled.Skip(now).Select(piece => (piece, whole.Info, inbound)));
        }
    }

    private void Request(WalkStep step)
    {
        byte protocol = step.C % 2 == 0 ? IpProtocol.Tcp : IpProtocol.Udp;
        IpAddress named = (step.C / 2 % 4) switch { 0 => IpAddress.Unspecified, 1 => Frames.OtherHost, _ => Frames.Host };
        ushort port = LocalPort(step);
        var request = new SetscRequest { Token = ++_token, Protocol = protocol, Internal = named, LocalPort = port };
        _twins.Request((step.B % 12) switch
        {
            0 => request with { Type = (AddressType)(5 + (step.D % 3)) },
            1 => request,
            2 => request with { Preferences = AddressPreferences.Temporary | AddressPreferences.Public },
            3 => request with { Preferences = AddressPreferences.Public },
            4 => request with { Prefix = World.Prefixes[step.D % World.Prefixes.Length].Prefix },
            5 or 6 => request with { Type = (AddressType)(1 + (step.D % 4)), OnNet = true },
            _ => request with { Type = (AddressType)(1 + (step.D % 4)) },
        });
    }

    private void Answer(WalkStep step, ReferenceDataplane model)
    {
        if (model.OpenQuestions.Count == 0 || step.A % 13 == 0)
        {
            _twins.Answer(new PrefixAnswer(step.B % 9, (PrefixAnswerKind)(step.C % 3),
                new PrefixAdvertisement(World.Prefixes[0].Prefix, AddressType.Nonpersistent)) is var late
                && model.OpenQuestions.Any(question => question.Id == late.Id) ? late with { Id = -7 } : late);
            return;
        }

        ModelQuestion question = model.OpenQuestions[step.A % model.OpenQuestions.Count];
        var prefix = new IpPrefix(new IpAddress(0x2001_0db8_000e_0000 + (ulong)++_grant, 0), 64);
        AddressType type = step.C % 9 == 0 ? AddressType.None : question.Type;
        PrefixAnswerKind kind = (step.B % 8) switch
        {
            0 => PrefixAnswerKind.Refused,
            1 => PrefixAnswerKind.Unsupported,
            _ =>
            PrefixAnswerKind.Granted
        };
        _twins.Answer(new PrefixAnswer(question.Id ?? -1, kind, Advertisement((prefix, type), step.D)));
    }
}

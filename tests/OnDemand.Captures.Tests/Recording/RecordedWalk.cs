using System.Globalization;
using System.Text;
using OnDemand.Captures.Recording;
using OnDemand.Captures.Scenarios;
using OnDemand.Captures.Tests.Replay;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Tests.Recording;

/// <summary>A random walk of an engine, recorded in memory as a live run is: the same drive, the same writer.</summary>
internal sealed class RecordedWalk : IEngineShell
{
    private const string Configuration = """
        seed: 7
        internal: [fd00::1, fd00::2]
        network:
          - {at: 0s, attach: unused, prefixes: [{prefix: "2001:db8:1::/64", type: nonpersistent}]}
        policy:
          default: nonpersistent
          rules:
            - {remote-port: 1, type: session-lasting}
            - {remote-port: 2, type: graceful-replacement}
            - {remote-port: 3, type: fixed}
            - {remote-port: 4, legacy: true}
            - {user: alice, type: graceful-replacement}
        limits: {flows: 64, held-packets: 8}
        """;

    private const string Without = """
        internal: [fd00::1, fd00::2]
        network: [{at: 0s, attach: unused, prefixes: [{prefix: "2001:db8:a1:1::/64", type: nonpersistent}]}]

        """;

    private static readonly string[] OtherPolicies =
    [
        "policy: {}",
        """
        policy:
          default: session-lasting
          rules:
            - {user: bob, group: "it''s", program: "/usr/bin/*", cgroup: "/a b", type: fixed}
            - {user: 'alice', protocol: udp, prefix: "2001:db8:a1:1::/64"}
            - {remote-port: 3, preferences: tmp, internal: "fd00::1"}
            - {user: alice, type: nonpersistent, on-net: true}
          inbound: [{type: untyped, protocol: udp}, {local-port: 1000-1001}]
        """,
    ];

    private static readonly string[] Internals = ["fd00::1", "fd00::2", "2001:db8:77::1"];

    private readonly Random _random;
    private readonly RecordingWriter _writer;
    private readonly DataplaneEngine _engine;
    private readonly EngineDrive _drive;
    private readonly byte[] _output;
    private readonly ScenarioPolicy[] _policies;
    private ScenarioPolicy _policy;
    private readonly List<string> _typed = [];
    private readonly List<PrefixRequest> _questions = [];
    private readonly List<SocketQuestion> _sockets = [];
    private readonly Dictionary<string, ulong> _names = [];
    private Timestamp _now = Timestamp.FromSeconds(1_700_000_000);

    private RecordedWalk(int seed)
    {
        _random = new Random(seed);
        Scenario scenario = ScenarioReader.Parse("walk.yaml", Encoding.UTF8.GetBytes(Configuration));
        DataplaneOptions options = scenario.BuildOptions() with
        {
            AddressSeed = 3,
            HashSeed = 99,
            IdentifierSecret = new byte[] { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 },
            MaximumEvents = 1 << 12,
            MaximumReplies = 16,
            MaximumSocketRequests = seed % 3 == 0 ? 2 : 4096,
            AskSockets = seed % 2 == 1,
            AskEchoSockets = seed % 4 == 1,
            MaximumSocketQuestions = 8,
            SocketAnswerTimeout = Duration.FromMilliseconds(700),
        };
        byte[] link = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        _writer = new RecordingWriter(link);
        _engine = new DataplaneEngine(options, _now);
        _drive = new EngineDrive(_engine, this);
        _policy = scenario.Policy;
        _policies = [.. OtherPolicies.Select(other => ScenarioReader.Parse("walk.yaml", Encoding.UTF8.GetBytes(Without + other)).Policy), _policy];
        _output = new byte[EthernetFrame.HeaderLength + _engine.MaximumOutputLength];
        _writer.Begin("od0", new RecordingHead { Scenario = scenario, Options = options, LinkAddresses = link }.Write(), _now);
    }

    /// <summary>Engine events by kind, to see that a walk went somewhere.</summary>
    public Dictionary<EngineEventKind, int> Seen { get; } = [];

    /// <summary>Outputs of the engine.</summary>
    public int Outputs { get; private set; }

    /// <summary>Questions whose socket a flow is of.</summary>
    public int SocketsAsked { get; private set; }

    /// <summary>How often policy was set anew.</summary>
    public int PoliciesSet { get; private set; }

    /// <summary>Walks.</summary>
    /// <param name="seed">Where to.</param>
    /// <param name="steps">How far.</param>
    /// <param name="walk">The walk.</param>
    /// <returns>The recording.</returns>
    public static byte[] Record(int seed, int steps, out RecordedWalk walk)
    {
        walk = new RecordedWalk(seed);
        for (int step = 0; step < steps; step++)
        {
            walk.Step(step == 0 ? 0 : walk._random.Next(21));
        }

        walk._drive.Settle();
        walk._writer.End(ControlText.EndOfRun, walk._now);
        return walk._writer.Ready.ToArray();
    }

    /// <inheritdoc/>
    public bool TakeOutput(Timestamp now)
    {
        Span<byte> room = _output.AsSpan(EthernetFrame.HeaderLength);
        if (!_engine.TryTakeOutput(room, now, out OutputFrame info, out int length))
        {
            return false;
        }

        bool released = info.Kind == OutputKind.Released;
        Span<byte> frame = released ? room[..length] : _output.AsSpan(0, EthernetFrame.HeaderLength + length);
        if (!released)
        {
            frame[12] = 0x86;
            frame[13] = 0xdd;
        }

        Outputs++;
        _writer.Output(info, frame, AnyFate());
        return true;
    }

    /// <inheritdoc/>
    public void Follow(in EngineEvent happened)
    {
        Seen[happened.Kind] = Seen.GetValueOrDefault(happened.Kind) + 1;
        if (happened.Kind == EngineEventKind.AddressMade)
        {
            _typed.Add(happened.Address.ToString());
        }

        _writer.Event(happened);
    }

    /// <inheritdoc/>
    public void Ask(in PrefixRequest question, Timestamp now) => _questions.Add(question);

    /// <inheritdoc/>
    public void Ask(in SocketQuestion question, Timestamp now)
    {
        SocketsAsked++;
        _sockets.Add(question);
    }

    /// <inheritdoc/>
    public void Reply(in SetscReply reply)
    {
        // Nobody reads it.
    }

    private void Step(int choice)
    {
        // Time stands still now and then: two batches of one moment are still two.
        _now = _now.Add(new Duration(_random.Next(4) switch { 0 => 0, 1 => 1, 2 => _random.Next(1_000_000_000), _ => _random.NextInt64(_questions.Count > 0 ? 4_000_000_000 : 40_000_000_000) }));
        _drive.Settle();
        switch (choice)
        {
            case 0 or 1:
                Move(new AttachEvent(default, default, $"ar '{_random.Next(3)}' é", AnyPrefixes(), _random.Next(3) == 0 ? null : Seconds(_random.Next(20))));
                break;
            case 2 when _random.Next(3) == 0:
                Move(new DetachEvent(default, default));
                break;
            case 3:
                Move(new WithdrawEvent(default, default, AnyPrefixes()[0].Prefix, Seconds(_random.Next(5))));
                break;
            case 4:
                Move(new AdvertiseEvent(default, default, AnyPrefixes(), _random.Next(2) == 0));
                break;
            case 5 or 6 or 10 or 11 when _questions.Count > 0:
                Answer();
                break;
            case 7:
                Request();
                break;
            case 12 or 13 or 14 when _sockets.Count > 0:
                AnswerSocket();
                break;
            case 15 when _random.Next(3) == 0:
                Socket();
                break;
            case 20 when _random.Next(2) == 0:
                SetPolicy();
                break;
            case 8 or 9:
                _writer.Control(ControlText.Advance, _now);
                _drive.Advance(_now);
                break;
            default:
                Batch();
                break;
        }
    }

    private void Move(NetworkEvent happened)
    {
        _writer.Control(ControlText.Of(happened), _now);
        switch (happened)
        {
            case AttachEvent attach:
                _names.TryAdd(attach.Name, (ulong)_names.Count);
                _drive.Attach(_names[attach.Name], [.. attach.Prefixes], attach.Window, _now);
                break;
            case WithdrawEvent withdraw:
                _ = _drive.Withdraw(withdraw.Prefix, withdraw.Window!.Value, _now);
                break;
            case AdvertiseEvent advertise:
                _drive.Advertise([.. advertise.Prefixes], advertise.Authenticated, _now);
                break;
            default:
                _drive.Detach(_now);
                break;
        }
    }

    private void Answer()
    {
        PrefixRequest question = _questions[^1];
        _questions.RemoveAt(_questions.Count - 1);
        var kind = (PrefixAnswerKind)_random.Next(3);
        var prefix = IpPrefix.Parse(string.Create(CultureInfo.InvariantCulture, $"2001:db8:f{_random.Next(10)}::/64"));
        var answer = new PrefixAnswer(question.Id, kind, kind == PrefixAnswerKind.Granted ? new PrefixAdvertisement(prefix, question.Type) : default);
        _writer.Control(ControlText.Of(answer), _now);
        _drive.Answer(answer, _now);
    }

    private void AnswerSocket()
    {
        int which = _random.Next(_sockets.Count);
        var answer = new SocketAnswer
        {
            Id = _sockets[which].Id,
            Cookie = (ulong)_random.Next(6),
            Traits = (ulong)_random.Next(4),
            Type = (AddressType)_random.Next(6),
            OnNet = _random.Next(4) == 0,
            Preferences = (AddressPreferences)_random.Next(8),
        };
        _sockets.RemoveAt(which);
        _writer.Control(ControlText.Of(answer), _now);
        _drive.Answer(answer, _now);
    }

    private void Socket()
    {
        ulong cookie = (ulong)_random.Next(6);
        switch (_random.Next(3))
        {
            case 0:
                _writer.Control(ControlText.EndOfSocket(cookie), _now);
                _drive.EndSocket(cookie, _now);
                break;
            case 1:
                _writer.Control(ControlText.Release(cookie), _now);
                _ = _drive.ReleaseRequest(cookie, _now);
                break;
            default:
                var flow = new FlowIdentity(
                    IpProtocol.Udp, IpAddress.Parse("fd00::1"), (ushort)(1000 + _random.Next(4)), IpAddress.Parse("2001:db8:9::1"),
                    (ushort)(1 + _random.Next(5)));
                _writer.Control(ControlText.Name(flow, cookie), _now);
                _ = _drive.NameSocket(flow, cookie, _now);
                break;
        }
    }

    private void SetPolicy()
    {
        PoliciesSet++;
        _policy = _policy.Successor(_policies[_random.Next(_policies.Length)]);
        _writer.Control(ControlText.Of(_policy), _now);
        _drive.SetPolicy(_policy.Build(), _now);
    }

    private void Request()
    {
        var request = new SetscRequest
        {
            Token = (ulong)_random.Next(),
            Socket = _random.Next(3) == 0 ? (ulong)_random.Next(6) : 0,
            Protocol = IpProtocol.Udp,
            LocalPort = (ushort)(1000 + _random.Next(4)),
            Internal = _random.Next(2) == 0 ? IpAddress.Unspecified : IpAddress.Parse("fd00::1"),
            Type = (AddressType)_random.Next(8),     // reserved ones too
            OnNet = _random.Next(4) == 0,
            Preferences = (Dataplane.Selection.AddressPreferences)_random.Next(4),
        };
        if (_random.Next(3) == 0)
        {
            _writer.Control(ControlText.Close(request.Protocol, request.Internal, request.LocalPort), _now);
            _drive.CloseSocket(request.Protocol, request.Internal, request.LocalPort, _now);
            return;
        }

        request = request with { Native = request.Socket != 0 && _random.Next(2) == 0 };
        _writer.Control(ControlText.Of(request), _now);
        _drive.Handle(request, _now);
    }

    private void Batch()
    {
        (byte[] Frame, bool Inbound)[] frames = [.. Enumerable.Range(0, 1 + _random.Next(RecordingFormat.LargestBatch)).Select(_ => AnyFrame())];
        byte[] buffer = [.. frames.SelectMany(frame => frame.Frame)];
        var slots = new FrameSlot[frames.Length];
        int at = 0;
        for (int place = 0; place < frames.Length; place++)
        {
            bool partial = _random.Next(8) == 0;
            var facts = new FrameFacts(partial, (byte)(partial ? 4 : 0), (ushort)(partial ? 1428 : 0), partial ? _random.NextInt64() : 0);
            slots[place] = new FrameSlot
            {
                Offset = at,
                Length = frames[place].Frame.Length,
                Inbound = frames[place].Inbound,
                Info = new FrameInfo(14, partial, facts.Tag),
            };
            _writer.Arrival(place, frames[place].Frame, frames[place].Inbound, facts, _now);
            at += slots[place].Length;
        }

        _drive.HandleBatch(buffer, slots, _now);
        for (int place = 0; place < slots.Length; place++)
        {
            _writer.Said(place, buffer.AsSpan(slots[place].Offset, slots[place].Length), slots[place].Verdict, AnyFate());
        }
    }

    private (byte[] Frame, bool Inbound) AnyFrame()
    {
        bool inbound = _random.Next(3) == 0 && _typed.Count > 0;
        string inside = inbound || (_random.Next(20) == 0 && _typed.Count > 0) ? _typed[_random.Next(_typed.Count)] : Internals[_random.Next(20) == 0 ? 2 : _random.Next(2)];
        string remote = $"2001:db8:9::{1 + _random.Next(3)}";
        (string from, string to) = inbound ? (remote, inside) : (inside, remote);
        (int fromPort, int toPort) = (1000 + _random.Next(4), 1 + _random.Next(5));
        (fromPort, toPort) = inbound ? (toPort, fromPort) : (fromPort, toPort);
        byte[] packet = _random.Next(8) switch
        {
            0 => MadePackets.Fragments(from, fromPort, to, toPort, (uint)_random.Next(3), 3)[_random.Next(3)],
            1 or 2 => MadePackets.Udp(from, fromPort, to, toPort, _random.Next(100)),
            3 => MadePackets.Packet(from, to, (byte)_random.Next(256), new byte[_random.Next(60)]),
            _ => MadePackets.Tcp(from, fromPort, to, toPort, (byte)(_random.Next(3) == 0 ? 2 : _random.Next(32)), (uint)_random.Next(100), (uint)_random.Next(100), _random.Next(40)),
        };
        byte[] frame = new byte[EthernetFrame.HeaderLength + packet.Length];
        _random.NextBytes(frame.AsSpan(0, 12));
        frame[12] = 0x86;
        frame[13] = 0xdd;
        packet.CopyTo(frame, EthernetFrame.HeaderLength);
        return (frame, inbound);
    }

    private PrefixAdvertisement[] AnyPrefixes() =>
    [
        .. Enumerable.Range(0, 1 + _random.Next(4)).Select(_ => _random.Next(4)).Distinct().Select(number => new PrefixAdvertisement(
            IpPrefix.Parse(string.Create(CultureInfo.InvariantCulture, $"2001:db8:a{number}:{_random.Next(3)}::/64")),
            (AddressType)((number + 1) % 5),
            Seconds(_random.Next(60)),
            _random.Next(3) == 0 ? Duration.Infinite : Seconds(60 + _random.Next(60)),
            _random.Next(4) == 0)),
    ];

    private RecordedFate AnyFate() => _random.Next(10) == 0 ? (RecordedFate)_random.Next(4) : RecordedFate.Written;

    private static Duration Seconds(int seconds) => new(seconds * 1_000_000_001L);
}

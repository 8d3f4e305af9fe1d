using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests;

/// <summary>Every path that a packet can take, walked again after it was walked once, allocates nothing: not one octet.</summary>
public sealed class AllocationTests
{
    private const int Rounds = 50;

    private static readonly Dictionary<string, Action<AllocationPaths>> Paths = new()
    {
        ["forward outbound"] = paths => paths.Forward(),
        ["forward inbound"] = paths => paths.ForwardInbound(),
        ["new flow"] = paths => paths.NewFlow(),
        ["new flow of another internal address"] = paths => paths.NewFlowOfOtherHost(),
        ["expiry"] = paths => paths.Expire(),
        ["drop unsolicited"] = paths => paths.Unsolicited(),
        ["drop what is untranslatable"] = paths => paths.Untranslatable(),
        ["forward what is not ours"] = paths => paths.NotOurs(),
        ["hold and release"] = paths => paths.HoldAndRelease(),
        ["hold and refuse with ICMPv6 errors"] = paths => paths.HoldAndRefuse(),
        ["refuse at once with an ICMPv6 error"] = paths => paths.RefuseAtOnce(),
        ["reset in reply"] = paths => paths.ResetInReply(),
        ["reset out of the sweep"] = paths => paths.ResetOutOfTheSweep(),
        ["move with a datagram going over"] = paths => paths.Move(),
        ["fragments in order"] = paths => paths.Fragments(first: 0, second: 1, third: 2),
        ["fragments out of order"] = paths => paths.Fragments(first: 2, second: 1, third: 0),
        ["overlapping fragments"] = paths => paths.OverlappingFragments(),
        ["ICMPv6 error inbound"] = paths => paths.ErrorInbound(),
        ["ICMPv6 error outbound"] = paths => paths.ErrorOutbound(),
        ["hairpin"] = paths => paths.Hairpin(),
        ["native"] = paths => paths.Native(),
        ["batch"] = paths => paths.Batch(),
        ["batch of a capture"] = paths => paths.Captured(),
        ["request of a socket"] = paths => paths.Request(),
        ["TCP from SYN to FIN"] = paths => paths.Conversation(),
    };

    public static TheoryData<string> Names => [.. Paths.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void No_path_of_a_packet_allocates(string path)
    {
        Action<AllocationPaths> walk = Paths[path];
        var paths = new AllocationPaths();
        for (int round = 0; round < 3; round++)
        {
            walk(paths);
        }

        Assert.Equal(0, Allocated(() => walk(paths)));
        Assert.Equal(0, paths.Surprises);
    }

    // A collection gives up what is left of this thread's buffer and counts that as allocated. So one is made beforehand, which also waits
    // for one under way, and where another thread has caused one meanwhile, the measurement is made again.
    private static long Allocated(Action walk)
    {
        while (true)
        {
            GC.Collect();
            int collections = GC.CollectionCount(0);
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int round = 0; round < Rounds; round++)
            {
                walk();
            }

            long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            if (GC.CollectionCount(0) == collections)
            {
                return allocated;
            }
        }
    }

    /// <summary>The paths, each of which leaves the engine ready to be walked again; allocates nothing itself after construction.</summary>
    private sealed class AllocationPaths
    {
        private const ushort GracefulPort = 1004;
        private const ushort SessionPort = 1002;

        private static readonly PrefixAdvertisement[] FirstNetwork =
        [
            EngineRig.Of(EngineRig.NonpersistentPrefix), EngineRig.Of(EngineRig.FixedPrefix),
        ];

        private static readonly PrefixAdvertisement[] SecondNetwork =
        [
            EngineRig.Of(EngineRig.OtherNonpersistentPrefix), EngineRig.Of(EngineRig.FixedPrefix),
        ];

        private readonly DataplaneEngine _engine;
        private readonly byte[] _frame = new byte[2048];
        private readonly byte[] _output;
        private readonly byte[] _udp = Frames.Udp(Frames.Host, 1, Frames.Server, 80, 100).Build();
        private readonly byte[] _otherUdp = Frames.Udp(Frames.OtherHost, 1, Frames.Server, 80, 100).Build();
        private readonly byte[] _graceful = Frames.Udp(Frames.Host, GracefulPort, Frames.Server, 80).Build();
        private readonly byte[] _session = Frames.Udp(Frames.Host, SessionPort, Frames.Server, 80).Build();
        private readonly byte[] _syn = Frames.Tcp(Frames.Host, 1, Frames.Server, 80, TcpControl.Syn, 100).Build();
        private readonly byte[] _ack = Frames.Tcp(Frames.Host, 1, Frames.Server, 80, TcpControl.Ack, 101, 501).Build();
        private readonly byte[] _fin = Frames.Tcp(Frames.Host, 1, Frames.Server, 80, TcpControl.Fin | TcpControl.Ack, 101, 501).Build();
        private readonly byte[] _synAck = Frames.Tcp(Frames.Server, 80, Frames.Host, 1, TcpControl.Syn | TcpControl.Ack, 500, 101).Build();
        private readonly byte[] _finAck = Frames.Tcp(Frames.Server, 80, Frames.Host, 1, TcpControl.Fin | TcpControl.Ack, 501, 102).Build();
        private readonly byte[] _reply = Frames.Udp(Frames.Server, 80, Frames.Host, 7, 50).Build();
        private readonly byte[] _esp = Frames.Other(Frames.Host, Frames.Server, IpProtocol.Esp).Build();
        private readonly byte[] _foreign = Frames.Udp(Frames.Server, 1, Frames.OtherServer, 80).Build();
        private readonly byte[] _errorIn;
        private readonly byte[] _errorOut;
        private readonly byte[] _native;
        private readonly byte[] _hairpin;
        private readonly byte[][] _fragments = Frames.Udp(Frames.Host, 9, Frames.Server, 80, 100).BuildFragments(1, 40, 72);
        private readonly byte[] _overlap = Frames.Udp(Frames.Host, 9, Frames.Server, 80, 100)
            .BuildFragment(1, 64, more: true, Frames.Payload(16));
        private readonly FrameSlot[] _slots = new FrameSlot[8];
        private readonly CapturedSlot[] _captured = new CapturedSlot[8];
        private readonly byte[] _proofs = new byte[8 * DataplaneEngine.ProofLength];
        private Timestamp _now = Timestamp.FromSeconds(1);
        private IpAddress _typed;
        private IpAddress _fixed;
        private ulong _attachment;
        private ushort _port = 10_000;
        private uint _identification = 1;

        public AllocationPaths()
        {
            _engine = new DataplaneEngine(
                EngineRig.Options(
                    AddressType.Nonpersistent,
                    new PolicyRule
                    {
                        LocalPort = new PortRange(GracefulPort),
                        Outcome = PolicyOutcome.OfType(AddressType.GracefulReplacement)
                    },
                    new PolicyRule { LocalPort = new PortRange(SessionPort), Outcome = PolicyOutcome.OfType(AddressType.SessionLasting) },
                    new PolicyRule { LocalPort = new PortRange(8), Outcome = PolicyOutcome.OfType(AddressType.Fixed) }),
                _now);
            _output = new byte[_engine.MaximumOutputLength];
            _engine.Attach(++_attachment, FirstNetwork, null, _now);
            _typed = SourceFor(7);
            _fixed = SourceFor(8);
            _errorIn = Frames.Error(Frames.OtherServer, _typed, 1, 4, Frames.Udp(_typed, 7, Frames.Server, 80).Build()).Build();
            _errorOut = Frames.Error(Frames.Host, Frames.Server, 1, 4, Frames.Udp(Frames.Server, 80, Frames.Host, 7).Build()).Build();
            _native = Frames.Udp(_typed, 2000, Frames.Server, 80).Build();
            _hairpin = Frames.Udp(Frames.Host, 11, _fixed, 8).Build();
        }

        /// <summary>How often a frame took another path than the one that is measured.</summary>
        public int Surprises { get; private set; }

        public void Forward() => Expect(Out(_udp, 7), VerdictKind.Forward);

        public void ForwardInbound()
        {
            Load(_reply);
            _typed.Write(_frame.AsSpan(24));
            Expect(_engine.HandleInbound(_frame.AsSpan(0, _reply.Length), new FrameInfo(0), _now), VerdictKind.Forward);
        }

        public void NewFlow()
        {
            Expect(Out(_udp, NextPort()), VerdictKind.Forward);
            Later(400);
        }

        public void NewFlowOfOtherHost()
        {
            Expect(Out(_otherUdp, NextPort()), VerdictKind.Forward);
            Later(400);
        }

        public void Expire()
        {
            for (int index = 0; index < 100; index++)
            {
                Expect(Out(_udp, NextPort()), VerdictKind.Forward);
            }

            Later(400);
            Surprises += _engine.FlowCount == 0 ? 0 : 1;
        }

        public void Unsolicited()
        {
            Load(_reply);
            _typed.Write(_frame.AsSpan(24));
            _frame[43] = 99;
            Expect(_engine.HandleInbound(_frame.AsSpan(0, _reply.Length), new FrameInfo(0), _now), VerdictKind.Drop);
        }

        public void Untranslatable() => Expect(Out(_esp, null), VerdictKind.Drop);

        public void NotOurs() => Expect(Out(_foreign, null), VerdictKind.Forward);

        public void HoldAndRelease()
        {
            Expect(Out(_graceful, null), VerdictKind.Hold);
            Answer(PrefixAnswerKind.Granted, EngineRig.GracefulPrefix);
            Surprises += Drain() == 1 ? 0 : 1;
            _engine.Withdraw(EngineRig.GracefulPrefix, Duration.Zero, _now);
            Later(400);
        }

        public void HoldAndRefuse()
        {
            Expect(Out(_session, null), VerdictKind.Hold);
            Expect(Out(_session, null), VerdictKind.Hold);
            Answer(PrefixAnswerKind.Refused, EngineRig.SessionLastingPrefix);
            Surprises += Drain() == 2 ? 0 : 1;
            Later(5);
        }

        public void RefuseAtOnce()
        {
            Expect(Out(_session, null), VerdictKind.Hold);
            Answer(PrefixAnswerKind.Refused, EngineRig.SessionLastingPrefix);
            Drain();
            Expect(Out(_session, null), VerdictKind.Reply);
            Surprises += Drain() == 1 ? 0 : 1;
            Later(5);
        }

        public void ResetInReply()
        {
            ushort port = Open();
            Roam();
            Expect(Out(_ack, port), VerdictKind.Reply);
            Surprises += Drain() == 1 ? 0 : 1;
            Later(9000);
        }

        public void ResetOutOfTheSweep()
        {
            Open();
            Roam();
            do
            {
                _engine.Advance(_now);
            }
            while (_engine.NextDeadline <= _now);
            Surprises += Drain() == 1 ? 0 : 1;
            Later(9000);
        }

        public void Move()
        {
            Expect(Out(_udp, 7), VerdictKind.Forward);
            IpAddress before = IpAddress.Read(_frame.AsSpan(8));
            Roam();
            Expect(Out(_udp, 7), VerdictKind.Forward);
            Surprises += IpAddress.Read(_frame.AsSpan(8)) != before ? 0 : 1;
            Later(10);
        }

        public void Fragments(int first, int second, int third)
        {
            _identification++;
            Fragment(_fragments[first]);
            Fragment(_fragments[second]);
            Expect(Fragment(_fragments[third]), VerdictKind.Forward);
            Drain();
            Later(20);
        }

        public void OverlappingFragments()
        {
            _identification++;
            Expect(Fragment(_fragments[0]), VerdictKind.Forward);
            Expect(Fragment(_fragments[2]), VerdictKind.Forward);
            Expect(Fragment(_overlap), VerdictKind.Drop);
            Expect(Fragment(_fragments[1]), VerdictKind.Drop);
            Later(20);
        }

        public void ErrorInbound()
        {
            Load(_errorIn);
            Expect(_engine.HandleInbound(_frame.AsSpan(0, _errorIn.Length), new FrameInfo(0), _now), VerdictKind.Forward);
        }

        public void ErrorOutbound() => Expect(Out(_errorOut, null), VerdictKind.Forward);

        public void Hairpin() => Expect(Out(_hairpin, null), VerdictKind.Forward);

        public void Native() => Expect(Out(_native, null), VerdictKind.Forward);

        public void Batch()
        {
            for (int index = 0; index < _slots.Length; index++)
            {
                _udp.CopyTo(_frame, index * 200);
                _slots[index] = new FrameSlot { Offset = index * 200, Length = _udp.Length, Info = new FrameInfo(0) };
            }

            _engine.HandleBatch(_frame, _slots, _now);
            foreach (ref readonly FrameSlot slot in _slots.AsSpan())
            {
                Expect(slot.Verdict, VerdictKind.Forward);
            }
        }

        public void Captured()
        {
            Forward();
            for (int index = 0; index < _captured.Length; index++)
            {
                (index % 2 == 0 ? _udp : _reply).CopyTo(_frame, index * 200);
                _frame[(index * 200) + 41] = index % 2 == 0 ? (byte)7 : (byte)80;
                _captured[index] = new CapturedSlot { Offset = index * 200, Length = (index % 2 == 0 ? _udp : _reply).Length, Time = _now };
            }

            _engine.LookAtCaptured(_frame, _captured);
            Surprises += _engine.HandleCaptured(_frame, _captured, 0, _proofs) == _captured.Length ? 0 : 1;
        }

        public void Request()
        {
            _engine.Handle(new SetscRequest { Token = 1, Protocol = IpProtocol.Tcp, LocalPort = 77, Type = AddressType.Fixed }, _now);
            Surprises += _engine.TryTakeReply(out SetscReply reply) && reply.Status == SetscStatus.Granted ? 0 : 1;
            _engine.CloseSocket(IpProtocol.Tcp, IpAddress.Unspecified, 77, _now);
        }

        public void Conversation()
        {
            ushort port = Open();
            Expect(Out(_fin, port), VerdictKind.Forward);
            Expect(In(_finAck, port), VerdictKind.Forward);
            Later(400);
        }

        private IpAddress SourceFor(ushort port)
        {
            Expect(Out(_udp, port), VerdictKind.Forward);
            return IpAddress.Read(_frame.AsSpan(8));
        }

        // A TCP flow between host and server, open both ways.
        private ushort Open()
        {
            ushort port = NextPort();
            Expect(Out(_syn, port), VerdictKind.Forward);
            _typed = IpAddress.Read(_frame.AsSpan(8));
            Expect(In(_synAck, port), VerdictKind.Forward);
            Expect(Out(_ack, port), VerdictKind.Forward);
            return port;
        }

        private void Roam() =>
            _engine.Attach(++_attachment, _attachment % 2 == 0 ? SecondNetwork : FirstNetwork, Duration.Zero, _now);

        private void Answer(PrefixAnswerKind kind, IpPrefix prefix)
        {
            Surprises += _engine.TryTakePrefixRequest(out PrefixRequest question) ? 0 : 1;
            _engine.Answer(new PrefixAnswer(question.Id, kind, EngineRig.Of(prefix)), _now);
        }

        private ushort NextPort() => _port = (ushort)(_port >= 60_000 ? 10_000 : _port + 1);

        private void Load(byte[] template) => template.CopyTo(_frame, 0);

        private Verdict Out(byte[] template, ushort? port)
        {
            Load(template);
            if (port is ushort number)
            {
                _frame[40] = (byte)(number >> 8);
                _frame[41] = (byte)number;
            }

            return _engine.HandleOutbound(_frame.AsSpan(0, template.Length), new FrameInfo(0), _now);
        }

        private Verdict In(byte[] template, ushort port)
        {
            Load(template);
            _typed.Write(_frame.AsSpan(24));
            _frame[42] = (byte)(port >> 8);
            _frame[43] = (byte)port;
            return _engine.HandleInbound(_frame.AsSpan(0, template.Length), new FrameInfo(0), _now);
        }

        private Verdict Fragment(byte[] template)
        {
            Load(template);
            _frame[46] = (byte)(_identification >> 8);
            _frame[47] = (byte)_identification;
            return _engine.HandleOutbound(_frame.AsSpan(0, template.Length), new FrameInfo(0), _now);
        }

        private int Drain()
        {
            int count = 0;
            while (_engine.TryTakeOutput(_output, _now, out _, out _))
            {
                count++;
            }

            return count;
        }

        private void Later(long seconds)
        {
            _now = _now.Add(Duration.FromSeconds(seconds));
            do
            {
                _engine.Advance(_now);
                Drain();
            }
            while (_engine.NextDeadline <= _now);
        }

        private void Expect(Verdict verdict, VerdictKind kind) => Surprises += verdict.Kind == kind ? 0 : 1;
    }
}

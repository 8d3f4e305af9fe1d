using System.Text;
using OnDemand.Captures.Recording;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Config;
using OnDemand.Linux.Run;
using OnDemand.Linux.Tap;
using Xunit;

namespace OnDemand.Linux.Tests.Run;

/// <summary>In which order frames leave that waited, and those that came later; of one queue, and of a queue among several.</summary>
public sealed class PumpOrderTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_waited_for_an_answer_that_never_came_goes_before_what_came_after_it(bool several)
    {
        var scene = new Scene(several, AddressType.SessionLasting);
        scene.Put(1, 2);
        Assert.Empty(scene.Written);                 // the kernel was asked whose they are

        scene.Time.Pass(TimeSpan.FromSeconds(2));
        scene.Put(3, 4);

        Assert.Equal([1, 2, 3, 4], scene.Written);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_is_forwarded_goes_before_what_waits_beside_it_and_is_let_go_at_once(bool several)
    {
        var scene = new Scene(several, AddressType.SessionLasting);
        scene.Put(1);
        scene.Time.Pass(TimeSpan.FromSeconds(2));
        scene.Put(2);
        scene.Answers = true;

        // Batches of one, two and four: in the last the second is of a new socket.
        scene.Put((1000, 3), (1000, 4), (1000, 5), (1000, 6), (1001, 7), (1000, 8), (1000, 9));

        Assert.Equal([1, 2, 3, 4, 5, 6, 8, 9, 7], scene.Written);
    }

    /// <summary>A pump without a host around it.</summary>
    private sealed class Scene : IEngineShell, IEngineTurns
    {
        private readonly MemoryTap _tap = new();
        private readonly HostClock _clock;
        private readonly EngineDrive _drive;
        private readonly FramePump _pump;

        public Scene(bool several, AddressType type)
        {
            HostConfig config = HostConfigReader.Parse("host.yaml", Encoding.UTF8.GetBytes(HostRig.Nonpersistent.Replace(
                "policy: {default: nonpersistent}", $"policy: {{default: {AddressTypes.ToName(type)}}}", StringComparison.Ordinal)));
            _clock = new HostClock(Time);
            var engine = new DataplaneEngine(EngineSeeds.BuildOptions(config) with { AskSockets = true }, _clock.Now);
            _drive = new EngineDrive(engine, this);
            _pump = new FramePump(engine, _drive, _tap, new RoutedPrefixes(), _clock, config.Host, null, several ? this : null);
            _drive.Attach(1, [new PrefixAdvertisement(IpPrefix.Parse("2001:db8:a1::/64"), type)], null, _clock.Now);
            _drive.Settle();
        }

        public ManualTime Time { get; } = new();

        /// <summary>Whether the kernel answers, and at once.</summary>
        public bool Answers { get; set; }

        /// <summary>The numbers of the frames written.</summary>
        public IEnumerable<int> Written => _tap.Written.Select(whole => (int)whole[VirtioNetHeader.Length + 14 + 48]);

        public void Put(params int[] numbers) => Put([.. numbers.Select(number => (1000, number))]);

        public void Put(params (int Port, int Number)[] frames)
        {
            foreach ((int port, int number) in frames)
            {
                byte[] payload = new byte[20];
                payload[0] = (byte)number;
                _tap.Put(TestFrames.Udp(HostRig.Inside, HostRig.Server, (ushort)port, 53, payload));
            }

            while (_pump.Turn(out _))
            {
                _drive.Settle();
                _drive.Settle();                     // an answer's own step
            }
        }

        bool IEngineShell.TakeOutput(Timestamp now) => _pump.TurnOutput(now);

        void IEngineShell.Follow(in EngineEvent happened)
        {
            // Nobody wants to know.
        }

        void IEngineShell.Ask(in PrefixRequest question, Timestamp now) => Assert.Fail("The network has given what is needed.");

        void IEngineShell.Ask(in SocketQuestion question, Timestamp now)
        {
            if (Answers)
            {
                _drive.Answer(new SocketAnswer { Id = question.Id, Cookie = 7 }, now);
            }
        }

        void IEngineShell.Reply(in SetscReply reply) => Assert.Fail("No program has asked.");

        Timestamp IEngineTurns.Begin(FramePump queue) => _clock.Now;

        void IEngineTurns.Settle(Timestamp now)
        {
            _drive.Settle();
            _drive.Settle();
        }

        void IEngineTurns.End()
        {
            // There is one thread only.
        }
    }
}

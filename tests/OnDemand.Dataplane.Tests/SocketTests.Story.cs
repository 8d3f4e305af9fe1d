using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests;

/// <content>One course of events, told with and without asking.</content>
public sealed partial class SocketTests
{
    /// <summary>Some hours of a host's life, the same for every host with the same seed.</summary>
    private sealed class Story(HostScene scene, int seed, bool asks)
    {
        private readonly List<string> _wire = [];

        public int Questions { get; private set; }

        public List<string> Tell()
        {
            var random = new Random(seed);
            scene.Attach(Nonpersistent, Session);
            for (int step = 0; step < 2000; step++)
            {
                ushort port = (ushort)(5000 + random.Next(40));
                var remote = new IpAddress(Frames.Server.High, (ulong)random.Next(1, 10));
                switch (random.Next(20))
                {
                    case 0:
                        scene.Attach(random.Next(2) == 0 ? [Nonpersistent, Session] : [Nonpersistent]);
                        break;
                    case 1:
                        scene.Pass(random.Next(200));
                        break;
                    case < 6:
                        See(scene.Send(Frames.Tcp(Frames.Host, port, remote, 443, TcpControl.Syn, (uint)step, 0, 0)));
                        break;
                    case < 8:
                        See(scene.Send(Frames.Tcp(Frames.Host, port, remote, 443, TcpControl.Ack, (uint)step, 0, 10)));
                        break;
                    default:
                        See(scene.SendUdp(port, remote));
                        break;
                }
            }

            return _wire;
        }

        private void See(Handled handled)
        {
            if (handled.Forwarded is not null)
            {
                _wire.Add(Convert.ToHexString(handled.Octets));
            }

            while (asks && scene.Engine.TryTakeSocketQuestion(out SocketQuestion question))
            {
                Questions++;
                Say(scene, question, cookie: 0);
            }

            while (scene.Engine.TryTakePrefixRequest(out PrefixRequest network))
            {
                Take();
                scene.Grant(network, Session);
            }

            Take();
        }

        private void Take() => _wire.AddRange(scene.Outputs().Select(output => $"{output.Info.Direction} {Convert.ToHexString(output.Octets)}")
            .Select(line => line.StartsWith("Network ", StringComparison.Ordinal) ? line[8..] : line));
    }
}

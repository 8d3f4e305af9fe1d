using System.Text;
using OnDemand.Dataplane;
using OnDemand.Linux.Config;
using OnDemand.Linux.Control;
using OnDemand.Linux.Providers;
using OnDemand.Linux.Run;
using OnDemand.Linux.Service;
using OnDemand.Linux.State;
using Xunit;

namespace OnDemand.Linux.Tests.Run;

/// <summary>A dataplane on a TAP in memory, whose time the test moves.</summary>
internal sealed class HostRig : IDisposable
{
    public const string Inside = "fd00:a::2";
    public const string Server = "2001:db8:5::2";
    public const string Prefix = "2001:db8:a1::";

    public const string Nonpersistent = """
        seed: 1
        internal: [fd00:a::2]
        network:
          - {at: 0s, attach: ar1, prefixes: [{prefix: "2001:db8:a1::/64", type: nonpersistent}]}
          - {at: 10s, attach: ar2, prefixes: [{prefix: "2001:db8:a2::/64", type: nonpersistent}]}
        policy: {default: nonpersistent}
        """;

    public HostRig(string yaml = Nonpersistent, IDataplaneObserver? observer = null, bool refusesRoutes = false, SavedState? saved = null,
        SocketServices? services = null, MemoryTap? tap = null, IPrefixProvider? provider = null, int queues = 1)
    {
        Taps = [tap ?? new MemoryTap(), .. Enumerable.Range(1, queues - 1).Select(_ => new MemoryTap())];

        Network.RefusesRoutes = refusesRoutes;
        HostConfig config = HostConfigReader.Parse("host.yaml", Encoding.UTF8.GetBytes(yaml));
        Host = new DataplaneHost(config, EngineSeeds.BuildOptions(config), Tap, Network, Said.Add, observer, saved: saved, time: Time, services: services,
            provider: provider, otherQueues: Taps[1..]);
        services?.Start(Host);
        Settle();                                    // what the configuration does at the start
    }

    public MemoryTap[] Taps { get; }

    public MemoryTap Tap => Taps[0];

    public QuietNetwork Network { get; } = new();

    public ManualTime Time { get; } = new();

    public List<string> Said { get; } = [];

    public DataplaneHost Host { get; }

    public ShellCounters Counters => Host.Counters;

    /// <summary>Turns until there is nothing left to do.</summary>
    public HostRig Settle()
    {
        while (Host.Turn())
        {
            // The deadline of a sweep is always now, and each turn does a slice of it.
        }

        return this;
    }

    /// <summary>What another queue's thread would do.</summary>
    public HostRig Put(int queue, byte[] frame)
    {
        Taps[queue].Put(frame);
        while (Host.Pumps[queue].Turn(out _))
        {
            // Until there is nothing left in it.
        }

        return this;
    }

    public HostRig Put(byte[] frame)
    {
        Tap.Put(frame);
        return Settle();
    }

    /// <summary>The last frame written, without its header.</summary>
    public byte[] Last => Tap.Written[^1][Linux.Tap.VirtioNetHeader.Length..];

    public T Command<T>(Func<ControlContext, T> work)
    {
        Task<T> task = Host.RunAsync(work, TestContext.Current.CancellationToken);
        Settle();
        return task.Result;
    }

    public long Drops(DropReason reason) => Command(context => context.Engine.Counters.Of(reason));

    public void Dispose() => Host.Dispose();
}

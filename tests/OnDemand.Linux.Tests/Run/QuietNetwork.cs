using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Host;
using OnDemand.Linux.Run;

namespace OnDemand.Linux.Tests.Run;

/// <summary>A host's network that only remembers what it was told.</summary>
internal sealed class QuietNetwork : IHostNetwork
{
    public List<string> Told { get; } = [];

    public Queue<HostEvent> Events { get; } = new();

    public int Descriptor { get; init; } = -1;

    public bool UplinkUp => true;

    public bool RefusesRoutes { get; set; }

    /// <summary>What the kernel answers when a route is to be removed; null for nothing bad.</summary>
    public Exception? RemovalProblem { get; set; }

    public void Apply() => Told.Add("apply");

    public void TakeBack() => Told.Add("take back");

    public void AddPrefixRoute(IpPrefix prefix)
    {
        if (RefusesRoutes)
        {
            throw new HostException("No route today.");
        }

        Told.Add($"add {prefix}");
    }

    public void RemovePrefixRoute(IpPrefix prefix)
    {
        if (RemovalProblem is not null)
        {
            throw RemovalProblem;
        }

        Told.Add($"remove {prefix}");
    }

    public bool TryTakeEvent(out HostEvent happened) => Events.TryDequeue(out happened);
}

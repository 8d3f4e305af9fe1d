using OnDemand.Linux.Audit;
using OnDemand.Linux.Control;
using OnDemand.Linux.Host;
using OnDemand.Linux.Providers;
using OnDemand.Linux.Rights;

namespace OnDemand.Linux.Config;

/// <summary>Whether the kernel does neighbor discovery on the TAP.</summary>
internal enum NeighborMode : byte
{
    /// <summary>No: the interface has <c>arp off</c>.</summary>
    Off,

    /// <summary>Yes, and its solicitations are answered.</summary>
    Answer,
}

/// <summary>The part of a configuration that only a running host has: the map <c>host</c>.</summary>
internal sealed record HostSettings
{
    /// <summary>The TAP's name unless the configuration says otherwise.</summary>
    public const string DefaultTap = "od0";

    /// <summary>The routing table that sends what local programs send into the TAP.</summary>
    public const uint DefaultTable = HostPlan.UsualTable;

    /// <summary>The preference of the rule that leads there.</summary>
    public const uint DefaultRulePreference = HostPlan.UsualRulePreference;

    /// <summary>The MTU of the TAP unless the configuration says otherwise.</summary>
    public const int DefaultMtu = 1500;

    /// <summary>The most queues that the TAP can have.</summary>
    public const int MostQueues = 16;

    /// <summary>The TAP's name.</summary>
    public string Tap { get; init; } = DefaultTap;

    /// <summary>The TAP's MTU in octets, 1280 (RFC 8200 §5) to 65521.</summary>
    public int Mtu { get; init; } = DefaultMtu;

    /// <summary>Neighbor discovery on the TAP.</summary>
    public NeighborMode Neighbors { get; init; }

    /// <summary>The routing table, 1 to 2^32 − 1, but not one of the kernel's own.</summary>
    public uint Table { get; init; } = DefaultTable;

    /// <summary>The rule's preference, 2 to 32764: before the rule of table main, with one to spare.</summary>
    public uint RulePreference { get; init; } = DefaultRulePreference;

    /// <summary>The path of the control socket.</summary>
    public string Control { get; init; } = DefaultControl(DefaultTap);

    /// <summary>The path of the programs' socket; null if there is none.</summary>
    public string? Programs { get; init; } = ControlSocket.ForProgramsBeside(DefaultControl(DefaultTap));

    /// <summary>Who may have what.</summary>
    public RightsConfig Rights { get; init; } = RightsConfig.Unlimited;

    /// <summary>Where grants and refusals are written; null for nowhere.</summary>
    public AuditSettings? Audit { get; init; }

    /// <summary>The directory for what has to survive a restart.</summary>
    public string State { get; init; } = DefaultState(DefaultTap);

    /// <summary>Whether IPv6 forwarding is switched on if it is off; else that is an error.</summary>
    public bool SetForwarding { get; init; }

    /// <summary>Whether the kernel is asked whose flows are; else sockets are known by their ports.</summary>
    public bool AskSockets { get; init; } = true;

    /// <summary>Whether the preferences that programs gave the kernel for their sockets are read (RFC 5014).</summary>
    public bool ReadPreferences { get; init; } = true;

    /// <summary>Whether many frames are read or written with one system call, where the kernel lets us (io_uring).</summary>
    public bool UseRing { get; init; } = true;

    /// <summary>Whether segments that follow one another are put together into superpackets, as far as the kernel takes them.</summary>
    public bool Coalesce { get; init; } = true;

    /// <summary>On which processor the thread of the packet path runs.</summary>
    public ProcessorChoice Processor { get; init; }

    /// <summary>Queues of the TAP, each with a thread of its own that reads and writes; 1 to <see cref="MostQueues"/>.</summary>
    public int Queues { get; init; } = 1;

    /// <summary>The interfaces that lead to the network; empty if nobody wants to know whether they are up.</summary>
    public IReadOnlyList<string> Uplinks { get; init; } = [];

    /// <summary>The program that speaks to the network; null for the configuration's own table <c>on-demand</c>.</summary>
    public ProviderSettings? Provider { get; init; }

    /// <summary>Where a dataplane listens for commands unless the configuration says otherwise.</summary>
    /// <param name="tap">Its TAP.</param>
    /// <returns>The path.</returns>
    public static string DefaultControl(string tap) => ControlSocket.DefaultFor(tap);

    /// <summary>Where a dataplane keeps its state unless the configuration says otherwise.</summary>
    /// <param name="tap">Its TAP.</param>
    /// <returns>The path.</returns>
    public static string DefaultState(string tap) => $"/var/lib/ondemand/{tap}";
}

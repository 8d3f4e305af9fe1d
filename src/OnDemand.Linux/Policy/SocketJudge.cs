using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Config;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Programs;
using OnDemand.Linux.Rights;
using OnDemand.Linux.Service;
using OnDemand.Linux.Sockets;

namespace OnDemand.Linux.Policy;

/// <summary>
/// Says what the policy and the command that it was started under mean for a socket. <see cref="Judge"/> is for one thread; policy and rights
/// may be changed from another. A command does not give a socket a type that its user, or its program, has no right to, or too much of
/// already: then policy decides.
/// </summary>
internal sealed class SocketJudge : ISocketJudge
{
    private const int CgroupsKept = 16_384;

    private readonly Dictionary<ulong, Place> _places = [];
    private readonly SocketOwners _owners;
    private readonly string? _root;
    private readonly CgroupPaths? _cgroups;
    private readonly string _tap;
    private volatile SocketTraits _traits;
    private volatile RightsCheck _rights;
    private volatile CommandSockets? _commands;

    /// <summary>Makes a judge.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="owners">Finds the programs of sockets.</param>
    /// <param name="cgroupRoot">Where the cgroup hierarchy (version 2) is mounted; null if it is not.</param>
    /// <exception cref="ScenarioException">The policy names a user or group that this host does not know.</exception>
    /// <exception cref="LinuxException">The host's database of users cannot be read.</exception>
    public SocketJudge(HostConfig config, SocketOwners owners, string? cgroupRoot)
    {
        _owners = owners;
        _root = cgroupRoot;
        _cgroups = cgroupRoot is null ? null : new CgroupPaths(cgroupRoot);
        _tap = config.Host.Tap;
        _traits = Resolve(config.Scenario);
        _rights = new RightsCheck(config.Host.Rights);
    }

    /// <summary>Makes a judge for this host.</summary>
    /// <param name="config">The configuration.</param>
    /// <returns>The judge.</returns>
    /// <exception cref="ScenarioException">The policy names a user or group that this host does not know.</exception>
    /// <exception cref="LinuxException">The host's database of users cannot be read.</exception>
    public static SocketJudge ForThisHost(HostConfig config) => new(
        config, new SocketOwners(new SocketOwnerLimits(), TimeProvider.System), CgroupMount.Find());

    /// <summary>Resolves the users and groups that a policy names, as they are now. From any thread.</summary>
    /// <param name="scenario">The policy's scenario.</param>
    /// <returns>What <see cref="Use(SocketTraits)"/> takes.</returns>
    /// <exception cref="ScenarioException">The policy names a user or group that this host does not know.</exception>
    /// <exception cref="LinuxException">The host's database of users cannot be read.</exception>
    public SocketTraits Resolve(Scenario scenario) => new(scenario.Policy, scenario.File, _owners);

    /// <summary>Judges by another policy from now on. From any thread.</summary>
    /// <param name="traits">Its conditions.</param>
    public void Use(SocketTraits traits) => _traits = traits;

    /// <summary>Grants by other rights from now on. From any thread.</summary>
    /// <param name="rights">The rights.</param>
    public void Use(RightsConfig rights) => _rights = new RightsCheck(rights);

    /// <summary>Counts and records the sockets of commands from now on. From any thread.</summary>
    /// <param name="commands">Does so.</param>
    public void Use(CommandSockets commands) => _commands = commands;

    /// <inheritdoc/>
    public IEnumerable<ulong> Counted => _commands?.Cookies ?? [];

    /// <inheritdoc/>
    public SocketVerdict Judge(in SocketRecord socket)
    {
        Place place = PlaceOf(socket.CgroupId);
        ulong traits = _traits.Of(socket, place.Path);
        return place is { Path: { } path, Exec: { } exec } && socket.HasProgram && exec.SpeaksFor(socket.Uid) && MayHave(socket, path, exec)
            ? new SocketVerdict(traits, exec.Type, exec.OnNet)
            : new SocketVerdict(traits, AddressType.None, OnNet: false, _traits.LeavesToLegacy);
    }

    private bool MayHave(in SocketRecord socket, string path, in ExecCgroup exec)
    {
        var applicant = new SocketApplicant(socket, _owners);
        return _commands is { } commands
            ? commands.TryAdmit(socket, path, exec, _rights, applicant) : _rights.WhyNot(applicant, exec.Type) is null;
    }

    // A cgroup's number is never used again, and it can be neither moved nor renamed: what was found once stays true. One that was not found
    // is gone, and stays so.
    private Place PlaceOf(ulong cgroup)
    {
        if (_cgroups is null || cgroup == 0)
        {
            return default;
        }

        if (_places.TryGetValue(cgroup, out Place known))
        {
            return known;
        }

        if (_places.Count == CgroupsKept)
        {
            _places.Clear();
        }

        string? path = _cgroups.Find(cgroup);
        var place = new Place(path, path is null ? null : ExecCgroup.Read(_root!, path, _tap));
        _places.Add(cgroup, place);
        return place;
    }

    private readonly record struct Place(string? Path, ExecCgroup? Exec);
}

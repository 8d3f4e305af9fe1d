using System.Numerics;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Sockets;

namespace OnDemand.Linux.Policy;

/// <summary>
/// Says which conditions of a policy a socket meets. Users and groups are resolved once, when it is made; only what some condition names is looked
/// up. A user's groups are those of the host's database, primary and supplementary, as it has them when a socket of that user is first seen:
/// the kernel does not say which groups a process has joined or left. Belongs to one thread at a time.
/// </summary>
internal sealed class SocketTraits
{
    private const int UsersKept = 4096;

    private readonly Demand[] _demands;
    private readonly Dictionary<uint, ulong> _ofUsers = [];
    private readonly SocketOwners _owners;
    private readonly ulong _all;
    private readonly ulong _maker;                   // those that name a user or group
    private readonly ulong _cgroup;
    private readonly ulong _program;
    private readonly bool _namesGroups;

    /// <summary>Resolves the conditions of a policy.</summary>
    /// <param name="policy">The policy.</param>
    /// <param name="file">The file that it is from, for errors.</param>
    /// <param name="owners">Finds the programs of sockets; asked only if a condition names one.</param>
    /// <exception cref="ScenarioException">A condition names a user or group that this host does not know.</exception>
    /// <exception cref="LinuxException">The host's database of users cannot be read.</exception>
    public SocketTraits(ScenarioPolicy policy, string file, SocketOwners owners)
    {
        _owners = owners;
        LeavesToLegacy = policy.Default == AddressType.None || policy.Rules.Any(static rule => rule.Legacy);
        _demands = [.. policy.Conditions.Select(condition => Resolve(condition, file))];
        for (int bit = 0; bit < _demands.Length; bit++)
        {
            ref readonly Demand demand = ref _demands[bit];
            ulong mask = 1UL << bit;
            _all |= demand.IsThere ? mask : 0;
            _maker |= demand.User is not null || demand.Group is not null ? mask : 0;
            _cgroup |= demand.Cgroup is not null ? mask : 0;
            _program |= demand.Program is not null ? mask : 0;
            _namesGroups |= demand.Group is not null;
        }
    }

    /// <summary>Whether the policy leaves some sockets without a type, a prefix or preferences: then their own preferences count.</summary>
    public bool LeavesToLegacy { get; }

    /// <summary>Which conditions a socket meets. Allocates nothing for a user that was seen before, unless a condition names a program and its
    /// other parts hold.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="cgroup">The path of the cgroup that it was made in; null if that is not known.</param>
    /// <returns>The bits, see <see cref="PolicyRule.Traits"/>.</returns>
    public ulong Of(in SocketRecord socket, string? cgroup)
    {
        // Of a socket that no program has, neither the user nor the program is known.
        ulong met = socket.HasProgram ? OfUser(socket.Uid) : _all & ~_maker & ~_program;
        for (ulong left = met & _cgroup; left != 0; left &= left - 1)
        {
            int bit = BitOperations.TrailingZeroCount(left);
            met &= IsWithin(cgroup, _demands[bit].Cgroup!) ? ~0UL : ~(1UL << bit);
        }

        return (met & _program) == 0 ? met : met & (~_program | OfProgram(socket, met & _program));
    }

    private static Demand Resolve(SocketCondition? condition, string file) => condition is null ? default : new Demand(
        IsThere: true,
        condition.User is { } user ? UserNames.UserOf(user) ?? throw Unknown("user", user, condition.UserPlace, file) : null,
        condition.Group is { } group ? UserNames.GroupOf(group) ?? throw Unknown("group", group, condition.GroupPlace, file) : null,
        condition.Program is { } program ? new ProgramPattern(program) : null,
        condition.Cgroup);

    private static ScenarioException Unknown(string what, string name, ScenarioPlace place, string file) => new(
        file, place.Line, place.Column, $"found the unknown {what} {ScalarNode.Quote(name)}, expected a {what} of this host or a number");

    private static bool IsWithin(string? path, string cgroup) =>
        path is not null && path.StartsWith(cgroup, StringComparison.Ordinal)
        && (cgroup.Length == 1 || path.Length == cgroup.Length || path[cgroup.Length] == '/');

    // What holds of everything that the user makes.
    private ulong OfUser(uint user)
    {
        if (_maker == 0)
        {
            return _all;
        }

        if (_ofUsers.TryGetValue(user, out ulong known))
        {
            return known;
        }

        bool isKnown = TryFindGroups(user, out IReadOnlyList<uint> groups);
        ulong met = _all;
        for (int bit = 0; bit < _demands.Length; bit++)
        {
            ref readonly Demand demand = ref _demands[bit];
            bool holds = (demand.User is not { } only || only == user) && (demand.Group is not { } group || groups.Contains(group));
            met &= holds ? ~0UL : ~(1UL << bit);
        }

        if (isKnown)
        {
            if (_ofUsers.Count == UsersKept)
            {
                _ofUsers.Clear();
            }

            _ofUsers.Add(user, met);
        }

        return met;
    }

    // A database that does not answer now is asked again for the next socket.
    private bool TryFindGroups(uint user, out IReadOnlyList<uint> groups)
    {
        groups = [];
        try
        {
            groups = _namesGroups ? UserNames.GroupsOf(user) : [];
            return true;
        }
        catch (LinuxException)
        {
            return false;
        }
    }

    private ulong OfProgram(in SocketRecord socket, ulong asked)
    {
        if (!_owners.TryFind(socket, out SocketOwner owner) || owner.Program is not { } path)
        {
            return 0;
        }

        ulong met = 0;
        for (ulong left = asked; left != 0; left &= left - 1)
        {
            int bit = BitOperations.TrailingZeroCount(left);
            met |= _demands[bit].Program!.Matches(path) ? 1UL << bit : 0;
        }

        return met != 0 && ProgramPattern.Runs(owner.ProcessId, path) ? met : 0;
    }

    private readonly record struct Demand(bool IsThere, uint? User, uint? Group, ProgramPattern? Program, string? Cgroup);
}

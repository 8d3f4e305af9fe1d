using System.Collections.Concurrent;
using System.Globalization;
using System.Threading.Channels;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Audit;
using OnDemand.Linux.Policy;
using OnDemand.Linux.Rights;
using OnDemand.Linux.Service;
using OnDemand.Linux.Sockets;

namespace OnDemand.Linux.Programs;

/// <summary>
/// The sockets that have the type of the command they were started under (<c>ondemand exec</c>): whether their users may have one more, by
/// the same rights and quotas as with setsc(), and the record of it.
/// </summary>
/// <remarks>
/// Three threads come here. The broker's admits sockets; the engine's tells which addresses they got and when they end, in that order;
/// neither ever waits for a disk or a search through <c>/proc</c>: the record is written by a third. A socket counts from when it is
/// admitted until it ends. Which prefix it gets is known only then; until it is, the one that the user has of the type is expected, or one
/// more. What a socket got is not taken back, for its flow is under way.
/// A socket that was granted is recorded once. A refusal is recorded once for a command, its user, type and reason, not for each flow; and
/// again after other rights are in force, or, of a quota, after it has let a socket of that command through.
/// </remarks>
/// <param name="services">What sockets have asked for themselves.</param>
/// <param name="accounts">What each user has going on.</param>
/// <param name="audit">The record; null for none.</param>
/// <param name="clock">The time of the record.</param>
internal sealed class CommandSockets(ISocketServices services, UserAccounts accounts, AuditLog? audit, Func<Timestamp> clock)
{
    /// <summary>How many refusals are remembered; beyond that some are recorded again.</summary>
    public const int MostRefusals = 4096;

    private const int MostSearches = 256;            // entries that wait; with more of them a socket's program is not looked for any more
    private const string Forbidden = "forbidden";    // as the names of problems
    private const string Quota = "quota";

    private readonly ConcurrentDictionary<ulong, Admitted> _admitted = new();
    private readonly Channel<Happening> _happened = Channel.CreateUnbounded<Happening>();    // one that can be counted
    private readonly HashSet<Refusal> _refused = [];                              // the broker's
    private readonly List<IpPrefix> _prefixes = [];                               // the engine's
    private readonly SocketOwners _owners = new(new SocketOwnerLimits(), TimeProvider.System);    // the record's
    private RightsCheck? _refusedBy;
    private Task? _recording;

    /// <summary>The sockets that count.</summary>
    public ICollection<ulong> Cookies => _admitted.Keys;

    /// <summary>Begins to follow what happens.</summary>
    public void Start() => _recording = Task.Run(RecordAsync);

    /// <summary>Whether a socket gets its command's type. On the broker's thread.</summary>
    /// <param name="socket">The socket; a program has it.</param>
    /// <param name="cgroup">The command's cgroup.</param>
    /// <param name="command">What it says.</param>
    /// <param name="rights">Who may have what.</param>
    /// <param name="applicant">The socket's user and program.</param>
    /// <returns>Whether it does; else policy decides.</returns>
    public bool TryAdmit(in SocketRecord socket, string cgroup, in ExecCgroup command, RightsCheck rights, IApplicant applicant)
    {
        if (services.Find(socket.Cookie) is { Type: not AddressType.None })
        {
            return false;                            // what it asked for itself comes first, and is counted there
        }

        if (rights.WhyNot(applicant, command.Type) is not null)
        {
            Refuse(socket, cgroup, command, rights, Forbidden);
            return false;
        }

        if (_admitted.ContainsKey(socket.Cookie))
        {
            return true;
        }

        UserAccount account = accounts.Of(socket.Uid);
        if (socket.Uid != 0 && !(account.TryRequest() && TryCount(account, socket, command.Type, rights)))
        {
            Refuse(socket, cgroup, command, rights, Quota);
            return false;
        }

        _refused.Remove(new Refusal(socket.CgroupId, socket.Uid, command.Type, Quota));
        _admitted[socket.Cookie] = new Admitted(socket, cgroup, command, account);
        return true;
    }

    /// <summary>Something happened in the engine. On the engine's thread.</summary>
    /// <param name="happened">What.</param>
    public void Follow(in EngineEvent happened)
    {
        switch (happened.Kind)
        {
            case EngineEventKind.PrefixAdded:
                _prefixes.Add(happened.Prefix);
                break;
            case EngineEventKind.PrefixEnded:
                _prefixes.Remove(happened.Prefix);
                break;
            case EngineEventKind.FlowOpened or EngineEventKind.FlowWentOver when happened.Decision.Origin == DecisionOrigin.Command:
                if (_admitted.TryGetValue(happened.Socket, out Admitted? admitted) && admitted.Address != happened.Address)
                {
                    _happened.Writer.TryWrite(new Happening(
                        admitted, admitted.Address == default ? "granted" : null, happened.Address, PrefixOf(happened.Address)));
                    admitted.Address = happened.Address;
                }

                break;
        }
    }

    /// <summary>A socket is no more. On the engine's thread, after everything that it got.</summary>
    /// <param name="cookie">The socket.</param>
    public void End(ulong cookie)
    {
        if (_admitted.TryRemove(cookie, out Admitted? admitted))
        {
            _happened.Writer.TryWrite(new Happening(admitted, null, default, null));
        }
    }

    /// <summary>Writes down what is still to be written, and no more.</summary>
    /// <returns>When it is done.</returns>
    public async Task StopAsync()
    {
        _happened.Writer.TryComplete();
        await (_recording ?? Task.CompletedTask).ConfigureAwait(false);
    }

    private bool TryCount(UserAccount account, in SocketRecord socket, AddressType type, RightsCheck rights)
    {
        lock (account.Lock)
        {
            Possession[] has = rights.CountsPossessions ? account.Possessions(services.List(socket.Uid)) : [];
            if (rights.WhyNoMore(socket.Uid, socket.Cookie, type, has, account.UnderWay) is not null)
            {
                return false;
            }

            // A /128 of ::/64 stands for a prefix that is not known yet: no network gives one, and there is one for each type.
            IpPrefix expected = has.FirstOrDefault(one => one.Type == type) is { Cookie: not 0 } known
                ? known.Prefix : new IpPrefix(new IpAddress(0, (ulong)type), 128);
            account.Commands[socket.Cookie] = new Possession(socket.Cookie, type, expected);
            return true;
        }
    }

    private void Refuse(in SocketRecord socket, string cgroup, in ExecCgroup command, RightsCheck rights, string reason)
    {
        if (!ReferenceEquals(_refusedBy, rights) || _refused.Count == MostRefusals)
        {
            _refusedBy = rights;
            _refused.Clear();
        }

        if (_refused.Add(new Refusal(socket.CgroupId, socket.Uid, command.Type, reason)))
        {
            _happened.Writer.TryWrite(new Happening(new Admitted(socket, cgroup, command, null), reason, default, null));
        }
    }

    private IpPrefix? PrefixOf(IpAddress address)
    {
        IpPrefix? longest = null;
        foreach (IpPrefix prefix in _prefixes)
        {
            longest = prefix.Contains(address) && (longest is not { } other || prefix.Length > other.Length) ? prefix : longest;
        }

        return longest;
    }

    private async Task RecordAsync()
    {
        await foreach (Happening happening in _happened.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            Count(happening);
            if (happening.Result is { } result)
            {
                Record(happening.Socket, result, happening.Address);
            }
        }
    }

    private static void Count(in Happening happening)
    {
        if (happening.Socket.Account is not { } account)
        {
            return;
        }

        ulong cookie = happening.Socket.Record.Cookie;
        lock (account.Lock)
        {
            if (happening.Address == default)
            {
                account.Commands.Remove(cookie);
            }
            else if (happening.Prefix is { } prefix && account.Commands.TryGetValue(cookie, out Possession counted))
            {
                account.Commands[cookie] = counted with { Prefix = prefix };
            }
        }
    }

    private void Record(Admitted socket, string result, IpAddress address)
    {
        if (audit is null)
        {
            return;
        }

        // Whoever has it, as long as somebody does; else the command itself.
        SocketOwner owner = default;
        bool isFound = _happened.Reader.Count < MostSearches && _owners.TryFind(socket.Record, out owner);
        audit.Add(new AuditEntry
        {
            Time = clock(),
            Uid = socket.Record.Uid,
            Pid = isFound ? owner.ProcessId : socket.Command.Process,
            Program = isFound ? owner.Program : null,
            Cookie = socket.Record.Cookie.ToString(CultureInfo.InvariantCulture),
            Type = AddressTypes.ToName(socket.Command.Type),
            Result = result,
            Address = address == default ? null : address,
            Cgroup = socket.Cgroup,
        });
    }

    private readonly record struct Refusal(ulong Cgroup, uint User, AddressType Type, string Reason);

    // An address is one that the socket got; no result is nothing to record; neither is a socket's end.
    private readonly record struct Happening(Admitted Socket, string? Result, IpAddress Address, IpPrefix? Prefix);

    private sealed class Admitted(SocketRecord record, string cgroup, ExecCgroup command, UserAccount? account)
    {
        public SocketRecord Record => record;

        public string Cgroup => cgroup;

        public ExecCgroup Command => command;

        public UserAccount? Account => account;

        // The engine's thread alone.
        public IpAddress Address { get; set; }
    }
}

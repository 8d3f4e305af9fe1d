using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Audit;
using OnDemand.Linux.Control;
using OnDemand.Linux.Rights;
using OnDemand.Linux.Service;

namespace OnDemand.Linux.Programs;

/// <summary>
/// What programs may ask for their sockets, on whatever socket they ask: finds out which socket is meant and whose it is, whether its
/// user may have that, and how much; asks; and keeps the record. From any thread; one for all sockets, for quotas hold over all of them.
/// </summary>
/// <param name="services">What the dataplane does.</param>
/// <param name="lookup">What the kernel knows of sockets.</param>
/// <param name="rights">Who may have what.</param>
/// <param name="audit">The record; null for none.</param>
/// <param name="clock">The time by which lifetimes count, in nanoseconds since 1970.</param>
/// <param name="time">The clock of quotas and heartbeats.</param>
/// <param name="whyNotNative">Why no socket can be given an address to bind itself to, in a sentence, or null if it can; asked each time.
/// Null if nothing is ever in the way.</param>
internal sealed class SocketRequests(
    ISocketServices services, ISocketLookup lookup, RightsConfig rights, AuditLog? audit, Func<Timestamp> clock, TimeProvider time,
    Func<string?>? whyNotNative = null)
    : IDisposable
{
    // Beyond what the request allows the network: the dataplane itself must have answered by then.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly DescriptorSockets _descriptors = new();
    private volatile RightsCheck _check = new(rights);

    /// <summary>What each user has going on.</summary>
    public UserAccounts Accounts { get; } = new(rights.Quotas, time);

    /// <summary>The clock of heartbeats.</summary>
    public TimeProvider Time => time;

    /// <summary>The time by which lifetimes count.</summary>
    public Timestamp Now => clock();

    /// <summary>Goes by other rights from now on; how many requests a minute may have stays. From any thread.</summary>
    /// <param name="others">The rights.</param>
    public void Use(RightsConfig others) => _check = new RightsCheck(others);

    /// <summary>Asks for an address.</summary>
    /// <param name="asker">Who asks.</param>
    /// <param name="order">What for.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>What the socket has now, and the time by which its lifetimes count.</returns>
    /// <exception cref="ControlException">It has got nothing.</exception>
    public async Task<(SocketBinding Binding, Timestamp Now)> SetAsync(
        Asker asker, SetscOrder order, CancellationToken cancellationToken)
    {
        ulong? cookie = order.Cookie;
        string? program = ProgramOf(asker);
        string type = AddressTypes.ToName(order.Type);
        try
        {
            SocketOwnerInfo socket = await IdentifyAsync(asker, order, cancellationToken).ConfigureAwait(false);
            cookie = socket.Cookie;
            Admit(asker, order, socket);
            if (!order.Map && whyNotNative?.Invoke() is { } sentence)
            {
                // As where there is no such address: the caller does without it, which works; an address that hears nothing does not.
                throw new ControlException(ProblemTypes.TypeNotSupported, 409, sentence);
            }

            var request = new ServiceRequest(
                socket.Cookie, socket.User, order.Type, order.OnNet, order.Map, order.Preferences, order.Timeout)
            {
                Place = socket.Place,
            };
            ServiceAnswer answer = await AskWithinQuotasAsync(asker, request, cancellationToken).ConfigureAwait(false);
            SocketBinding binding = answer is { Status: ServiceStatus.Granted, Binding: { } granted } ? granted : throw Explain(answer.Status, request);
            Record(asker, program, cookie, type, "granted", binding);
            return (binding, answer.Now);
        }
        catch (ControlException refused)
        {
            Record(asker, program, cookie, type, NameOf(refused), null);
            throw;
        }
        catch (OperationCanceledException)
        {
            Record(asker, program, cookie, type, "abandoned", null);
            throw;
        }
    }

    /// <summary>What sockets have, by cookie.</summary>
    /// <param name="asker">Who asks.</param>
    /// <returns>The bindings.</returns>
    public IReadOnlyList<SocketBinding> List(Asker asker) => services.List(asker.Only);

    /// <summary>What a socket has.</summary>
    /// <param name="asker">Who asks.</param>
    /// <param name="cookie">The socket.</param>
    /// <returns>The binding.</returns>
    /// <exception cref="ControlException">There is none, or it is another user's.</exception>
    public SocketBinding Find(Asker asker, ulong cookie)
    {
        SocketBinding binding = services.Find(cookie) ?? throw NoBinding(cookie);
        return asker.IsForAll || binding.User == asker.Process.User ? binding : throw NotYours();
    }

    /// <summary>Gives up what a socket has asked for.</summary>
    /// <param name="asker">Who asks.</param>
    /// <param name="cookie">The socket.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <returns>When it is done.</returns>
    /// <exception cref="ControlException">There is nothing to give up, or it is another user's.</exception>
    public async Task ReleaseAsync(Asker asker, ulong cookie, CancellationToken cancellationToken)
    {
        string? program = ProgramOf(asker);
        try
        {
            _ = Find(asker, cookie);
            if (!await Available(services.ReleaseAsync(cookie, cancellationToken)).ConfigureAwait(false))
            {
                throw NoBinding(cookie);
            }

            Record(asker, program, cookie, null, "released", null);
        }
        catch (ControlException refused)
        {
            Record(asker, program, cookie, null, NameOf(refused), null);
            throw;
        }
    }

    /// <summary>Whether whoever asks may have a type; quotas are another matter.</summary>
    /// <param name="asker">Who asks.</param>
    /// <param name="type">The type.</param>
    /// <returns>The answer.</returns>
    public RightResource RightTo(Asker asker, AddressType type)
    {
        IReadOnlyList<string>? programs = null;
        string? reason = asker.IsForAll ? null : _check.WhyNever(asker.Process, type, out programs);
        return new RightResource(type, reason is null, reason, programs);
    }

    /// <summary>Tells what becomes of bindings.</summary>
    /// <param name="asker">Who asks.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>The notices.</returns>
    public IAsyncEnumerable<BindingNotice> WatchAsync(Asker asker, CancellationToken cancellationToken) =>
        services.WatchAsync(asker.Only, cancellationToken);

    /// <inheritdoc/>
    public void Dispose() => Accounts.Dispose();

    // Which socket is meant, if the asker may ask at all.
    private async Task<SocketOwnerInfo> IdentifyAsync(Asker asker, SetscOrder order, CancellationToken cancellationToken)
    {
        PeerProcess process = asker.Process;
        UserAccount account = Accounts.Of(process.User);
        if (!asker.IsForAll && !account.TryRequest())
        {
            throw OverQuota($"User {process.User} may ask {rights.Quotas.RequestsPerMinute} times in a minute, and has done so.");
        }

        await account.LookUps.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return Identify(process, order);
        }
        finally
        {
            account.LookUps.Release();
        }
    }

    // Whether the asker may ask for this socket, and for this type.
    private void Admit(Asker asker, SetscOrder order, SocketOwnerInfo socket)
    {
        if (asker.IsForAll)
        {
            return;
        }

        if (socket.User != asker.Process.User)
        {
            throw NotYours();
        }

        if (_check.WhyNot(asker.Process, order.Type) is { } sentence)
        {
            throw new ControlException(ProblemTypes.Forbidden, 403, sentence);
        }
    }

    private SocketOwnerInfo Identify(PeerProcess process, SetscOrder order)
    {
        if (order.Descriptor is { } descriptor)
        {
            return _descriptors.Find(process, descriptor);
        }

        if (order.Cookie is { } cookie)
        {
            // Going through all sockets is dear; a binding lives no longer than its socket, and its user is known.
            return services.Find(cookie) is { } binding
                ? new SocketOwnerInfo(cookie, binding.User) { Place = binding.Place }
                : lookup.ByCookie(cookie) ?? throw Unknown(
                    $"No socket of TCP or UDP over IPv6 that has a port has the cookie {cookie}; one without a port is found by its descriptor ('fd').");
        }

        return lookup.ByFlow(order.Flow!.Value) ?? throw Unknown("No socket has that flow.");
    }

    private async Task<ServiceAnswer> AskWithinQuotasAsync(Asker asker, ServiceRequest request, CancellationToken cancellationToken)
    {
        if (asker.IsForAll || !_check.CountsPossessions)
        {
            return await AskAsync(request, cancellationToken).ConfigureAwait(false);
        }

        UserAccount account = Accounts.Of(request.User);
        lock (account.Lock)
        {
            if (_check.WhyNoMore(request.User, request.Cookie, request.Type, account.Possessions(services.List(request.User)), account.UnderWay) is { } sentence)
            {
                throw OverQuota(sentence);
            }

            account.Begin(request.Cookie);
        }

        string? tooMuch = null;
        ServiceAnswer answer;
        try
        {
            answer = await AskAsync(request, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            lock (account.Lock)
            {
                account.End(request.Cookie);
            }
        }

        // Of two that came at the same time the first that looks may keep what it has got.
        if (answer.Binding is { } binding)
        {
            lock (account.Lock)
            {
                tooMuch = _check.WhyNotKeep(
                    request.User, new Possession(binding.Cookie, binding.Type, binding.Prefix),
                    [.. account.Possessions(services.List(request.User)).Where(one => !account.UnderWay.Contains(one.Cookie))]);
            }
        }

        if (tooMuch is not null)
        {
            await Available(services.ReleaseAsync(request.Cookie, CancellationToken.None)).ConfigureAwait(false);
            throw OverQuota(tooMuch);
        }

        return answer;
    }

    private async Task<ServiceAnswer> AskAsync(ServiceRequest request, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(request.Timeout + Patience);
        try
        {
            return await Available(services.RequestAsync(request, patience.Token)).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new ControlException(ProblemTypes.Unavailable, 503, "The dataplane did not answer in time.");
        }
    }

    private static async Task<T> Available<T>(Task<T> work)
    {
        try
        {
            return await work.ConfigureAwait(false);
        }
        catch (InvalidOperationException busy)
        {
            throw new ControlException(ProblemTypes.Unavailable, 503, busy.Message);
        }
    }

    private static ControlException Explain(ServiceStatus status, ServiceRequest request)
    {
        string address = request.Type == AddressType.None ? "address with these preferences" : $"{AddressTypes.ToName(request.Type)} address";
        return status switch
        {
            ServiceStatus.NotSupported => new ControlException(
                ProblemTypes.TypeNotSupported, 409, $"No {address} is to be had here."),
            ServiceStatus.Refused => new ControlException(
                ProblemTypes.NetworkRefused, 502, $"The network refused to give any {address}."),
            ServiceStatus.TimedOut => new ControlException(
                ProblemTypes.NetworkSilent, 504, $"The network gave no {address} within {request.Timeout.TotalSeconds:0.###} seconds."),
            ServiceStatus.Gone => new ControlException(
                ProblemTypes.UnknownSocket, 404, "The socket was closed meanwhile, or asked for something else."),
            ServiceStatus.NoRoom => new ControlException(ProblemTypes.NoRoom, 503, "The dataplane has no room for one more socket."),
            _ => new ControlException(ProblemTypes.Invalid, 400, "The request contradicts itself."),
        };
    }

    // Asked at the beginning: at the end the process may be gone.
    private string? ProgramOf(Asker asker) => audit is null ? null : asker.Process.FindProgram();

    private void Record(Asker asker, string? program, ulong? cookie, string? type, string result, SocketBinding? binding) => audit?.Add(new AuditEntry
    {
        Time = clock(),
        Uid = asker.Process.User,
        Pid = asker.Process.Id,
        Program = program,
        Cookie = cookie?.ToString(System.Globalization.CultureInfo.InvariantCulture),
        Type = type,
        Result = result,
        Address = binding?.Address,
    });

    private static string NameOf(ControlException refused) =>
        refused.Problem.Type[(refused.Problem.Type.LastIndexOf(':') + 1)..];

    private static ControlException NoBinding(ulong cookie) => Unknown($"The socket {cookie} has asked for nothing, or is gone.");

    private static ControlException Unknown(string sentence) => new(ProblemTypes.UnknownSocket, 404, sentence);

    private static ControlException NotYours() => new(ProblemTypes.Forbidden, 403, "That socket belongs to another user.");

    private static ControlException OverQuota(string sentence) => new(ProblemTypes.Quota, 429, sentence);
}

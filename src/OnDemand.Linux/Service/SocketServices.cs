using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Control;

namespace OnDemand.Linux.Service;

/// <summary>
/// Requests of sockets and what has become of them. Requests go to the engine as commands; what the engine says comes back by way of a
/// queue, so that its thread never waits for anybody here.
/// </summary>
internal sealed class SocketServices : ISocketServices, IAsyncDisposable
{
    private const int RequestsUnderWay = 128;        // half of what may wait for the engine
    private const int Queue = 1 << 14;
    private const int NoticesUnread = 1 << 10;

    private readonly ConcurrentDictionary<ulong, SocketBinding> _bindings = new();
    private readonly ConcurrentDictionary<ulong, Pending> _pending = new();      // by token
    private readonly ConcurrentDictionary<ulong, Pending> _latest = new();       // by cookie
    private readonly Lock _watchersLock = new();
    private readonly SemaphoreSlim _room = new(RequestsUnderWay);
    private readonly Channel<Happening> _happened = Channel.CreateBounded<Happening>(
        new BoundedChannelOptions(Queue) { SingleReader = true, SingleWriter = true, FullMode = BoundedChannelFullMode.Wait });

    private readonly Task _following;
    private readonly ConcurrentQueue<BindingChange> _changes = new();
    private Watcher[] _watchers = [];
    private IDataplaneControl? _control;
    private long _token;
    private volatile bool _missed;

    /// <summary>Makes them; they begin with <see cref="Start"/>.</summary>
    public SocketServices() => _following = Task.Run(FollowAsync);

    /// <summary>Connects them to a dataplane.</summary>
    /// <param name="control">The dataplane.</param>
    public void Start(IDataplaneControl control) => _control = control;

    /// <inheritdoc/>
    public async Task<ServiceAnswer> RequestAsync(ServiceRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        var pending = new Pending(request);
        ulong token = (ulong)Interlocked.Increment(ref _token);
        _pending[token] = pending;
        Pending? earlier = null;
        _ = _latest.AddOrUpdate(request.Cookie, pending, (_, replaced) =>
        {
            earlier = replaced;
            return pending;
        });
        earlier?.Source.TrySetResult(new ServiceAnswer(ServiceStatus.Gone, null, default));
        try
        {
            await HandInAsync(pending, token, cancellationToken).ConfigureAwait(false);
            return await pending.Source.Task.WaitAsync(request.Timeout, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            return await GiveUpAsync(request.Cookie, pending).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            _ = await GiveUpAsync(request.Cookie, pending).ConfigureAwait(false);
            throw;
        }
        finally
        {
            _pending.TryRemove(token, out _);
            _latest.TryRemove(new KeyValuePair<ulong, Pending>(request.Cookie, pending));
        }
    }

    /// <inheritdoc/>
    public async Task<bool> ReleaseAsync(ulong cookie, CancellationToken cancellationToken)
    {
        var forgotten = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        bool known = await CommandAsync(context => Release(cookie, forgotten, context), cancellationToken).ConfigureAwait(false);
        await forgotten.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        return known;
    }

    /// <inheritdoc/>
    public SocketBinding? Find(ulong cookie) => _bindings.GetValueOrDefault(cookie);

    /// <inheritdoc/>
    public IReadOnlyList<SocketBinding> List(uint? user) =>
        [.. _bindings.Values.Where(binding => user is null || binding.User == user).OrderBy(binding => binding.Cookie)];

    /// <inheritdoc/>
    public async IAsyncEnumerable<BindingNotice> WatchAsync(uint? user, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var watcher = new Watcher(user);
        lock (_watchersLock)
        {
            _watchers = [.. _watchers, watcher];
        }

        try
        {
            await foreach (BindingNotice notice in watcher.Notices.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                if (watcher.TakeMissed())
                {
                    yield return new BindingNotice(BindingNoticeKind.Missed, notice.Time, null, null);
                }

                yield return notice;
            }
        }
        finally
        {
            lock (_watchersLock)
            {
                _watchers = [.. _watchers.Where(other => other != watcher)];
            }
        }
    }

    /// <summary>The sockets that have asked and those that ask. From any thread.</summary>
    /// <returns>The sockets; one that has asked and asks again may be there twice.</returns>
    public IEnumerable<AskingSocket> Asking() =>
    [
        .. _bindings.Values.Select(binding => new AskingSocket(binding.Cookie, binding.Place)),
        .. _latest.Values.Select(pending => new AskingSocket(pending.Request.Cookie, pending.Request.Place)),
    ];

    /// <summary>Whether changes are kept until somebody takes them.</summary>
    public bool KeepsChanges { get; set; }

    /// <summary>Whether a change waits to be taken.</summary>
    public bool HasChanges => !_changes.IsEmpty;

    /// <summary>Takes what has changed next.</summary>
    /// <param name="change">The change.</param>
    /// <returns>Whether there was one.</returns>
    public bool TryTakeChange(out BindingChange change) => _changes.TryDequeue(out change);

    /// <summary>Takes over what a socket got of an earlier run: it is asked for again, before anything else happens, and stays with its
    /// address while that is there.</summary>
    /// <param name="binding">The binding.</param>
    /// <returns>The request for the engine.</returns>
    public SetscRequest Adopt(SocketBinding binding)
    {
        var request = new ServiceRequest(
            binding.Cookie, binding.User, binding.Type, binding.OnNet, binding.Map, binding.Preferences, Timeout.InfiniteTimeSpan)
        {
            Place = binding.Place,
        };
        ulong token = (ulong)Interlocked.Increment(ref _token);
        _pending[token] = new Pending(request) { Kept = binding };
        return AsAsked(request, token) with { Kept = binding.Address };
    }

    /// <summary>The engine has answered a request. On the engine's thread.</summary>
    /// <param name="reply">The answer.</param>
    /// <param name="now">The time.</param>
    public void Reply(in SetscReply reply, Timestamp now) => Add(new Happening(reply, default, 0, now));

    /// <summary>Something happened in the engine. On the engine's thread.</summary>
    /// <param name="happened">What.</param>
    /// <param name="engine">The engine, which knows what the socket has now.</param>
    public void Follow(in EngineEvent happened, DataplaneEngine engine)
    {
        bool matters = happened.Kind switch
        {
            EngineEventKind.PrefixDeprecated or EngineEventKind.PrefixPreferred or EngineEventKind.PrefixRenewed or EngineEventKind.WindowOpened
                or EngineEventKind.PrefixEnded => !_bindings.IsEmpty,
            EngineEventKind.NetworkSilent or EngineEventKind.NetworkRefused or EngineEventKind.NetworkUnsupported => !_pending.IsEmpty,
            EngineEventKind.FlowOpened or EngineEventKind.FlowWentOver => happened.Decision.Origin == DecisionOrigin.SocketRequest
                && happened.Socket != 0 && _bindings.TryGetValue(happened.Socket, out SocketBinding? binding)
                && binding.Address != happened.Address,
            _ => false,
        };
        if (matters)
        {
            Add(new Happening(null, happened, 0, happened.Time) { Held = HeldBy(happened, engine) });
        }
    }

    /// <summary>A socket is no more. On the engine's thread.</summary>
    /// <param name="cookie">The socket.</param>
    /// <param name="now">The time.</param>
    public void Ended(ulong cookie, Timestamp now)
    {
        // What an earlier run's socket has got may still be on its way into the bindings; then its request is pending.
        if (_bindings.ContainsKey(cookie) || _latest.ContainsKey(cookie) || !_pending.IsEmpty)
        {
            Add(new Happening(null, default, cookie, now));
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _happened.Writer.TryComplete();
        await _following.ConfigureAwait(false);
        _room.Dispose();
    }

    // The event of a flow names its address alone.
    private static AddressGrant? HeldBy(in EngineEvent happened, DataplaneEngine engine) =>
        happened.Socket != 0 && engine.TryGetGrant(happened.Socket, out AddressGrant held) && held.Address == happened.Address ? held : null;

    private bool Add(in Happening happening)
    {
        bool hasRoom = _happened.Writer.TryWrite(happening);
        _missed |= !hasRoom;
        return hasRoom;
    }

    // Requests of one socket that come at the same time may get here in another order: only the latest counts, the others are told so.
    private async Task HandInAsync(Pending pending, ulong token, CancellationToken cancellationToken)
    {
        SetscRequest asked = AsAsked(pending.Request, token);
        _ = await CommandAsync(
            context =>
            {
                if (IsLatest(pending))
                {
                    context.Sockets!.Handle(asked, context.Now);
                }

                return true;
            },
            cancellationToken).ConfigureAwait(false);
    }

    private bool IsLatest(Pending pending) => _latest.TryGetValue(pending.Request.Cookie, out Pending? latest) && latest == pending;

    // On the engine's thread. A grant from before may still be in the queue, and must not bind what is released: so this goes the same way.
    private bool Release(ulong cookie, TaskCompletionSource forgotten, ControlContext context)
    {
        bool known = context.Sockets!.Release(cookie, context.Now);
        if (!Add(new Happening(null, default, 0, context.Now) { Released = cookie, Forgotten = forgotten }))
        {
            Forget(cookie, context.Now);
            forgotten.SetResult();
        }

        return known;
    }

    private static SetscRequest AsAsked(ServiceRequest request, ulong token) => new()
    {
        Token = token,
        Socket = request.Cookie,
        Native = !request.Map,
        Type = request.Type,
        OnNet = request.OnNet,
        Preferences = request.Preferences,
    };

    private async Task<T> CommandAsync<T>(Func<ControlContext, T> work, CancellationToken cancellationToken)
    {
        IDataplaneControl control = _control ?? throw new InvalidOperationException("The dataplane is not running yet.");
        await _room.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return await control.RunAsync(work, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _ = _room.Release();
        }
    }

    // Nobody waits for the network any more: its answer would give the socket an address that nobody knows of. It may have come just now.
    private async Task<ServiceAnswer> GiveUpAsync(ulong cookie, Pending pending)
    {
        if (pending.Source.Task.IsCompletedSuccessfully)
        {
            return await pending.Source.Task.ConfigureAwait(false);
        }

        var forgotten = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        bool isReleased = await CommandAsync(
            context =>
            {
                // A later request of the socket has taken the place of this one.
                bool isLatest = IsLatest(pending);
                _ = isLatest && Release(cookie, forgotten, context);
                return isLatest;
            },
            CancellationToken.None).ConfigureAwait(false);
        if (isReleased)
        {
            await forgotten.Task.ConfigureAwait(false);
        }

        return new ServiceAnswer(ServiceStatus.TimedOut, null, default);
    }

    private async Task FollowAsync()
    {
        bool[] silent = new bool[AddressTypes.Count];
        await foreach (Happening happening in _happened.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            if (_missed)
            {
                _missed = false;
                Tell(null, new BindingNotice(BindingNoticeKind.Missed, happening.Time, null, null));
            }

            if (happening.Reply is { } reply)
            {
                Complete(reply, happening.Time, silent);
            }
            else if (happening.Ended != 0)
            {
                End(happening.Ended, happening.Time);
            }
            else if (happening.Forgotten is { } forgotten)
            {
                Forget(happening.Released, happening.Time);
                forgotten.SetResult();
            }
            else
            {
                Take(happening.Happened, happening.Held, silent);
            }
        }

        foreach (Watcher watcher in _watchers)
        {
            watcher.Notices.Writer.TryComplete();
        }
    }

    private void Complete(in SetscReply reply, Timestamp now, bool[] silent)
    {
        if (!_pending.TryGetValue(reply.Token, out Pending? pending))
        {
            return;
        }

        ServiceRequest request = pending.Request;
        if (request.Timeout == Timeout.InfiniteTimeSpan)
        {
            _pending.TryRemove(reply.Token, out _);  // nobody waits
        }

        SocketBinding? binding = null;
        if (reply.Status == SetscStatus.Granted)
        {
            binding = new SocketBinding(
                request.Cookie, request.User, reply.Address, reply.Type, reply.Prefix, reply.PreferredUntil, reply.ValidUntil, request.Map,
                pending.Kept is { } kept && kept.Address == reply.Address && kept.Since != default ? kept.Since : now)
            {
                OnNet = request.OnNet,
                Preferences = request.Preferences,
                Place = request.Place,
            };
            _bindings[request.Cookie] = binding;
            Note(new BindingChange(request.Cookie, binding));
        }
        else
        {
            Forget(request.Cookie, now);             // what an earlier request got is gone with it
        }

        pending.Source.TrySetResult(new ServiceAnswer(
            reply.Status switch
            {
                SetscStatus.Granted => ServiceStatus.Granted,
                SetscStatus.NotSupported => ServiceStatus.NotSupported,
                SetscStatus.Failed => silent[(int)request.Type] ? ServiceStatus.TimedOut : ServiceStatus.Refused,
                SetscStatus.NoRoom => ServiceStatus.NoRoom,
                _ => ServiceStatus.Invalid,
            },
            binding,
            now));
    }

    private void End(ulong cookie, Timestamp now)
    {
        if (_latest.TryGetValue(cookie, out Pending? pending))
        {
            pending.Source.TrySetResult(new ServiceAnswer(ServiceStatus.Gone, null, now));
        }

        Forget(cookie, now);
    }

    private void Take(in EngineEvent happened, in AddressGrant? held, bool[] silent)
    {
        switch (happened.Kind)
        {
            case EngineEventKind.NetworkSilent or EngineEventKind.NetworkRefused or EngineEventKind.NetworkUnsupported:
                silent[(int)happened.Type] = happened.Kind == EngineEventKind.NetworkSilent;
                break;
            case EngineEventKind.FlowOpened or EngineEventKind.FlowWentOver:
                if (_bindings.TryGetValue(happened.Socket, out SocketBinding? known))
                {
                    SocketBinding replaced = held is { } now
                        ? known with { Address = now.Address, Prefix = now.Prefix, PreferredUntil = now.PreferredUntil, ValidUntil = now.ValidUntil }
                        : known with { Address = happened.Address };
                    Renew(known, replaced, BindingNoticeKind.Replaced, happened.Time, null);
                    Note(new BindingChange(happened.Socket, replaced));
                }

                break;
            default:
                TakePrefix(happened);
                break;
        }
    }

    private void TakePrefix(in EngineEvent happened)
    {
        foreach (SocketBinding binding in _bindings.Values)
        {
            if (binding.Prefix != happened.Prefix)
            {
                continue;
            }

            Duration? left = happened.Until == Timestamp.Never || happened.Until <= happened.Time ? null : happened.Until.Since(happened.Time);
            switch (happened.Kind)
            {
                case EngineEventKind.PrefixEnded:
                    Renew(binding, binding with { ValidUntil = happened.Time }, BindingNoticeKind.Stranded, happened.Time, null);
                    break;
                case EngineEventKind.PrefixPreferred or EngineEventKind.PrefixRenewed:
                    Renew(
                        binding, binding with { PreferredUntil = happened.PreferredUntil, ValidUntil = happened.Until }, BindingNoticeKind.Renewed,
                        happened.Time, left);
                    break;
                default:
                    Renew(
                        binding, binding with { PreferredUntil = happened.Time, ValidUntil = happened.Until }, BindingNoticeKind.Deprecated,
                        happened.Time, left);
                    break;
            }
        }
    }

    private void Renew(SocketBinding before, SocketBinding after, BindingNoticeKind kind, Timestamp now, Duration? left)
    {
        if (_bindings.TryUpdate(before.Cookie, after, before))
        {
            Tell(after.User, new BindingNotice(kind, now, after, left));
        }
    }

    private void Forget(ulong cookie, Timestamp now)
    {
        if (_bindings.TryRemove(cookie, out SocketBinding? binding))
        {
            Note(new BindingChange(cookie, null));
            Tell(binding.User, new BindingNotice(BindingNoticeKind.Released, now, binding, null));
        }
    }

    // Bounded by what a keeper leaves untaken: without one nothing piles up.
    private void Note(in BindingChange change)
    {
        if (KeepsChanges)
        {
            _changes.Enqueue(change);
        }
    }

    private void Tell(uint? user, BindingNotice notice)
    {
        foreach (Watcher watcher in _watchers)
        {
            if (user is null || watcher.User is null || watcher.User == user)
            {
                watcher.Tell(notice);
            }
        }
    }

    private sealed record Pending(ServiceRequest Request)
    {
        public TaskCompletionSource<ServiceAnswer> Source { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public SocketBinding? Kept { get; init; }                // what the socket had of an earlier run
    }

    private readonly record struct Happening(SetscReply? Reply, EngineEvent Happened, ulong Ended, Timestamp Time)
    {
        public AddressGrant? Held { get; init; }                 // what the socket has after what happened to its flow

        public ulong Released { get; init; }

        public TaskCompletionSource? Forgotten { get; init; }    // is told when what was released is forgotten
    }

    private sealed class Watcher(uint? user)
    {
        private int _missed;

        public uint? User => user;

        public Channel<BindingNotice> Notices { get; } = Channel.CreateBounded<BindingNotice>(NoticesUnread);

        public void Tell(BindingNotice notice)
        {
            if (!Notices.Writer.TryWrite(notice))
            {
                _ = Interlocked.Exchange(ref _missed, 1);
            }
        }

        public bool TakeMissed() => Interlocked.Exchange(ref _missed, 0) != 0;
    }
}

using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Service;

namespace OnDemand.Linux.Tests.Programs;

/// <summary>A dataplane that grants everything out of one prefix a type, unless a test says otherwise.</summary>
internal sealed class FakeServices : ISocketServices
{
    public static readonly Timestamp Now = Timestamp.FromSeconds(1_700_000_000);

    private readonly ConcurrentDictionary<ulong, SocketBinding> _bindings = new();
    private readonly ConcurrentDictionary<object, (uint? User, Channel<BindingNotice> Notices)> _watchers = new();
    private long _requests;

    /// <summary>How requests end.</summary>
    public ServiceStatus Status { get; set; }

    /// <summary>The answers to single requests, in order, before <see cref="Status"/> is the answer.</summary>
    public Queue<ServiceStatus> Next { get; } = [];

    /// <summary>Requests wait until this ends; a test replaces it.</summary>
    public Task Gate { get; set; } = Task.CompletedTask;

    /// <summary>The number of the next prefix; null gives one prefix a type.</summary>
    public int? NextPrefix { get; set; }

    public bool IsShuttingDown { get; set; }

    public long Requests => Interlocked.Read(ref _requests);

    public int Watchers => _watchers.Count;

    public ServiceRequest? Last { get; private set; }

    public async Task<ServiceAnswer> RequestAsync(ServiceRequest request, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _requests);
        Last = request;
        await Gate.WaitAsync(cancellationToken);
        if (IsShuttingDown)
        {
            throw new InvalidOperationException("The dataplane is shutting down.");
        }

        ServiceStatus status = Next.TryDequeue(out ServiceStatus next) ? next : Status;
        if (status != ServiceStatus.Granted)
        {
            return new ServiceAnswer(status, null, Now);
        }

        SocketBinding binding = Bind(request.Cookie, request.User, request.Type, request.Map);
        return new ServiceAnswer(ServiceStatus.Granted, binding, Now);
    }

    public SocketBinding Bind(ulong cookie, uint user, AddressType type = AddressType.SessionLasting, bool map = false)
    {
        int network = NextPrefix is { } next ? next : (int)type;
        NextPrefix = NextPrefix is null ? null : network + 1;
        var prefix = IpPrefix.Parse($"2001:db8:{network:x}::/64");
        return _bindings[cookie] = new SocketBinding(
            cookie, user, new IpAddress(prefix.Address.High, cookie), type, prefix, Now.Add(Duration.FromSeconds(1800)),
            type == AddressType.Fixed ? Timestamp.Never : Now.Add(Duration.FromSeconds(3600)), map, Now);
    }

    public Task<bool> ReleaseAsync(ulong cookie, CancellationToken cancellationToken) =>
        Task.FromResult(_bindings.TryRemove(cookie, out _));

    public SocketBinding? Find(ulong cookie) => _bindings.GetValueOrDefault(cookie);

    public IReadOnlyList<SocketBinding> List(uint? user) =>
        [.. _bindings.Values.Where(one => user is null || one.User == user).OrderBy(one => one.Cookie)];

    public async IAsyncEnumerable<BindingNotice> WatchAsync(uint? user, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        object key = new();
        var notices = Channel.CreateUnbounded<BindingNotice>();
        _watchers[key] = (user, notices);
        try
        {
            await foreach (BindingNotice notice in notices.Reader.ReadAllAsync(cancellationToken))
            {
                yield return notice;
            }
        }
        finally
        {
            _watchers.TryRemove(key, out _);
        }
    }

    public void Tell(BindingNotice notice)
    {
        foreach ((uint? user, Channel<BindingNotice> notices) in _watchers.Values)
        {
            if (user is null || notice.Binding is null || notice.Binding.User == user)
            {
                notices.Writer.TryWrite(notice);
            }
        }
    }
}

using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Run;
using OnDemand.Linux.Service;
using OnDemand.Linux.Tests.Run;
using Xunit;

namespace OnDemand.Linux.Tests.Service;

/// <summary>Requests of sockets, and what those who watch are told of them.</summary>
public sealed class SocketServicesTests : IAsyncDisposable
{
    private const string Network = """
        seed: 1
        internal: [fd00:a::2]
        network:
          - at: 0s
            attach: ar1
            prefixes:
              - {prefix: "2001:db8:a1::/64", type: nonpersistent}
              - {prefix: "2001:db8:61::/64", type: graceful-replacement}
          - {at: 100s, attach: ar2, window: 10s, prefixes: [{prefix: "2001:db8:62::/64", type: graceful-replacement}]}
        on-demand:
          session-lasting: {answer: grant, prefix: "2001:db8:51::/64", delay: 2s}
          fixed: {answer: refuse, delay: 1s}
        policy: {default: nonpersistent}
        """;

    private static readonly TimeSpan Long = TimeSpan.FromMinutes(5);

    private readonly SocketServices _services = new();
    private readonly HostRig _rig;

    public SocketServicesTests() => _rig = new HostRig(Network, services: _services);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_type_that_is_there_is_granted_with_its_prefix_and_lifetimes()
    {
        ServiceAnswer answer = await DoneAsync(AskAsync(7, AddressType.Nonpersistent));

        SocketBinding binding = Granted(answer);
        Assert.Equal((7UL, 1000u, AddressType.Nonpersistent, false), (binding.Cookie, binding.User, binding.Type, binding.Map));
        Assert.Equal(IpPrefix.Parse("2001:db8:a1::/64"), binding.Prefix);
        Assert.True(binding.Prefix.Contains(binding.Address));
        Assert.Equal((Timestamp.Never, Timestamp.Never), (binding.PreferredUntil, binding.ValidUntil));
        Assert.Equal(binding, _services.Find(7));
    }

    [Fact]
    public async Task Who_must_wait_for_the_network_gets_what_it_says()
    {
        Task<ServiceAnswer> session = AskAsync(1, AddressType.SessionLasting);
        Task<ServiceAnswer> refused = AskAsync(2, AddressType.Fixed);
        await SettleAsync();
        Assert.False(session.IsCompleted);

        _rig.Time.Pass(TimeSpan.FromSeconds(1.1));
        Assert.Equal(ServiceStatus.Refused, (await DoneAsync(refused)).Status);
        Assert.False(session.IsCompleted);
        _rig.Time.Pass(TimeSpan.FromSeconds(1));
        Assert.Equal(IpPrefix.Parse("2001:db8:51::/64"), Granted(await DoneAsync(session)).Prefix);
        Assert.Null(_services.Find(2));
    }

    [Fact]
    public async Task A_type_that_the_network_does_not_have_is_told_apart_from_a_refusal()
    {
        await using var services = new SocketServices();
        using var rig = new HostRig(HostRig.Nonpersistent, services: services);
        Task<ServiceAnswer> asked = services.RequestAsync(Request(1, AddressType.SessionLasting), Cancellation);

        while (!asked.IsCompleted)
        {
            rig.Settle();
            await Task.Delay(1, Cancellation);
        }

        Assert.Equal(ServiceStatus.NotSupported, (await asked).Status);
    }

    // The provider's patience is shorter than the request's. What comes next is not taken for the same.
    [Theory]
    [InlineData(true, ServiceStatus.TimedOut)]
    [InlineData(false, ServiceStatus.Refused)]
    public async Task A_network_that_did_not_answer_its_provider_is_told_apart_from_one_that_refused(bool isSilence, object status)
    {
        await using var services = new SocketServices();
        await using var provider = new RefusingProvider { IsSilence = isSilence };
        using var rig = new HostRig(Network, services: services, provider: provider);
        foreach (ulong cookie in (ulong[])[1, 2])
        {
            Task<ServiceAnswer> asked = services.RequestAsync(Request(cookie, AddressType.SessionLasting), Cancellation);
            while (!asked.IsCompleted)
            {
                rig.Settle();
                await Task.Delay(1, Cancellation);
            }

            Assert.Equal((cookie == 1 ? (ServiceStatus)status : ServiceStatus.Refused, cookie), ((await asked).Status, cookie));
            rig.Time.Pass(TimeSpan.FromMinutes(10));         // what was refused is forgotten, and asked for again
            provider.IsSilence = false;
        }
    }

    [Fact]
    public async Task A_request_whose_time_is_up_is_released_and_a_late_grant_does_not_bind()
    {
        Task<ServiceAnswer> asked = _services.RequestAsync(
            Request(1, AddressType.SessionLasting) with { Timeout = TimeSpan.FromMilliseconds(50) }, Cancellation);

        Assert.Equal(ServiceStatus.TimedOut, (await DoneAsync(asked)).Status);
        _rig.Time.Pass(TimeSpan.FromSeconds(3));
        await SettleAsync();

        Assert.Null(_services.Find(1));
        Assert.False(_rig.Command(context => context.Engine.KnowsSocket(1)));
    }

    [Fact]
    public async Task A_caller_who_gives_up_leaves_nothing_behind()
    {
        using var impatient = new CancellationTokenSource();
        Task<ServiceAnswer> asked = _services.RequestAsync(Request(1, AddressType.SessionLasting), impatient.Token);
        await SettleAsync();

        await impatient.CancelAsync();
        while (!asked.IsCompleted)
        {
            await SettleAsync();
        }

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asked);
        Assert.False(_rig.Command(context => context.Engine.KnowsSocket(1)));
    }

    [Fact]
    public async Task A_later_request_of_the_same_socket_takes_the_place_of_an_earlier_one()
    {
        Task<ServiceAnswer> first = AskAsync(1, AddressType.SessionLasting);
        await SettleAsync();
        Task<ServiceAnswer> second = AskAsync(1, AddressType.Nonpersistent);

        Assert.Equal(ServiceStatus.Gone, (await DoneAsync(first)).Status);
        SocketBinding binding = Granted(await DoneAsync(second));
        _rig.Time.Pass(TimeSpan.FromSeconds(3));
        await SettleAsync();
        Assert.Equal(binding, _services.Find(1));
    }

    // Whichever of them comes first to the engine, what it has then is what the dataplane says.
    [Fact]
    public async Task Requests_of_one_socket_at_the_same_time_are_all_answered_and_one_of_them_holds()
    {
        for (int round = 0; round < 20; round++)
        {
            AddressType[] types = [AddressType.Nonpersistent, AddressType.GracefulReplacement, AddressType.Nonpersistent, AddressType.GracefulReplacement];
            Task<ServiceAnswer>[] asked = [.. types.Select(type => Task.Run(() => AskAsync(1, type), Cancellation))];
            ServiceAnswer[] answers = await DoneAsync(Task.WhenAll(asked));

            Assert.All(answers, answer => Assert.Contains(answer.Status, new[] { ServiceStatus.Granted, ServiceStatus.Gone }));
            await SettleAsync();
            SocketBinding binding = _services.Find(1)!;
            Assert.True(_rig.Command(context => context.Engine.TryGetGrant(1, out AddressGrant held) && held.Address == binding.Address));
            Assert.Contains(binding, answers.Select(answer => answer.Binding));
        }
    }

    // The grant is still on its way to the bindings when the release has been done.
    [Fact]
    public async Task A_release_on_the_heels_of_a_grant_leaves_no_binding()
    {
        for (ulong cookie = 1; cookie <= 50; cookie++)
        {
            Task<ServiceAnswer> asked = AskAsync(cookie, AddressType.Nonpersistent);
            Task<bool> released = _services.ReleaseAsync(cookie, Cancellation);
            await DoneAsync(asked);
            Assert.True(await DoneAsync(released) || _services.Find(cookie) is not null);

            Assert.Equal(_rig.Command(context => context.Engine.KnowsSocket(cookie)), _services.Find(cookie) is not null);
        }
    }

    [Fact]
    public async Task A_socket_that_ended_before_its_request_arrives_gets_nothing()
    {
        Assert.False(_rig.Command(context => _rig.Host.EndSocket(1, context.Now)));
        ServiceAnswer answer = await DoneAsync(AskAsync(1, AddressType.Nonpersistent));

        Assert.Equal((ServiceStatus.Gone, null), (answer.Status, answer.Binding));
        Assert.Empty(_services.List(null));
        Assert.False(_rig.Command(context => context.Engine.KnowsSocket(1)));
        Granted(await DoneAsync(AskAsync(2, AddressType.Nonpersistent)));
    }

    [Fact]
    public async Task A_socket_that_is_closed_meanwhile_ends_its_request()
    {
        Task<ServiceAnswer> asked = AskAsync(1, AddressType.SessionLasting);
        await SettleAsync();

        _services.Ended(1, default);

        Assert.Equal(ServiceStatus.Gone, (await DoneAsync(asked)).Status);
    }

    [Fact]
    public async Task Released_is_released_and_only_once()
    {
        await DoneAsync(AskAsync(1, AddressType.Nonpersistent));

        Assert.True(await DoneAsync(_services.ReleaseAsync(1, Cancellation)));
        Assert.False(await DoneAsync(_services.ReleaseAsync(1, Cancellation)));
        Assert.Empty(_services.List(null));
    }

    [Fact]
    public async Task Lists_are_by_user()
    {
        await DoneAsync(AskAsync(2, AddressType.Nonpersistent, user: 1));
        await DoneAsync(AskAsync(1, AddressType.Nonpersistent, user: 1));
        await DoneAsync(AskAsync(3, AddressType.Nonpersistent, user: 2));

        Assert.Equal([1UL, 2UL], _services.List(1).Select(binding => binding.Cookie));
        Assert.Equal([1UL, 2UL, 3UL], _services.List(null).Select(binding => binding.Cookie));
        Assert.Empty(_services.List(5));
    }

    [Fact]
    public async Task Who_watches_is_told_that_an_address_is_deprecated_with_the_time_left_and_that_it_has_ended()
    {
        await DoneAsync(AskAsync(1, AddressType.GracefulReplacement));
        await DoneAsync(AskAsync(2, AddressType.Nonpersistent, user: 5));
        await using IAsyncEnumerator<BindingNotice> mine = Watch(1000);
        await using IAsyncEnumerator<BindingNotice> all = Watch(null);
        ValueTask<bool> first = mine.MoveNextAsync();
        ValueTask<bool> firstOfAll = all.MoveNextAsync();

        _rig.Time.Pass(TimeSpan.FromSeconds(100));
        await SettleAsync();
        Assert.True(await first);
        Assert.Equal((BindingNoticeKind.Deprecated, 1UL), (mine.Current.Kind, mine.Current.Binding!.Cookie));
        Assert.Equal(Duration.FromSeconds(10), mine.Current.Left);
        Assert.True(await firstOfAll);

        ValueTask<bool> second = mine.MoveNextAsync();
        _rig.Time.Pass(TimeSpan.FromSeconds(11));
        await SettleAsync();
        Assert.True(await second);
        Assert.Equal((BindingNoticeKind.Stranded, null), (mine.Current.Kind, mine.Current.Left));

        List<(BindingNoticeKind, ulong)> seen = [(all.Current.Kind, all.Current.Binding!.Cookie)];
        while (seen.Count < 3 && await all.MoveNextAsync())
        {
            seen.Add((all.Current.Kind, all.Current.Binding!.Cookie));
        }

        Assert.Equal(
            [(BindingNoticeKind.Stranded, 2UL), (BindingNoticeKind.Deprecated, 1UL), (BindingNoticeKind.Stranded, 1UL)],
            seen.OrderByDescending(notice => notice.Item2).ThenBy(notice => notice.Item1));
    }

    [Fact]
    public async Task Who_watches_is_told_that_an_address_has_other_lifetimes_and_so_is_who_looks_it_up()
    {
        SocketBinding before = Granted(await DoneAsync(AskAsync(3, AddressType.GracefulReplacement)));
        await using IAsyncEnumerator<BindingNotice> watch = Watch(1000);
        ValueTask<bool> first = watch.MoveNextAsync();

        PrefixAdvertisement renewed = new(before.Prefix, before.Type, Duration.FromSeconds(1800), Duration.FromSeconds(3600));
        _ = _rig.Command(context =>
        {
            ((AttachmentControl)context.Network).Advertise([renewed], authenticated: true, context.Now);
            return true;
        });
        await SettleAsync();

        Assert.True(await first);
        Assert.Equal((BindingNoticeKind.Renewed, 3UL, Duration.FromSeconds(3600)), (watch.Current.Kind, watch.Current.Binding!.Cookie, watch.Current.Left));
        SocketBinding binding = _services.Find(3)!;
        Assert.Equal(Duration.FromSeconds(1800), binding.ValidUntil.Since(binding.PreferredUntil));
        Assert.Equal(binding, watch.Current.Binding);
    }

    [Fact]
    public async Task Who_does_not_read_is_told_that_notices_were_missed()
    {
        await using IAsyncEnumerator<BindingNotice> watch = Watch(null);
        ValueTask<bool> first = watch.MoveNextAsync();
        for (int i = 0; i < 1100; i++)
        {
            await DoneAsync(AskAsync(1, AddressType.Nonpersistent));
            await DoneAsync(_services.ReleaseAsync(1, Cancellation));
        }

        Assert.True(await first);
        List<BindingNoticeKind> kinds = [watch.Current.Kind];
        while (kinds.Count < 1000 && kinds[^1] != BindingNoticeKind.Missed)
        {
            Assert.True(await watch.MoveNextAsync());
            kinds.Add(watch.Current.Kind);
        }

        Assert.Contains(BindingNoticeKind.Missed, kinds);
    }

    [Fact]
    public async Task Very_many_at_once_are_all_answered()
    {
        const int many = 3000;
        Task<ServiceAnswer>[] asked = [.. Enumerable.Range(1, many).Select(cookie => AskAsync((ulong)cookie, AddressType.Nonpersistent))];

        ServiceAnswer[] answers = await DoneAsync(Task.WhenAll(asked));

        Assert.All(answers, answer => Assert.Equal(ServiceStatus.Granted, answer.Status));
        Assert.Equal(many, _services.List(null).Count);
    }

    public async ValueTask DisposeAsync()
    {
        _rig.Dispose();
        await _services.DisposeAsync();
    }

    private static ServiceRequest Request(ulong cookie, AddressType type, uint user = 1000) =>
        new(cookie, user, type, OnNet: false, Map: false, AddressPreferences.None, Long);

    private static SocketBinding Granted(ServiceAnswer answer)
    {
        Assert.Equal(ServiceStatus.Granted, answer.Status);
        return answer.Binding!;
    }

    private Task<ServiceAnswer> AskAsync(ulong cookie, AddressType type, uint user = 1000) =>
        _services.RequestAsync(Request(cookie, type, user), Cancellation);

    private IAsyncEnumerator<BindingNotice> Watch(uint? user) => _services.WatchAsync(user, Cancellation).GetAsyncEnumerator(Cancellation);

    private async Task<T> DoneAsync<T>(Task<T> task)
    {
        while (!task.IsCompleted)
        {
            _rig.Settle();
            await Task.WhenAny(task, Task.Delay(1, Cancellation));
        }

        return await task;
    }

    // Lets what is under way between the threads arrive.
    private async Task SettleAsync()
    {
        for (int i = 0; i < 20; i++)
        {
            _rig.Settle();
            await Task.Delay(2, Cancellation);
        }
    }
}

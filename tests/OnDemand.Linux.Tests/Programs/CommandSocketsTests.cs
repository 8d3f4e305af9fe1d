using System.Runtime.Versioning;
using System.Text.Json;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Audit;
using OnDemand.Linux.Policy;
using OnDemand.Linux.Programs;
using OnDemand.Linux.Rights;
using OnDemand.Linux.Sockets;
using OnDemand.Linux.Tests.Run;
using Xunit;

namespace OnDemand.Linux.Tests.Programs;

/// <summary>Sockets that have the type of their command: rights, quotas and the record.</summary>
[SupportedOSPlatform("linux")]
public sealed class CommandSocketsTests : IDisposable
{
    private const uint User = 4_200_000;             // nobody has processes of that user
    private const string Cgroup = "/a/ondemand-od0/fixed/12";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("commands");
    private readonly FakeServices _services = new();
    private readonly ManualTime _time = new();
    private UserAccounts? _accounts;
    private AuditLog? _audit;
    private CommandSockets? _commands;

    public void Dispose()
    {
        _audit?.Dispose();
        _accounts?.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task A_socket_is_recorded_once_with_its_first_address_however_many_flows_it_has()
    {
        RightsCheck rights = Make(new UserQuotas());

        Assert.True(Admit(rights, 7));
        Open(7, "2001:db8:1::5");
        Assert.True(Admit(rights, 7));
        Open(7, "2001:db8:1::5");
        Open(8, "2001:db8:1::6");                    // of which nobody said that it is a command's
        _commands!.Follow(Event(EngineEventKind.FlowOpened) with { Socket = 7, Address = IpAddress.Parse("2001:db8:1::9") });    // by policy

        JsonElement entry = Assert.Single(await ReadAsync());
        Assert.Equal(
            """{"time":"1700000000.000000000","uid":4200000,"pid":12,"cookie":"7","type":"fixed","result":"granted","address":"2001:db8:1::5","cgroup":"/a/ondemand-od0/fixed/12"}""",
            entry.GetRawText());
    }

    [Fact]
    public async Task What_rights_refuse_is_recorded_once_for_a_command_and_user_not_for_each_flow_and_again_under_other_rights()
    {
        RightsCheck rights = Make(new UserQuotas(), new TypeRights(new HashSet<uint> { 1 }, null, null));

        Assert.All(Enumerable.Range(1, 50), cookie => Assert.False(Admit(rights, (ulong)cookie)));
        Assert.False(Admit(rights, 51, cgroup: 99));
        Assert.False(Admit(rights, 52, user: User + 1));
        Assert.True(Admit(rights, 53, user: 0));     // root may have everything
        Assert.False(Admit(new RightsCheck(Rights(new UserQuotas(), new TypeRights(new HashSet<uint>(), null, null))), 54));

        JsonElement[] entries = await ReadAsync();
        Assert.Equal(["1", "51", "52", "54"], entries.Select(entry => entry.GetProperty("cookie").GetString()));
        Assert.All(entries, entry => Assert.Equal("forbidden", entry.GetProperty("result").GetString()));
    }

    [Fact]
    public async Task Sockets_beyond_the_quota_of_addresses_go_by_policy_until_one_ends()
    {
        RightsCheck rights = Make(new UserQuotas { Addresses = 2 });
        _services.Bind(100, User);                   // by setsc()

        Assert.True(Admit(rights, 1));
        Assert.False(Admit(rights, 2));
        Assert.False(Admit(rights, 3));
        Assert.True(Admit(rights, 1));               // another flow of the same
        Assert.True(Admit(rights, 4, user: User + 1));
        Assert.True(Admit(rights, 5, user: 0));
        Open(1, "2001:db8:1::5");
        _commands!.End(1);
        _commands.End(77);
        await WaitAsync(() => CountOf(User) == 0);
        Assert.True(Admit(rights, 2));
        Assert.False(Admit(rights, 3));              // and this is told again

        Assert.Equal(["2 quota", "1 granted", "3 quota"], (await ReadAsync()).Select(entry => $"{entry.GetProperty("cookie")} {entry.GetProperty("result")}"));
        Assert.Equal([2UL, 4UL, 5UL], _commands.Cookies.Order());
    }

    [Fact]
    public async Task Prefixes_are_counted_as_they_are_got_and_one_more_is_expected_until_then()
    {
        RightsCheck rights = Make(new UserQuotas { Prefixes = 1 });
        _commands!.Follow(Event(EngineEventKind.PrefixAdded) with { Prefix = IpPrefix.Parse("2001:db8:1::/64") });
        _commands.Follow(Event(EngineEventKind.PrefixAdded) with { Prefix = IpPrefix.Parse("2001:db8::/32") });

        Assert.True(Admit(rights, 1));
        Assert.False(Admit(rights, 2, AddressType.Nonpersistent));
        Assert.True(Admit(rights, 3));               // of the same type
        Open(1, "2001:db8:1::5");
        Open(3, "2001:db8:1::6");
        await WaitAsync(() => PrefixesOf(User).SequenceEqual([IpPrefix.Parse("2001:db8:1::/64")]));
        Assert.False(Admit(rights, 2, AddressType.Nonpersistent));
        _commands.End(1);
        _commands.End(3);
        await WaitAsync(() => CountOf(User) == 0);

        Assert.True(Admit(rights, 2, AddressType.Nonpersistent));
        await _commands.StopAsync();
    }

    [Fact]
    public async Task A_socket_that_goes_over_is_counted_with_its_new_prefix_and_not_recorded_again()
    {
        RightsCheck rights = Make(new UserQuotas { Prefixes = 1 });
        IpPrefix one = IpPrefix.Parse("2001:db8:1::/64");
        IpPrefix other = IpPrefix.Parse("2001:db8:2::/64");
        IpPrefix wide = IpPrefix.Parse("2001:db8::/32");
        Assert.All([one, other, wide], prefix => _commands!.Follow(Event(EngineEventKind.PrefixAdded) with { Prefix = prefix }));
        Assert.True(Admit(rights, 1));

        Open(1, "2001:db8:1::5");
        await WaitAsync(() => PrefixesOf(User).SequenceEqual([one]));
        _commands!.Follow(Event(EngineEventKind.PrefixEnded) with { Prefix = one });
        Open(1, "2001:db8:2::9", EngineEventKind.FlowWentOver);
        await WaitAsync(() => PrefixesOf(User).SequenceEqual([other]));
        Open(1, "2001:db8:1::6");                    // of a prefix that has ended there is none left but the wide one
        await WaitAsync(() => PrefixesOf(User).SequenceEqual([wide]));

        Assert.Equal("2001:db8:1::5", Assert.Single(await ReadAsync()).GetProperty("address").GetString());
    }

    [Fact]
    public async Task Each_type_of_which_no_prefix_is_known_yet_counts_as_one_of_its_own()
    {
        RightsCheck rights = Make(new UserQuotas { Prefixes = 2 });

        Assert.True(Admit(rights, 1));
        Assert.True(Admit(rights, 2, AddressType.Nonpersistent));
        Assert.False(Admit(rights, 3, AddressType.SessionLasting));
        Assert.True(Admit(rights, 4, AddressType.Nonpersistent));
        await _commands!.StopAsync();
    }

    [Fact]
    public async Task A_right_that_is_taken_away_is_not_had_by_the_next_flow_of_a_socket_either()
    {
        RightsCheck rights = Make(new UserQuotas());
        Assert.True(Admit(rights, 1));

        Assert.False(Admit(new RightsCheck(Rights(new UserQuotas(), new TypeRights(new HashSet<uint>(), null, null))), 1));

        Assert.Equal("forbidden", Assert.Single(await ReadAsync()).GetProperty("result").GetString());
    }

    [Fact]
    public async Task Requests_per_minute_are_those_of_setsc_too_and_further_flows_of_a_socket_cost_none()
    {
        RightsCheck rights = Make(new UserQuotas { RequestsPerMinute = 3 });
        Assert.True(_accounts!.Of(User).TryRequest());

        Assert.True(Admit(rights, 1));
        Assert.True(Admit(rights, 2));
        Assert.True(Admit(rights, 1));
        Assert.False(Admit(rights, 3));
        Assert.False(_accounts.Of(User).TryRequest());
        Assert.All(Enumerable.Range(100, 9), cookie => Assert.True(Admit(rights, (ulong)cookie, user: 0)));    // root has no quota
        _time.Pass(TimeSpan.FromSeconds(20));
        Assert.True(Admit(rights, 3));
        await _commands!.StopAsync();
    }

    [Fact]
    public async Task What_a_socket_asked_for_itself_comes_first_and_counts_once()
    {
        RightsCheck rights = Make(new UserQuotas { Addresses = 1 });
        _services.Bind(7, User);
        _services.Bind(8, User + 1, AddressType.None);

        Assert.False(Admit(rights, 7));
        Assert.True(Admit(rights, 8, user: User + 1));    // preferences alone

        Assert.Empty(await ReadAsync());
    }

    [Fact]
    public async Task Setsc_counts_the_sockets_of_commands()
    {
        uint user = 1234;
        var rights = new RightsConfig { Quotas = new UserQuotas { Addresses = 1 } };
        await using ProgramScene scene = await ProgramScene.StartAsync(rights);
        _commands = new CommandSockets(scene.Services, scene.Requests.Accounts, null, () => FakeServices.Now);
        _commands.Start();
        Assert.True(Admit(new RightsCheck(rights), 1, user: user));
        string program = $$"""print(ask("POST", "/v1/setsc", {"cookie": "{{user + FakeLookup.Offset}}", "type": "fixed"})[0])""";

        string first = await scene.RunAsync(user, program);
        _commands.End(1);
        await WaitAsync(() => !scene.Requests.Accounts.Of(user).Commands.ContainsKey(1));

        Assert.Equal("429", first);
        Assert.Equal("200", await scene.RunAsync(user, program));
        await _commands.StopAsync();
    }

    [Fact]
    public async Task Refusals_that_are_remembered_are_bounded()
    {
        RightsCheck rights = Make(new UserQuotas(), new TypeRights(new HashSet<uint>(), null, null));
        for (uint cgroup = 1; cgroup <= CommandSockets.MostRefusals + 1; cgroup++)
        {
            Assert.False(Admit(rights, 1, cgroup: cgroup));
        }

        Assert.False(Admit(rights, 2, cgroup: 1));   // forgotten
        Assert.False(Admit(rights, 3, cgroup: 1));   // remembered

        await _commands!.StopAsync();
        _audit!.Dispose();
        string[] lines = await File.ReadAllLinesAsync(Path.Combine(_folder.FullName, "audit"), TestContext.Current.CancellationToken);
        Assert.Contains("\"cookie\":\"2\"", lines[^1], StringComparison.Ordinal);
    }

    private static RightsConfig Rights(UserQuotas quotas, TypeRights? rights) => new()
    {
        Quotas = quotas,
        Types = rights is null ? new Dictionary<AddressType, TypeRights>() : new() { [AddressType.Fixed] = rights },
    };

    private static EngineEvent Event(EngineEventKind kind) => new() { Kind = kind };

    private static async Task WaitAsync(Func<bool> condition)
    {
        for (int look = 0; !condition(); look++)
        {
            Assert.True(look < 2000, "It does not come.");
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }
    }

    private RightsCheck Make(UserQuotas quotas, TypeRights? rights = null)
    {
        _accounts = new UserAccounts(quotas, _time);
        _audit = new AuditLog(new AuditSettings(Path.Combine(_folder.FullName, "audit"), 8 << 20, 1), _ => { });
        _commands = new CommandSockets(_services, _accounts, _audit, () => FakeServices.Now);
        _commands.Start();
        return new RightsCheck(Rights(quotas, rights));
    }

    private bool Admit(RightsCheck rights, ulong cookie, AddressType type = AddressType.Fixed, uint user = User, ulong cgroup = 5) => _commands!.TryAdmit(
        new SocketRecord { Cookie = cookie, Uid = user, Inode = 1, CgroupId = cgroup }, Cgroup, new ExecCgroup(type, false, null, 12), rights,
        new Applicant(user));

    private void Open(ulong cookie, string address, EngineEventKind kind = EngineEventKind.FlowOpened) => _commands!.Follow(Event(kind) with
    {
        Socket = cookie,
        Address = IpAddress.Parse(address),
        Decision = new Decision(DecisionOrigin.Command, AddressType.Fixed, default, 0, default),
    });

    private int CountOf(uint user)
    {
        UserAccount account = _accounts!.Of(user);
        lock (account.Lock)
        {
            return account.Commands.Count;
        }
    }

    private IpPrefix[] PrefixesOf(uint user)
    {
        UserAccount account = _accounts!.Of(user);
        lock (account.Lock)
        {
            return [.. account.Commands.Values.Select(one => one.Prefix).Distinct()];
        }
    }

    private async Task<JsonElement[]> ReadAsync()
    {
        await _commands!.StopAsync();
        _audit!.Dispose();
        string[] lines = await File.ReadAllLinesAsync(Path.Combine(_folder.FullName, "audit"), TestContext.Current.CancellationToken);
        return [.. lines.Select(line => JsonDocument.Parse(line).RootElement)];
    }

    private sealed class Applicant(uint user) : IApplicant
    {
        public uint User => user;

        public bool IsInGroup(uint group) => false;

        public bool Runs(string program) => false;
    }
}

using System.Text;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Config;
using OnDemand.Linux.Policy;
using OnDemand.Linux.Rights;
using OnDemand.Linux.Service;
using OnDemand.Linux.Sockets;
using OnDemand.Linux.Tests.Sockets;
using Xunit;

namespace OnDemand.Linux.Tests.Policy;

/// <summary>What the kernel says of a socket, and what that means.</summary>
public sealed class SocketJudgeTests
{
    private const uint User = 4242;

    [Theory]
    [InlineData("fixed", AddressType.Fixed, false)]
    [InlineData("session-lasting+on-net", AddressType.SessionLasting, true)]
    [InlineData("graceful-replacement", AddressType.GracefulReplacement, false)]
    [InlineData("graceful", AddressType.None, false)]
    [InlineData("on-net", AddressType.None, false)]
    public void The_sockets_of_a_command_have_the_type_that_its_cgroup_names(string name, AddressType type, bool onNet) =>
        JudgeOne($"ondemand-odjudge/{name}/12", (directory, judge, socket) =>
            Assert.Equal(new SocketVerdict(0b01, type, onNet, MayPrefer: type == AddressType.None), judge.Judge(socket)));

    [Fact]
    public void Cgroups_below_that_of_a_command_are_the_command_s() => JudgeOne("ondemand-odjudge/fixed/12/inner", (directory, judge, socket) =>
        Assert.Equal(AddressType.Fixed, judge.Judge(socket).Type));

    [Fact]
    public void Of_commands_within_commands_the_innermost_counts() =>
        JudgeOne("ondemand-odjudge/fixed/12/ondemand-odjudge/nonpersistent/13", (directory, judge, socket) =>
            Assert.Equal(AddressType.Nonpersistent, judge.Judge(socket).Type));

    [Theory]
    [InlineData("ondemand-od1/fixed/12")]
    [InlineData("ondemand-odjudge/fixed")]
    [InlineData("ondemand-odjudge")]
    [InlineData("fixed/12")]
    public void Other_cgroups_say_nothing(string path) => JudgeOne(path, (directory, judge, socket) =>
        Assert.Equal(new SocketVerdict(0b01, AddressType.None, OnNet: false, MayPrefer: true), judge.Judge(socket)));

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void A_directory_of_another_user_says_nothing_of_a_socket_whichever_of_the_three_it_is(int above) =>
        JudgeOne("ondemand-odjudge/fixed/12", (directory, judge, socket) =>
        {
            for (int i = 0; i < above; i++)
            {
                directory = Path.GetDirectoryName(directory)!;
            }

            TestCgroups.Own(directory, User + 1);

            Assert.Equal(AddressType.None, judge.Judge(socket).Type);
        });

    [Fact]
    public void A_user_s_own_directories_speak_for_the_user_and_for_nobody_else() => JudgeOne("ondemand-odjudge/fixed/12", (directory, judge, socket) =>
    {
        foreach (string own in (string[])[directory, Path.GetDirectoryName(directory)!, Path.GetDirectoryName(Path.GetDirectoryName(directory))!])
        {
            TestCgroups.Own(own, User);
        }

        Assert.Equal(AddressType.Fixed, judge.Judge(socket).Type);
        Assert.Equal(AddressType.None, judge.Judge(socket with { Uid = 0 }).Type);       // a set-uid program that the user started
        Assert.Equal(AddressType.None, judge.Judge(socket with { Inode = 0 }).Type);     // no program has it, so its user is not known
    });

    [Fact]
    public void A_command_gives_no_type_that_the_socket_s_user_or_program_has_no_right_to() => JudgeOne("ondemand-odjudge/fixed/12", (directory, judge, socket) =>
    {
        Give(new TypeRights(new HashSet<uint> { User + 1 }, null, null));
        Assert.Equal(new SocketVerdict(0b01, AddressType.None, OnNet: false, MayPrefer: true), judge.Judge(socket));

        Give(new TypeRights(new HashSet<uint> { User }, null, null));
        Assert.Equal(AddressType.Fixed, judge.Judge(socket).Type);

        Give(new TypeRights(null, new HashSet<uint> { 0 }, null));
        Assert.Equal(AddressType.None, judge.Judge(socket).Type);

        Give(new TypeRights(null, null, ["/nonexistent"]));
        Assert.Equal(AddressType.None, judge.Judge(socket).Type);

        void Give(TypeRights rights) => judge.Use(
            new RightsConfig { Types = new Dictionary<AddressType, TypeRights> { [AddressType.Fixed] = rights } });
    });

    [Fact]
    public void A_judge_goes_by_the_policy_it_was_last_given() => JudgeOne("elsewhere", (directory, judge, socket) =>
    {
        Assert.Equal(0b01u, judge.Judge(socket).Traits);

        judge.Use(judge.Resolve(Configuration("{user: 1, type: fixed}", $"{{user: {User}, type: fixed}}").Scenario));

        Assert.Equal(0b10u, judge.Judge(socket).Traits);
    });

    [Fact]
    public void Where_there_are_no_cgroups_there_are_no_commands_and_the_rest_is_the_same()
    {
        var judge = new SocketJudge(
            Configuration("{user: 5, type: fixed}", "{cgroup: /, type: fixed}"), new SocketOwners(new SocketOwnerLimits(), TimeProvider.System), cgroupRoot: null);

        Assert.Equal(new SocketVerdict(0b01, AddressType.None, OnNet: false, MayPrefer: true), judge.Judge(new SocketRecord { Uid = 5, Inode = 9, CgroupId = 77 }));
    }

    [Theory]
    [InlineData("fixed", "{user: 5, type: fixed}", false)]
    [InlineData("fixed", "{user: 5, legacy: true}", true)]
    [InlineData("legacy", "{user: 5, type: fixed}", true)]
    public void What_a_program_prefers_may_count_where_policy_leaves_some_sockets_without_a_type(string usual, string rule, bool may)
    {
        HostConfig config = HostConfigReader.Parse("host.yaml", Encoding.UTF8.GetBytes($$"""
            internal: [fd00::1]
            policy: {default: {{usual}}, rules: [{{rule}}]}
            """));
        var judge = new SocketJudge(config, new SocketOwners(new SocketOwnerLimits(), TimeProvider.System), cgroupRoot: null);

        Assert.Equal(may, judge.Judge(new SocketRecord { Uid = 6, Inode = 9 }).MayPrefer);
    }

    [Fact]
    public void A_cgroup_that_is_gone_is_looked_for_once_and_judging_costs_no_memory()
    {
        using var cgroups = new TestCgroups();
        var judge = new SocketJudge(Configuration("{cgroup: /, type: fixed}"), new SocketOwners(new SocketOwnerLimits(), TimeProvider.System), cgroups.Root);
        var here = new SocketRecord { Uid = 5, Inode = 9, CgroupId = CgroupPaths.IdOf(cgroups.Root + cgroups.Top) };
        SocketRecord gone = here with { CgroupId = ulong.MaxValue };
        Assert.Equal((1UL, 0UL), (judge.Judge(here).Traits, judge.Judge(gone).Traits));
        long before = GC.GetAllocatedBytesForCurrentThread();

        ulong sum = 0;
        for (int i = 0; i < 100; i++)
        {
            sum += judge.Judge(here).Traits + judge.Judge(gone).Traits;
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
        Assert.Equal(100UL, sum);
    }

    // A program of the user with a socket, in a cgroup below the test's own; rule 0 names the user and that cgroup, rule 1 another.
    private static void JudgeOne(string path, Action<string, SocketJudge, SocketRecord> check)
    {
        using var cgroups = new TestCgroups();
        string directory = cgroups.MakeBelow(path);
        SocketDiagTests.InScene((scene, diag) =>
        {
            scene.ForeignProgram(User, before: $"echo $$ > {directory}/cgroup.procs");
            var judge = new SocketJudge(
                Configuration($"{{user: {User}, cgroup: {cgroups.Top}, type: fixed}}", "{cgroup: /od-elsewhere, type: fixed}"),
                new SocketOwners(new SocketOwnerLimits(), TimeProvider.System), cgroups.Root);
            check(directory, judge, SocketOwnersTests.Foreign(diag));
        });
    }

    // A TAP of its own: a dataplane that begins, in another test at the same time, removes what commands of its TAP have left.
    private static HostConfig Configuration(params string[] rules) => HostConfigReader.Parse(
        "host.yaml",
        Encoding.UTF8.GetBytes($"internal: [fd00:a::2]\npolicy: {{rules: [{string.Join(", ", rules)}]}}\nhost: {{tap: odjudge}}\n"));
}

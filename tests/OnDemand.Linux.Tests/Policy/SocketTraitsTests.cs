using System.Text;
using OnDemand.Captures.Scenarios;
using OnDemand.Linux.Policy;
using OnDemand.Linux.Sockets;
using OnDemand.Linux.Tests.Sockets;
using Xunit;

namespace OnDemand.Linux.Tests.Policy;

public sealed class SocketTraitsTests
{
    private readonly SocketOwners _owners = new(new SocketOwnerLimits { Time = TimeSpan.FromMinutes(1) }, TimeProvider.System);

    [Fact]
    public void A_user_is_known_by_name_or_number()
    {
        SocketTraits traits = Resolve("user: root", "user: 0", "user: 4242", "user: daemon");

        Assert.Equal(0b0011u, traits.Of(Of(0), null));
        Assert.Equal(0b0100u, traits.Of(Of(4242), null));
        Assert.Equal(0b1000u, traits.Of(Of(UserNames.UserOf("daemon")!.Value), null));
        Assert.Equal(0u, traits.Of(Of(4243), null));
    }

    [Fact]
    public void A_group_has_the_users_that_the_database_says()
    {
        SocketTraits traits = Resolve("group: root", "group: 4242", "{group: root, user: 4243}");

        Assert.Equal(0b001u, traits.Of(Of(0), null));
        Assert.Equal(0u, traits.Of(Of(4242), null));         // a number that the database does not know is in no group
        Assert.Equal(0u, traits.Of(Of(4243), null));
    }

    [Theory]
    [InlineData("/a", true)]
    [InlineData("/a/b/c", true)]
    [InlineData("/ab", false)]
    [InlineData("/b/a", false)]
    [InlineData("/", false)]
    [InlineData(null, false)]
    public void A_cgroup_is_meant_with_all_that_is_below(string? path, bool isMet)
    {
        SocketTraits traits = Resolve("cgroup: /a", "cgroup: /");

        Assert.Equal((isMet ? 1u : 0) | (path is null ? 0u : 2), traits.Of(Of(5), path));
    }

    [Fact]
    public void Every_part_of_a_condition_must_hold()
    {
        SocketTraits traits = Resolve("{user: 7, cgroup: /a}", "{user: 7, cgroup: /b}", "{user: 8, cgroup: /a}");

        Assert.Equal(0b001u, traits.Of(Of(7), "/a/x"));
        Assert.Equal(0b010u, traits.Of(Of(7), "/b"));
        Assert.Equal(0b100u, traits.Of(Of(8), "/a"));
    }

    [Fact]
    public void Of_a_socket_that_no_program_has_nothing_but_its_cgroup_is_known()
    {
        SocketTraits traits = Resolve("user: root", "program: /**", "cgroup: /a", "{user: root, cgroup: /a}");

        Assert.Equal(0b0100u, traits.Of(default, "/a"));
    }

    [Fact]
    public void A_bit_without_a_condition_is_never_met()
    {
        SocketTraits traits = new(
            new ScenarioPolicy { Conditions = [null, new SocketCondition { User = "5" }, null, new SocketCondition { Cgroup = "/" }] }, "p.yaml", _owners);

        Assert.Equal(0b1010u, traits.Of(Of(5), "/a"));
        Assert.Equal(0b1000u, traits.Of(Of(6), "/a"));
    }

    [Fact]
    public void No_process_is_looked_at_unless_a_program_decides()
    {
        SocketTraits traits = Resolve("user: 7", "{user: 7, program: /bin/sh}", "{cgroup: /b, program: /bin/sh}");

        Assert.Equal(0u, traits.Of(Of(8), "/a"));
        Assert.Equal(0, _owners.Searches);
        Assert.Equal(1u, traits.Of(Of(7), "/a"));
        Assert.Equal(1, _owners.Searches);
    }

    [Fact]
    public void The_program_that_has_a_socket_is_found() => SocketDiagTests.InScene((scene, diag) =>
    {
        scene.Udp("::", 4000);
        Assert.True(diag.TryFind(SocketScene.Query(SocketProtocol.Udp, SocketScene.Inside, 4000, SocketScene.Server, 53), out SocketRecord socket));
        string own = Environment.ProcessPath!;
        SocketTraits traits = Resolve(
            $"program: '{own}'", $"program: '{Path.GetDirectoryName(own)}/*'", "program: /bin/sh", $"{{program: '{own}', user: 12345}}", "program: /**");

        Assert.Equal(0b10011u, traits.Of(socket, null));
    });

    [Fact]
    public void Who_is_not_known_is_named_with_file_and_line()
    {
        ScenarioException user = Assert.Throws<ScenarioException>(() => Resolve("user: 5", "user: nobody-of-this-name"));
        Assert.Equal("p.yaml:6:14: found the unknown user 'nobody-of-this-name', expected a user of this host or a number.", user.Message);
        ScenarioException group = Assert.Throws<ScenarioException>(() => Resolve("{user: root, group: no-such-group}"));
        Assert.Equal("p.yaml:5:27: found the unknown group 'no-such-group', expected a group of this host or a number.", group.Message);
    }

    [Fact]
    public void Users_groups_and_cgroups_cost_no_memory_once_they_are_known()
    {
        SocketTraits traits = Resolve("user: 7", "group: root", "{user: 8, cgroup: /a/b}", "cgroup: /a");
        SocketRecord[] sockets = [Of(0), Of(7), Of(8)];
        ulong sum = 0;
        Round();
        long before = GC.GetAllocatedBytesForCurrentThread();

        for (int i = 0; i < 100; i++)
        {
            Round();
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
        Assert.Equal(101UL * ((2 + 8) + (1 + 8) + (4 + 8)), sum);

        void Round()
        {
            foreach (ref readonly SocketRecord socket in sockets.AsSpan())
            {
                sum += traits.Of(socket, "/a/b");
            }
        }
    }

    private static SocketRecord Of(uint user) => new() { Uid = user, Inode = uint.MaxValue, Cookie = user + 1000UL };

    private SocketTraits Resolve(params string[] conditions)
    {
        string rules = string.Concat(conditions.Select(condition => $"    - {{{condition.Trim('{', '}')}, type: fixed}}\n"));
        Scenario scenario = ScenarioReader.Parse(
            "p.yaml", Encoding.UTF8.GetBytes($"internal: [fd00::1]\nnetwork: [{{at: 0s, detach: true}}]\npolicy:\n  rules:\n{rules}"));
        return new SocketTraits(scenario.Policy, scenario.File, _owners);
    }
}

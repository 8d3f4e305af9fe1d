using System.Diagnostics;
using System.Net.Sockets;
using OnDemand.Linux.Sockets;
using Xunit;
using static OnDemand.Linux.Tests.Sockets.SocketDiagTests;
using static OnDemand.Linux.Tests.Sockets.SocketScene;

namespace OnDemand.Linux.Tests.Sockets;

public sealed class SocketOwnersTests
{
    // Generous: the tests are about what is found, not how fast.
    private static readonly SocketOwnerLimits Generous = new() { Time = TimeSpan.FromMinutes(1) };

    [Fact]
    public void The_owner_of_a_socket_is_its_process_and_what_it_runs() => InScene((scene, diag) =>
    {
        scene.Udp("::", 4000);
        SocketOwners owners = new(Generous, TimeProvider.System);

        Assert.True(owners.TryFind(Find(diag, 4000), out SocketOwner owner));

        Assert.Equal(new SocketOwner(Environment.ProcessId, Environment.ProcessPath), owner);
    });

    [Fact]
    public void A_socket_of_another_user_has_that_users_program() => InScene((scene, diag) =>
    {
        Process program = scene.ForeignProgram(4242);
        SocketRecord record = Foreign(diag);
        Assert.Equal(4242u, record.Uid);
        SocketOwners owners = new(Generous, TimeProvider.System);

        Assert.True(SpinWait.SpinUntil(
            () => owners.TryFind(record, out SocketOwner owner) && owner.Program?.EndsWith("/sleep", StringComparison.Ordinal) == true
                && owner.ProcessId == program.Id,
            TimeSpan.FromSeconds(30)));    // it becomes sleep(1) after it has told that it is ready
        Assert.Contains(record.Inode, ProcessSockets.InodesOf(program.Id));
        Assert.False(new SocketOwners(Generous, TimeProvider.System).TryFind(record with { Uid = 4243 }, out _));
    });

    [Fact]
    public void An_answer_is_kept_until_it_is_no_longer_true() => InScene((scene, diag) =>
    {
        Socket socket = scene.Udp("::", 4000);
        SocketRecord record = Find(diag, 4000);
        SocketOwners owners = new(Generous, TimeProvider.System);
        Assert.True(owners.TryFind(record, out SocketOwner first));
        Assert.True(owners.TryFind(record, out SocketOwner again));
        Assert.Equal((first, 1L), (again, owners.Searches));

        socket.Close();
        Assert.False(owners.TryFind(record, out _));
        Assert.Equal(2, owners.Searches);
    });

    [Fact]
    public void Only_so_many_answers_are_kept_the_latest_used() => InScene((scene, diag) =>
    {
        SocketRecord[] records = [.. Enumerable.Range(4000, 3).Select(port =>
        {
            scene.Udp("::", port);
            return Find(diag, port);
        })];
        SocketOwners owners = new(Generous with { Kept = 2 }, TimeProvider.System);
        foreach (int i in new[] { 0, 1, 0, 2, 0 })    // the second is the one least recently used when the third comes
        {
            Assert.True(owners.TryFind(records[i], out _));
        }

        Assert.Equal(3, owners.Searches);
        Assert.True(owners.TryFind(records[1], out _));
        Assert.Equal(4, owners.Searches);
    });

    [Fact]
    public void A_search_ends_at_its_limits() => InScene((scene, diag) =>
    {
        scene.Udp("::", 4000);
        SocketRecord record = Find(diag, 4000);
        foreach (SocketOwnerLimits limits in new[]
        {
            Generous with { Processes = 0 }, Generous with { Descriptors = 1 }, Generous with { Time = TimeSpan.Zero },
        })
        {
            SocketOwners owners = new(limits, TimeProvider.System);
            Assert.False(owners.TryFind(record, out _));
            Assert.Equal(1, owners.SearchesGivenUp);
        }
    });

    [Fact]
    public void What_no_program_has_is_not_searched_for()
    {
        SocketOwners owners = new(Generous, TimeProvider.System);
        Assert.False(owners.TryFind(new SocketRecord { Cookie = 7, State = SocketState.TimeWait }, out _));
        Assert.Equal(0, owners.Searches);
    }

    [Fact]
    public void A_process_that_is_gone_has_nothing()
    {
        Assert.Empty(ProcessSockets.InodesOf(int.MaxValue));
        Assert.Null(ProcessSockets.ProgramOf(int.MaxValue));
        Assert.False(ProcessSockets.IsOf(int.MaxValue, 0));
    }

    internal static SocketRecord Foreign(SocketDiag diag)
    {
        SocketRecord found = default;
        diag.Dump(SocketProtocol.Udp, SocketStates.All, (in SocketRecord record) => found = record.RemotePort == 9 ? record : found);
        Assert.True(found.HasProgram);
        return found;
    }

    private static SocketRecord Find(SocketDiag diag, int port)
    {
        Assert.True(diag.TryFind(Query(SocketProtocol.Udp, Inside, port, Server, 53), out SocketRecord record));
        return record;
    }
}

using System.Net.Sockets;
using OnDemand.Dataplane.Selection;
using OnDemand.Linux.Sockets;
using Xunit;
using static OnDemand.Linux.Tests.Sockets.SocketDiagTests;
using static OnDemand.Linux.Tests.Sockets.SocketScene;

namespace OnDemand.Linux.Tests.Sockets;

public sealed class PreferenceReaderTests
{
    private const int Public = 0x2;
    private const int Temporary = 0x1;
    private const int CareOf = 0x4;

    private static readonly SocketOwnerLimits Generous = new() { Time = TimeSpan.FromMinutes(1) };

    [Fact]
    public void What_each_socket_of_a_program_told_the_kernel_is_read_when_it_is_asked_for() => InScene((scene, diag) =>
    {
        PreferenceReader reader = Reader();
        Socket[] sockets = [.. Enumerable.Range(4000, 4).Select(port => scene.Udp("::", port))];
        Prefer(sockets[1], Public);
        Prefer(sockets[2], Temporary);
        Prefer(sockets[3], CareOf);

        Assert.Equal(
            [AddressPreferences.None, AddressPreferences.Public, AddressPreferences.Temporary, AddressPreferences.CareOf],
            sockets.Select((_, i) => Settled(reader, Find(diag, 4000 + i))));

        Prefer(sockets[0], Public);
        Assert.True(reader.TryReadAtHand(Find(diag, 4000), out AddressPreferences now));
        Assert.Equal(AddressPreferences.Public, now);
    });

    [Fact]
    public void A_program_of_another_user_is_looked_into_and_its_socket_ends_when_it_does() => InScene((scene, diag) =>
    {
        System.Diagnostics.Process program = scene.ForeignProgram(4242);
        SocketRecord record = SocketOwnersTests.Foreign(diag);
        PreferenceReader reader = Reader();
        _ = Settled(reader, record);
        Assert.Equal(1, reader.Found);
        Assert.True(TakenSocket.IsThere(HolderOf(record), record.Cookie));

        program.Kill();
        program.WaitForExit();
        Assert.False(diag.TryFind(
            new SocketQuery(record.Protocol, record.Local, record.LocalPort, record.Remote, record.RemotePort), out _));
    });

    [Fact]
    public void Who_cannot_be_found_is_not_searched_for_again_at_once() => InScene((scene, diag) =>
    {
        Socket socket = scene.Udp("::", 4000);
        Prefer(socket, Public);
        SocketRecord record = Find(diag, 4000);
        SocketOwners owners = new(Generous with { Processes = 0 }, TimeProvider.System);
        PreferenceReader reader = new(owners, TimeProvider.System);

        Assert.All(Enumerable.Range(0, 100), _ => Assert.Equal(AddressPreferences.None, reader.Search(record)));

        Assert.Equal((0L, 100L), (reader.Found, reader.NotFound + reader.PassedOver));
        Assert.Equal(reader.NotFound, owners.Searches);
        Assert.True(reader.PassedOver > 0);
    });

    [Fact]
    public void A_descriptor_that_is_another_socket_by_now_is_not_taken_for_it() => InScene((scene, diag) =>
    {
        Socket socket = scene.Udp("::", 4000);
        SocketRecord record = Find(diag, 4000);
        SocketHolder holder = HolderOf(record);

        Assert.True(TakenSocket.IsThere(holder, record.Cookie));
        Assert.False(TakenSocket.IsThere(holder, record.Cookie + 1));
        Assert.False(TakenSocket.IsThere(holder with { ProcessId = int.MaxValue }, record.Cookie));
        Assert.Equal((int)socket.Handle, holder.Descriptor);
    });

    internal static SocketHolder HolderOf(SocketRecord record)
    {
        foreach (int process in ProcessSockets.All())
        {
            foreach (int descriptor in ProcessSockets.DescriptorsOf(process))
            {
                if (ProcessSockets.TryGetInode(process, descriptor, out uint inode) && inode == record.Inode)
                {
                    return new SocketHolder(process, descriptor);
                }
            }
        }

        throw new InvalidOperationException("Nobody has the socket.");
    }

    // A busy machine may need more than one search.
    private static AddressPreferences Settled(PreferenceReader reader, SocketRecord record)
    {
        long before = reader.Found;
        AddressPreferences preferences = AddressPreferences.None;
        Assert.True(SpinWait.SpinUntil(
            () =>
            {
                if (!reader.TryReadAtHand(record, out preferences))
                {
                    preferences = reader.Search(record);
                }

                return reader.Found > before;
            },
            TimeSpan.FromSeconds(60)));
        return preferences;
    }

    private static PreferenceReader Reader() => new(new SocketOwners(Generous, TimeProvider.System), TimeProvider.System);

    private static void Prefer(Socket socket, int flags) => socket.SetRawSocketOption(41, 72, BitConverter.GetBytes(flags));

    private static SocketRecord Find(SocketDiag diag, int port)
    {
        Assert.True(diag.TryFind(Query(SocketProtocol.Udp, Inside, port, Server, 53), out SocketRecord record));
        return record;
    }
}

using System.Net.Sockets;
using OnDemand.Linux.Service;
using OnDemand.Linux.Sockets;
using Xunit;

namespace OnDemand.Linux.Tests.Service;

public sealed class PlacedSocketsTests : IDisposable
{
    private readonly Socket[] _sockets =
        [.. Enumerable.Range(0, 3).Select(_ => new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp))];

    public void Dispose() => Array.ForEach(_sockets, socket => socket.Dispose());

    [Fact]
    public void Those_that_are_where_they_were_are_there_and_one_that_is_not_is_enough_to_look()
    {
        AskingSocket[] placed = [.. _sockets.Select(Placed)];

        Assert.True(PlacedSockets.AreAllThere(placed));
        Assert.True(PlacedSockets.AreAllThere([placed[0], Unknown(1)]));
        Assert.False(PlacedSockets.AreAllThere([placed[0], Elsewhere(1, PlaceOf(2)), placed[2]]));
        Assert.Equal(placed.ToDictionary(one => one.Cookie, one => one.Place.Holder), PlacedSockets.Find(placed));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Those_that_have_moved_are_found_where_they_are_now(int moved)
    {
        AskingSocket[] asking = [.. _sockets.Select((socket, i) => i < moved ? Elsewhere(i, PlaceOf((i + 1) % 3)) : Placed(socket))];

        Assert.Equal(_sockets.Select((_, i) => i).ToDictionary(CookieOf, PlaceOf), PlacedSockets.Find(asking));
    }

    [Fact]
    public void Those_that_have_ended_are_not_found_though_their_descriptors_are_others_by_now()
    {
        AskingSocket ended = Placed(_sockets[0]);
        AskingSocket unknown = Unknown(1);
        AskingSocket another = Placed(_sockets[2]) with { Cookie = ulong.MaxValue };    // with that inode there is another
        _sockets[0].Dispose();

        Assert.False(PlacedSockets.AreAllThere([ended]));
        Assert.Empty(PlacedSockets.Find([ended, unknown, another]));
    }

    private static AskingSocket Placed(Socket socket)
    {
        var place = new SocketHolder(Environment.ProcessId, (int)socket.Handle);
        Assert.True(ProcessSockets.TryGetInode(place.ProcessId, place.Descriptor, out uint inode));
        return new AskingSocket(SocketCookie.Of(socket.SafeHandle), new SocketPlace(place, inode));
    }

    private ulong CookieOf(int number) => SocketCookie.Of(_sockets[number].SafeHandle);

    private SocketHolder PlaceOf(int number) => new(Environment.ProcessId, (int)_sockets[number].Handle);

    private AskingSocket Unknown(int number) => new(CookieOf(number), default);

    private AskingSocket Elsewhere(int number, SocketHolder holder) =>
        Placed(_sockets[number]) is var there ? there with { Place = there.Place with { Holder = holder } } : default;
}

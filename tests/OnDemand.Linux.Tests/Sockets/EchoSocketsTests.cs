using System.Net;
using System.Net.Sockets;
using System.Text;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Sockets;
using Xunit;

namespace OnDemand.Linux.Tests.Sockets;

public sealed class EchoSocketsTests
{
    private const int Identifier = 0x1234;
    private static readonly IpAddress Here = IpAddress.Parse(SocketScene.Inside);
    private static readonly IpAddress There = IpAddress.Parse(SocketScene.Server);

    [Fact]
    public void The_socket_of_an_echo_is_found_by_its_identifier_with_cookie_and_user()
    {
        using var scene = new SocketScene();
        scene.Run(() =>
        {
            _ = SocketScene.Shell("echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range");
            using Socket socket = Echo();
            var owners = new SocketOwners(new SocketOwnerLimits { Time = TimeSpan.FromMinutes(1) }, TimeProvider.System);
            using EchoSockets echoes = EchoSockets.Open(owners, TimeProvider.System, cgroupRoot: null)!;

            // A busy machine may need more than one search.
            SocketRecord record = default;
            SocketHolder holder = default;
            Assert.True(SpinWait.SpinUntil(
                () => echoes.TryFind(Flow(Identifier), out record, out holder) && record.Cookie != 0, TimeSpan.FromSeconds(60)));
            Assert.Equal((SocketCookie.Of(socket.SafeHandle), 0u, Identifier), (record.Cookie, record.Uid, record.LocalPort));
            Assert.Equal(new SocketHolder(Environment.ProcessId, (int)socket.Handle), holder);
            Assert.False(echoes.TryFind(Flow(Identifier + 1), out _, out _));
            Assert.False(echoes.TryFind(Flow(Identifier) with { Internal = There }, out _, out _));

            socket.Connect(new IPEndPoint(IPAddress.Parse(SocketScene.Server), 0));
            Assert.True(echoes.TryFind(Flow(Identifier), out _, out _));
            Assert.False(echoes.TryFind(Flow(Identifier) with { Remote = Here }, out _, out _));

            socket.Dispose();
            Assert.False(echoes.TryFind(Flow(Identifier), out _, out _));
        });
    }

    [Fact]
    public void All_are_found_where_the_table_is_longer_than_the_kernel_gives_at_once()
    {
        using var scene = new SocketScene();
        scene.Run(() =>
        {
            _ = SocketScene.Shell("echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range");
            int[] identifiers = [.. Enumerable.Range(Identifier, 80)];
            Socket[] sockets = [.. identifiers.Select(identifier => Echo(identifier))];
            var owners = new SocketOwners(new SocketOwnerLimits(), TimeProvider.System);
            using EchoSockets echoes = EchoSockets.Open(owners, TimeProvider.System, cgroupRoot: null)!;

            Assert.All(identifiers, identifier => Assert.True(echoes.TryFind(Flow(identifier), out _, out _)));
            Array.ForEach(sockets, socket => socket.Dispose());
        });
    }

    [Theory]
    [InlineData("")]
    [InlineData("  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid")]
    [InlineData("   26: 0000:067D 00000000000000000000000001000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 15778871 2 0 0")]
    [InlineData("   26: 00000000000000000000000001000000:067D 00000000000000000000000001000000:0000 01 00000000:00000000 00:00000000 00000000     -1        0 15778871 2 0 0")]
    [InlineData("   26: 0000000000000000000000000100000g:067D 00000000000000000000000001000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 15778871 2 0 0")]
    [InlineData("   26: 00000000000000000000000001000000:067D 00000000000000000000000001000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 0 2 0 0")]
    public void What_is_no_socket_of_a_program_is_passed_over(string line) =>
        Assert.False(EchoSockets.TryReadRow(Encoding.ASCII.GetBytes(line), out _));

    private static FlowIdentity Flow(int identifier) => new(IpProtocol.Icmpv6, Here, (ushort)identifier, There, 0);

    private static Socket Echo(int identifier = Identifier)
    {
        var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.IcmpV6);
        socket.Bind(new IPEndPoint(IPAddress.Parse(SocketScene.Inside), identifier));
        return socket;
    }
}

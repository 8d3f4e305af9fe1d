using System.Net.Sockets;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>What a program told the kernel to prefer (RFC 5014) counts for its sockets without a type, and for no others (draft-17 §5.4).</summary>
public sealed class PreferenceTests
{
    private const int Port = 7000;                   // no rule of the usual scenario names it
    private const string Public = "2001:db8:f1::7";  // the network's own, and not one that is renewed

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    // Written for no dataplane: two sockets of one process, of which one says what it prefers.
    private const string Unmodified =
        """
        import socket, sys
        def seen(kind, flags):
            s = socket.socket(socket.AF_INET6, kind)
            if flags: s.setsockopt(socket.IPPROTO_IPV6, 72, flags)
            s.settimeout(20)
            s.connect((sys.argv[1], int(sys.argv[2])))
            s.send(b'who\n')
            print(s.recv(256).decode().split()[-1])
        kind = socket.SOCK_STREAM if sys.argv[3] == 'tcp' else socket.SOCK_DGRAM
        for flags in (0, 2, 1, 0, 2): seen(kind, flags)
        """;

    // The kernel gets the flags from setsc_setsockopt(), the dataplane from the kernel.
    private const string WithLibrary =
        """
        import ctypes, socket, sys
        setsc = ctypes.CDLL(sys.argv[3])
        def seen(s):
            s.settimeout(20)
            s.connect((sys.argv[1], int(sys.argv[2])))
            s.send(b'who\n')
            print(s.recv(256).decode().split()[-1])
        def prefers(flags):
            s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            value = ctypes.c_int(flags)
            assert setsc.setsc_setsockopt(s.fileno(), 41, 72, ctypes.byref(value), 4) == 0
            return s
        address = ctypes.create_string_buffer(16)
        seen(prefers(2))
        mapped = prefers(2)
        assert setsc.setsc_map(mapped.fileno(), address, 2) == 0
        seen(mapped)
        unbound = prefers(2)
        assert setsc.setsc(unbound.fileno(), address, 2) == 0
        seen(unbound)
        """;

    [Theory]
    [InlineData(SocketType.Stream, "tcp")]
    [InlineData(SocketType.Dgram, "udp")]
    public async Task An_unmodified_program_gets_for_each_socket_what_it_told_the_kernel_to_prefer(SocketType type, string word)
    {
        LabRig.Need("python3");
        await using LabRig rig = await LabRig.UpAsync();
        await using var server = new LineServer(rig.Server(LabNodes.Peer, type, Port));

        string[] seen = Lines(await rig.RunAsync(LabNodes.Host, "python3", "-c", Unmodified, LabLinks.PeerAddress, $"{Port}", word));

        Assert.Equal(5, seen.Length);
        Assert.Equal((Public, Public), (seen[1], seen[4]));
        Assert.All(new[] { seen[0], seen[2], seen[3] }, address => Assert.NotEqual(Public, address));
    }

    [Fact]
    public async Task A_type_comes_before_preferences_and_a_request_without_a_bind_leaves_them_in_force()
    {
        LabRig.Need("python3", "make", "gcc");
        await using LabRig rig = await LabRig.UpAsync();
        await using var server = new LineServer(rig.Server(LabNodes.Peer, SocketType.Dgram, Port));
        string library = Path.Combine(await rig.BuildSetscAsync(Cancellation), "libsetsc.so");

        string[] seen = Lines(await rig.RunAsync(
            LabNodes.Host, "env", $"ONDEMAND_PROGRAMS={rig.Lab.Directory.Programs}", "python3", "-c", WithLibrary, LabLinks.PeerAddress, $"{Port}",
            library));

        Assert.Equal(3, seen.Length);
        Assert.Equal(Public, seen[0]);
        Assert.StartsWith("2001:db8:51:1:", seen[1], StringComparison.Ordinal);
        Assert.Equal(Public, seen[2]);
    }

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
}

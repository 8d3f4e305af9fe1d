using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Sockets;
using OnDemand.Linux.Tests.Netlink;
using Xunit;

namespace OnDemand.Linux.Tests.Sockets;

/// <summary>A network namespace with two addresses, and the sockets that a test opens there.</summary>
internal sealed class SocketScene : IDisposable
{
    public const string Inside = "2001:db8::1";
    public const string Server = "2001:db8::2";

    private readonly NetworkNamespace _space = new();
    private readonly List<IDisposable> _open = [];

    public SocketScene()
    {
        // The runtime tries out once whether there is IPv6, with a socket that is not to end in a test.
        Assert.True(Socket.OSSupportsIPv6);
        _space.Shell($"ip link set lo up; ip -6 addr add {Inside}/128 dev lo nodad; ip -6 addr add {Server}/128 dev lo nodad");
        _space.Shell(Await("table local", Inside) + Await("table local", Server));
    }

    public static SocketQuery Query(SocketProtocol protocol, string local, int localPort, string remote, int remotePort) =>
        new(protocol, IpAddress.Parse(local), (ushort)localPort, IpAddress.Parse(remote), (ushort)remotePort);

    public static ulong CookieOf(Socket socket) => SocketCookie.Of(socket.SafeHandle);

    public void Run(Action work) => _space.Run(work);

    /// <summary>Runs commands of sh(1), within <see cref="Run"/>.</summary>
    public static string Shell(string script) => NetworkNamespace.ShellHere(script);

    /// <summary>The command that waits for a route: the kernel makes those of an address a moment after the address.</summary>
    public static string Await(string table, string route) =>
        $"until ip -6 route show {table} | grep -q '{route}'; do sleep 0.01; done; ";

    public T Keep<T>(T item)
        where T : IDisposable
    {
        _open.Add(item);
        return item;
    }

    public SocketDiag Diag() => Keep(SocketDiag.Open(TimeSpan.FromSeconds(10)));

    public Socket Udp(string address, int port, bool isShared = false)
    {
        Socket socket = Keep(new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp));
        if (isShared)
        {
            socket.SetRawSocketOption(1, 15, BitConverter.GetBytes(1));    // SO_REUSEPORT
        }

        socket.Bind(End(address, port));
        return socket;
    }

    public Socket Listener(string address, int port)
    {
        Socket socket = Keep(new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp));
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        socket.Bind(End(address, port));
        socket.Listen();
        return socket;
    }

    public Socket Tcp(string address, int port)
    {
        Socket socket = Keep(new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp));
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        socket.Bind(End(address, port));
        return socket;
    }

    /// <summary>A connection from <see cref="Inside"/> to a listener on <see cref="Server"/>.</summary>
    public (Socket Client, Socket Accepted) Connect(Socket listener, int port)
    {
        Socket client = Tcp(Inside, port);
        client.Connect(listener.LocalEndPoint!);
        return (client, Keep(listener.Accept()));
    }

    /// <summary>A program of another user with a UDP socket to port 9 of <see cref="Server"/>; it becomes sleep(1). Commands of
    /// bash(1) may be carried out before it and when it has its socket.</summary>
    public Process ForeignProgram(uint uid, string before = ":", string after = ":")
    {
        ProcessStartInfo start = new("bash", ["-c",
            $"{before}; exec setpriv --reuid {uid} --clear-groups bash -c 'exec 3<>/dev/udp/{Server}/9 && echo ready && {after} && exec sleep 100'"])
        { RedirectStandardOutput = true };
        Process process = Process.Start(start)!;
        Keep(new Ending(process));
        Assert.Equal("ready", process.StandardOutput.ReadLine());
        return process;
    }

    public void Dispose()
    {
        foreach (IDisposable item in _open)
        {
            item.Dispose();
        }

        _space.Dispose();
    }

    public static IPEndPoint End(string address, int port) => new(IPAddress.Parse(address), port);

    private sealed class Ending(Process process) : IDisposable
    {
        public void Dispose()
        {
            process.Kill();
            process.WaitForExit();
            process.Dispose();
        }
    }
}

using System.Globalization;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using OnDemand.Linux.Sockets;
using Xunit;
using static OnDemand.Linux.Tests.Sockets.SocketDiagTests;
using static OnDemand.Linux.Tests.Sockets.SocketScene;

namespace OnDemand.Linux.Tests.Sockets;

public sealed partial class SocketDumpTests
{
    private static readonly string? Cgroups = CgroupPaths.FindMount(File.ReadLines("/proc/self/mountinfo"));

    [Theory]
    [InlineData("-u", true)]
    [InlineData("-t", false)]
    public void A_dump_tells_what_ss_tells(string option, bool isUdp) => InScene((scene, diag) =>
    {
        Socket listener = scene.Listener(Server, 80);
        for (int i = 0; i < 40; i++)
        {
            scene.Connect(listener, 5000 + i);
            scene.Udp(i % 2 == 0 ? "::" : Inside, 4000 + i).SetRawSocketOption(1, 36, BitConverter.GetBytes(i));    // SO_MARK
        }

        scene.Udp(Inside, 3000).Connect(End(Server, 53));
        scene.Listener("::", 81);
        scene.ForeignProgram(4242);

        List<Line> ours = [];
        diag.Dump(isUdp ? SocketProtocol.Udp : SocketProtocol.Tcp, SocketStates.All, (in SocketRecord record) => ours.Add(new Line(
            record.LocalPort, record.RemotePort, record.Cookie, record.Inode, record.Uid, record.CgroupId, record.Mark)));
        List<Line> theirs = [.. Shell($"ss {option} -a -e -n -6 -H -O").Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Parse)];

        Assert.Equal(isUdp ? 42 : 82, theirs.Count);
        Assert.Equal(theirs.OrderBy(static line => line.Cookie), ours.OrderBy(static line => line.Cookie));
        Assert.Equal(isUdp, ours.Exists(static line => line is { Uid: 4242, RemotePort: 9 }));
    });

    [Fact]
    public void A_dump_of_some_states_tells_of_these_only() => InScene((scene, diag) =>
    {
        Socket listener = scene.Listener(Server, 80);
        (Socket client, Socket accepted) = scene.Connect(listener, 5000);
        scene.Connect(listener, 5001);
        client.Close();
        accepted.Close();
        List<(SocketState, ulong)> told = [];

        diag.Dump(SocketProtocol.Tcp, SocketStates.OfPrograms, (in SocketRecord record) => told.Add((record.State, record.Cookie)));
        Assert.Equal(3, told.Count);
        Assert.Contains((SocketState.Listen, CookieOf(listener)), told);
        told.Clear();
        diag.Dump(SocketProtocol.Tcp, SocketStates.All, (in SocketRecord record) => told.Add((record.State, record.Cookie)));
        Assert.Single(told, static line => line.Item1 == SocketState.TimeWait);
        told.Clear();
        diag.Dump(SocketProtocol.Tcp, SocketStates.None, (in SocketRecord record) => told.Add((record.State, record.Cookie)));
        Assert.Empty(told);
    });

    [Fact]
    public void A_dump_of_thousands_is_whole() => InScene((scene, diag) =>
    {
        HashSet<ulong> expected = [.. Enumerable.Range(10_000, 3000).Select(port => CookieOf(scene.Udp("::", port)))];
        HashSet<ulong> told = [];
        diag.Dump(SocketProtocol.Udp, SocketStates.OfPrograms, (in SocketRecord record) => told.Add(record.Cookie));
        Assert.Equal(expected, told);
    });

    // udp ESTAB 0 0 [2001:db8::1]:3000 [2001:db8::2]:53 uid:4242 ino:3725044 sk:102f cgroup:/ <->
    private static Line Parse(string text)
    {
        string[] words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        ushort[] ports = [.. words.Where(static word => PortWord().IsMatch(word)).Select(static word => PortOf(word))];
        string cgroup = Value("cgroup:");
        return new Line(
            ports[0],
            ports[1],
            ulong.Parse(Value("sk:"), NumberStyles.HexNumber),
            uint.Parse(Value("ino:")),
            Value("uid:") is { Length: > 0 } uid ? uint.Parse(uid) : 0,
            cgroup.StartsWith('/') ? CgroupPaths.IdOf(Cgroups + cgroup) : 0,
            Value("fwmark:") is { Length: > 0 } mark ? Convert.ToUInt32(mark, 16) : 0);

        string Value(string name) => words.FirstOrDefault(word => word.StartsWith(name, StringComparison.Ordinal))?[name.Length..] ?? string.Empty;
    }

    private static ushort PortOf(string word) => word.EndsWith('*') ? (ushort)0 : ushort.Parse(word[(word.LastIndexOf(':') + 1)..]);

    [GeneratedRegex(@"^(\*|\[.*\])(%\w+)?:(\*|\d+)$")]
    private static partial Regex PortWord();

    private readonly record struct Line(ushort LocalPort, ushort RemotePort, ulong Cookie, uint Inode, uint Uid, ulong CgroupId, uint Mark);
}

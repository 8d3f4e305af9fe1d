using System.Net;
using System.Net.Sockets;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Service;
using OnDemand.Linux.Sockets;
using OnDemand.Linux.Tests.Netlink;
using Xunit;

namespace OnDemand.Linux.Tests.Service;

/// <summary>What the engine hears of real sockets of the kernel.</summary>
public sealed class SocketBrokerTests
{
    private static readonly IpAddress Here = IpAddress.Parse("fd00::1");
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    [Fact]
    public void A_question_is_answered_with_the_sockets_cookie_and_what_the_judge_says_and_its_end_is_told_after_that()
    {
        using NetworkNamespace space = Space();
        using SocketBroker broker = space.Run(() => new SocketBroker(16, new UserJudge(), _ => { }));
        broker.Start(0, () => { }, control: null);
        Socket socket = space.Run(() => Udp(5000));
        ulong cookie = SocketCookie.Of(socket.SafeHandle);

        broker.Ask(new SocketQuestion(42, new FlowIdentity(17, Here, 5000, IpAddress.Parse("2001:db8::9"), 53)));
        SocketNews answer = Next(broker);
        socket.Dispose();
        SocketNews end = Next(broker);

        Assert.Equal(
            new SocketNews(
                SocketNewsKind.Answer,
                new SocketAnswer { Id = 42, Cookie = cookie, Traits = 5, Type = AddressType.SessionLasting, OnNet = true }),
            answer);
        Assert.Equal(new SocketNews(SocketNewsKind.Ended, Cookie: cookie), end);
        Assert.Equal((1L, 0L), (broker.Found, broker.NotFound));
    }

    [Fact]
    public void A_flow_without_a_socket_is_nobodys()
    {
        using NetworkNamespace space = Space();
        using SocketBroker broker = space.Run(() => new SocketBroker(16, new UserJudge(), _ => { }));
        broker.Start(0, () => { }, control: null);

        broker.Ask(new SocketQuestion(1, new FlowIdentity(6, Here, 1, IpAddress.Parse("2001:db8::9"), 53)));

        Assert.Equal(new SocketAnswer { Id = 1 }, Next(broker).Answer);
        Assert.Equal(1, broker.NotFound);
    }

    [Fact]
    public void A_listener_is_not_the_socket_of_a_flow_that_leaves()
    {
        using NetworkNamespace space = Space();
        using SocketBroker broker = space.Run(() => new SocketBroker(16, null, _ => { }));
        broker.Start(0, () => { }, control: null);
        using Socket listener = space.Run(() =>
        {
            var made = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
            made.Bind(new IPEndPoint(IPAddress.IPv6Any, 80));
            made.Listen();
            return made;
        });

        broker.Ask(new SocketQuestion(1, new FlowIdentity(6, Here, 80, IpAddress.Parse("2001:db8::9"), 53)));

        Assert.Equal(new SocketAnswer { Id = 1 }, Next(broker).Answer);
    }

    // The kernel tells of the end some time after close(2).
    [Fact]
    public void A_datagram_whose_socket_was_closed_at_once_is_its_and_the_end_is_told_after_that()
    {
        using NetworkNamespace space = Space();
        using SocketBroker broker = space.Run(() => new SocketBroker(16, new UserJudge(), _ => { }, patience: Limit));
        broker.Start(0, () => { }, control: null);
        broker.Ask(new SocketQuestion(1, new FlowIdentity(17, Here, 5000, IpAddress.Parse("2001:db8::9"), 53)));
        broker.Ask(new SocketQuestion(2, new FlowIdentity(17, Here, 5001, IpAddress.Parse("2001:db8::9"), 53)));
        Assert.True(SpinWait.SpinUntil(() => broker.Unclaimed == 2, Limit));

        Socket socket = space.Run(() => Udp(5000));
        ulong cookie = SocketCookie.Of(socket.SafeHandle);
        socket.Dispose();

        Assert.Equal(new SocketNews(SocketNewsKind.Answer, new SocketAnswer { Id = 1, Cookie = cookie }), Next(broker));
        Assert.Equal(new SocketNews(SocketNewsKind.Ended, Cookie: cookie), Next(broker));
        Assert.Equal((1L, 0L, 1), (broker.Found, broker.NotFound, broker.Unclaimed));
    }

    [Fact]
    public void So_is_one_that_is_asked_for_after_the_end_was_told_and_that_is_told_again()
    {
        using NetworkNamespace space = Space();
        using SocketBroker broker = space.Run(() => new SocketBroker(16, new UserJudge(), _ => { }));
        broker.Start(0, () => { }, control: null);
        Socket socket = space.Run(() => Udp(5000));
        ulong cookie = SocketCookie.Of(socket.SafeHandle);
        var end = new SocketNews(SocketNewsKind.Ended, Cookie: cookie);
        socket.Dispose();
        Assert.Equal(end, Next(broker));

        broker.Ask(new SocketQuestion(1, new FlowIdentity(17, Here, 5000, IpAddress.Parse("2001:db8::9"), 53)));
        Assert.Equal(new SocketNews(SocketNewsKind.Answer, new SocketAnswer { Id = 1, Cookie = cookie }), Next(broker));
        Assert.Equal(end, Next(broker));

        Thread.Sleep(200);                           // by then it says nothing of the port any more
        broker.Ask(new SocketQuestion(2, new FlowIdentity(17, Here, 5000, IpAddress.Parse("2001:db8::9"), 54)));
        Assert.Equal(new SocketNews(SocketNewsKind.Answer, new SocketAnswer { Id = 2 }), Next(broker));
    }

    [Fact]
    public void A_datagram_of_which_nobody_is_told_is_nobodys_in_the_end()
    {
        using NetworkNamespace space = Space();
        using SocketBroker broker = space.Run(() => new SocketBroker(16, new UserJudge(), _ => { }));
        broker.Start(0, () => { }, control: null);

        broker.Ask(new SocketQuestion(1, new FlowIdentity(17, Here, 1, IpAddress.Parse("2001:db8::9"), 53)));

        Assert.Equal(new SocketAnswer { Id = 1 }, Next(broker).Answer);
        Assert.Equal((1, 0), (broker.NotFound, broker.Unclaimed));
    }

    [Theory]
    [InlineData("::", false)]
    [InlineData("fd00::2", false)]
    [InlineData("fd00::1", true)]
    public void A_listener_is_one_that_is_bound_to_the_very_address(string bound, bool isOne)
    {
        using NetworkNamespace space = Space();
        using SocketBroker broker = space.Run(() => new SocketBroker(16, new UserJudge(), _ => { }));
        broker.Start(0, () => { }, control: null);
        using Socket listener = space.Run(() => Listener(bound, 80));
        using Socket datagrams = space.Run(() => Udp(5000, bound));

        foreach ((byte protocol, ushort port, Socket socket) in new[] { ((byte)6, (ushort)80, listener), ((byte)17, (ushort)5000, datagrams) })
        {
            var flow = new FlowIdentity(protocol, Here, port, IpAddress.Parse("2001:db8::9"), 53);
            broker.Ask(new SocketQuestion(protocol, flow, SocketQuestionKind.Listener));
            ulong expected = isOne ? SocketCookie.Of(socket.SafeHandle) : 0;
            Assert.Equal(new SocketAnswer { Id = protocol, Cookie = expected }, Next(broker).Answer);
        }
    }

    [Fact]
    public void A_receiver_is_the_socket_of_a_connection_whether_its_program_has_taken_it_or_not_and_no_listener()
    {
        using NetworkNamespace space = Space();
        using SocketBroker broker = space.Run(() => new SocketBroker(16, new UserJudge(), _ => { }));
        broker.Start(0, () => { }, control: null);
        using Socket listener = space.Run(() => Listener("::", 80));
        using Socket client = space.Run(() =>
        {
            var made = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
            made.Connect(new IPEndPoint(IPAddress.Parse("fd00::1"), 80));
            return made;
        });
        var flow = new FlowIdentity(6, Here, 80, Here, (ushort)((IPEndPoint)client.LocalEndPoint!).Port);

        broker.Ask(new SocketQuestion(1, flow, SocketQuestionKind.Receiver));
        ulong waiting = Next(broker).Answer.Cookie;
        using Socket accepted = listener.Accept();
        broker.Ask(new SocketQuestion(2, flow, SocketQuestionKind.Receiver));
        ulong taken = Next(broker).Answer.Cookie;
        broker.Ask(new SocketQuestion(3, flow with { RemotePort = 1 }, SocketQuestionKind.Receiver));

        Assert.Equal((SocketCookie.Of(accepted.SafeHandle), waiting), (waiting, taken));
        Assert.Equal(new SocketAnswer { Id = 3 }, Next(broker).Answer);
    }

    [Fact]
    public void Many_questions_are_all_answered()
    {
        const int many = 1000;
        using NetworkNamespace space = Space();
        using SocketBroker broker = space.Run(() => new SocketBroker(many, null, _ => { }));
        broker.Start(0, () => { }, control: null);
        using Socket socket = space.Run(() => Udp(5000));
        for (int i = 1; i <= many; i++)
        {
            broker.Ask(new SocketQuestion(i, new FlowIdentity(17, Here, 5000, IpAddress.Parse("2001:db8::9"), (ushort)i)));
        }

        ulong cookie = SocketCookie.Of(socket.SafeHandle);
        for (int i = 1; i <= many; i++)
        {
            Assert.Equal(new SocketAnswer { Id = i, Cookie = cookie }, Next(broker).Answer);
        }
    }

    [Fact]
    public void The_preferences_that_its_program_gave_the_kernel_come_with_the_answer_if_they_may_count()
    {
        using NetworkNamespace space = Space();
        var reader = new PreferenceReader(new SocketOwners(new SocketOwnerLimits(), TimeProvider.System), TimeProvider.System);
        using SocketBroker broker = space.Run(() => new SocketBroker(16, new LegacyJudge(), _ => { }, reader));
        broker.Start(0, () => { }, control: null);
        using Socket socket = space.Run(() => Udp(5000));
        using Socket typed = space.Run(() => Udp(5001));
        socket.SetRawSocketOption(41, 72, BitConverter.GetBytes(2));
        typed.SetRawSocketOption(41, 72, BitConverter.GetBytes(2));

        AddressPreferences read = AddressPreferences.None;
        Assert.True(SpinWait.SpinUntil(() => (read = Asked(5000).Preferences) != AddressPreferences.None, Limit));   // when a search may be

        Assert.Equal(AddressPreferences.Public, read);
        Assert.Equal(AddressPreferences.None, Asked(5001).Preferences);

        SocketAnswer Asked(ushort port)
        {
            broker.Ask(new SocketQuestion(port, new FlowIdentity(17, Here, port, IpAddress.Parse("2001:db8::9"), 53)));
            return Next(broker).Answer;
        }
    }

    // Nobody tells of the ends of these: the first is as after lost notices, without a port; the second has one.
    [Fact]
    public void A_socket_that_has_asked_and_is_gone_without_notice_is_found_in_the_end_and_one_that_is_there_stays()
    {
        using NetworkNamespace space = Space();
        using Socket portless = space.Run(() => new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp));
        using Socket moved = space.Run(() => new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp));
        using Socket bound = space.Run(() => Udp(5000));
        AskingSocket[] asking =
        [
            Place(portless),
            Place(moved) with { Place = Place(moved).Place with { Holder = new SocketHolder(Environment.ProcessId, (int)portless.Handle) } },
            Place(bound),
            new AskingSocket(4_000_000_000, new SocketPlace(new SocketHolder(Environment.ProcessId, (int)portless.Handle), 1)),
        ];
        using SocketBroker broker = space.Run(() => new SocketBroker(16, null, _ => { }));
        broker.Start(0, () => { }, control: null, () => asking, TimeSpan.FromMilliseconds(20));

        for (int i = 0; i < 5; i++)
        {
            Assert.Equal(new SocketNews(SocketNewsKind.Ended, Cookie: 4_000_000_000), Next(broker));
        }
    }

    [Fact]
    public void Where_notices_of_ends_were_lost_the_kernel_is_asked_what_it_still_has()
    {
        const int tooMany = 30_000;                  // for the monitor's receive buffer
        using NetworkNamespace space = Space();
        var judge = new WaitingJudge();
        using SocketBroker broker = space.Run(() => new SocketBroker(16, judge, _ => { }));
        Socket[] ending = space.Run(() => new[] { Udp(5000), new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) });
        Socket[] staying = space.Run(() => new[] { Udp(5001), new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) });
        AskingSocket[] asking = [.. ending.Concat(staying).Select(Place)];
        HashSet<ulong> awaited = [.. asking[..ending.Length].Select(socket => socket.Cookie)];
        broker.Start(0, () => { }, control: null, () => asking);
        broker.Ask(new SocketQuestion(1, new FlowIdentity(17, Here, 5001, IpAddress.Parse("2001:db8::9"), 53)));
        Assert.True(judge.IsAsked.Wait(Limit, TestContext.Current.CancellationToken));

        // The kernel tells on a worker of its own; when the witness has heard of the last ones, the broker has lost them.
        using SocketDestroyMonitor witness = space.Run(() => SocketDestroyMonitor.Open());
        HashSet<ulong> unheard = [.. awaited];
        space.Run(() =>
        {
            for (int i = 0; i < tooMany; i++)
            {
                new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp).Dispose();
                Hear();
            }
        });
        Array.ForEach(ending, socket => socket.Dispose());
        Assert.True(SpinWait.SpinUntil(() => Hear() == 0, Limit));
        judge.MayAnswer.Set();
        while (awaited.Count > 0)
        {
            ulong cookie = Next(broker).Cookie;
            _ = awaited.Remove(cookie);
            Assert.DoesNotContain(asking[ending.Length..], socket => socket.Cookie == cookie);
        }

        Assert.Equal(1, broker.Overflows);
        Array.ForEach(staying, socket => socket.Dispose());

        int Hear()
        {
            while (witness.TryTake(out SocketRecord ended))
            {
                _ = unheard.Remove(ended.Cookie);
            }

            return unheard.Count;
        }
    }

    [Fact]
    public async Task The_connection_of_a_stranded_socket_is_aborted_and_only_that()
    {
        using NetworkNamespace space = Space();
        using SocketBroker broker = space.Run(() => new SocketBroker(16, null, _ => { }));
        broker.Start(0, () => { }, control: null);
        using Socket listener = space.Run(() =>
        {
            var made = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
            made.Bind(new IPEndPoint(IPAddress.Parse("fd00::1"), 80));
            made.Listen();
            return made;
        });
        using Socket stranded = space.Run(() => Connected());
        using Socket other = space.Run(() => Connected());

        broker.Abort(FlowOf(stranded));

        SocketException told = await Assert.ThrowsAsync<SocketException>(
            () => stranded.ReceiveAsync(new byte[1], TestContext.Current.CancellationToken).AsTask()
                .WaitAsync(Limit, TestContext.Current.CancellationToken));
        Assert.Equal(SocketError.ConnectionAborted, told.SocketErrorCode);
        Assert.False(other.Poll(0, SelectMode.SelectRead));
        Assert.Equal(1, broker.Aborted);

        static Socket Connected()
        {
            var made = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
            made.Connect(new IPEndPoint(IPAddress.Parse("fd00::1"), 80));
            return made;
        }

        static FlowIdentity FlowOf(Socket socket) => new(
            6, Here, (ushort)((IPEndPoint)socket.LocalEndPoint!).Port, Here, (ushort)((IPEndPoint)socket.RemoteEndPoint!).Port);
    }

    private static NetworkNamespace Space()
    {
        var space = new NetworkNamespace();
        space.Shell("ip link set lo up; ip addr add fd00::1/128 dev lo nodad; ip addr add fd00::2/128 dev lo nodad; sleep 0.1");
        return space;
    }

    private static Socket Udp(int port, string address = "::")
    {
        var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Parse(address), port));
        return socket;
    }

    private static Socket Listener(string address, int port)
    {
        var made = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
        made.Bind(new IPEndPoint(IPAddress.Parse(address), port));
        made.Listen();
        return made;
    }

    private static AskingSocket Place(Socket socket)
    {
        Assert.True(ProcessSockets.TryGetInode(Environment.ProcessId, (int)socket.Handle, out uint inode));
        return new AskingSocket(
            SocketCookie.Of(socket.SafeHandle), new SocketPlace(new SocketHolder(Environment.ProcessId, (int)socket.Handle), inode));
    }

    private static SocketNews Next(SocketBroker broker)
    {
        long began = System.Diagnostics.Stopwatch.GetTimestamp();
        SocketNews news;
        while (!broker.TryTake(out news))
        {
            Assert.True(System.Diagnostics.Stopwatch.GetElapsedTime(began) < Limit, "The broker says nothing.");
            Thread.Sleep(1);
        }

        return news;
    }

    private sealed class WaitingJudge : ISocketJudge
    {
        public ManualResetEventSlim IsAsked { get; } = new();

        public ManualResetEventSlim MayAnswer { get; } = new();

        public SocketVerdict Judge(in SocketRecord socket)
        {
            IsAsked.Set();
            MayAnswer.Wait();
            return default;
        }
    }

    private sealed class LegacyJudge : ISocketJudge
    {
        public SocketVerdict Judge(in SocketRecord socket) => new(0, AddressType.None, false, MayPrefer: socket.LocalPort == 5000);
    }

    private sealed class UserJudge : ISocketJudge
    {
        public SocketVerdict Judge(in SocketRecord socket) => socket.Uid == 0 && socket.LocalPort == 5000
            ? new SocketVerdict(5, AddressType.SessionLasting, true) : default;
    }
}

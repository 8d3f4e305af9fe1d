using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using OnDemand.Linux.Control;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Lab;
using OnDemand.Linux.Sockets;
using OnDemand.Setsc;

namespace OnDemand.LabTests;

/// <summary>
/// The dataplane is killed while many sockets of all types live, native and mapped, of TCP and UDP, some of which have not sent anything yet;
/// before, between and after moves, and after addresses were renewed: each has the address it had.
/// </summary>
public sealed class RestartTests
{
    private const int Port = 7010;
    private const int OfEachKind = 6;

    private const string Scenario = """
        seed: 42
        internal: [fd00:db8::1]
        addresses: {renew: {nonpersistent: {after: 2s}, graceful-replacement: {after: 2s}}}
        network:
          - at: 0s
            attach: ar1
            prefixes:
              - {prefix: 2001:db8:f1::7/128, type: fixed}
              - {prefix: 2001:db8:51:1::/64, type: session-lasting}
              - {prefix: 2001:db8:a1:1::/64, type: nonpersistent}
              - {prefix: 2001:db8:91:1::/64, type: graceful-replacement}
          - at: 10s
            attach: ar2
            prefixes:
              - {prefix: 2001:db8:f1::7/128, type: fixed}
              - {prefix: 2001:db8:a2:1::/64, type: nonpersistent}
              - {prefix: 2001:db8:92:1::/64, type: graceful-replacement}
        policy: {default: legacy}
        """;

    private static readonly TimeSpan InTime = TimeSpan.FromSeconds(20);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_living_socket_has_the_address_it_had_when_the_dataplane_is_killed()
    {
        LabRig.Need();
        string scenario = Path.GetTempFileName();
        await File.WriteAllTextAsync(scenario, Scenario, Cancellation);
        await using LabRig rig = await LabRig.UpAsync(scenario);
        File.Delete(scenario);
        await using var stream = new LineServer(rig.Server(LabNodes.Peer, SocketType.Stream, Port));
        await using var datagrams = new LineServer(rig.Server(LabNodes.Peer, SocketType.Dgram, Port));
        using var client = new ControlClient(rig.Lab.Directory.Control);
        List<Member> members = await MakeAsync(rig);

        // Those that come after the renewal have other addresses than those before.
        await Task.Delay(TimeSpan.FromSeconds(2.5), Cancellation);
        List<Member> later = await MakeAsync(rig);
        Assert.Empty(Addresses(members, AddressType.Nonpersistent).Intersect(Addresses(later, AddressType.Nonpersistent)));
        members.AddRange(later);
        await AssertHeardAsync(members.Where(member => member.SpeaksEarly));
        await KillAsync(rig);
        await AssertListedAsync(client, members);
        await AssertHeardAsync(members.Where(member => member.SpeaksEarly || member.Number % 2 == 0));

        // What the move has ended has ended for good. Everything else is kept within the window, spoken from or not.
        await rig.MoveAsync(LabNodes.SecondRouter, windowSeconds: 120);
        members = Without(members, member => member.Type == AddressType.Nonpersistent);
        await KillAsync(rig);
        await AssertListedAsync(client, members);

        // But new flows of mapped sockets take the new address, restart or not.
        members = Without(members, member => member is { Type: AddressType.GracefulReplacement, Options.Map: true, HasSpoken: false });
        await AssertHeardAsync(members);
        await rig.MoveAsync(LabNodes.FirstRouter, windowSeconds: 120);
        await KillAsync(rig);
        Assert.True(await LabRig.BecomesAsync(
            async () => (await client.BindingsAsync(Cancellation)).Bindings.Count == members.Count, InTime));
        await AssertListedAsync(client, members);
        await AssertHeardAsync(members);

        // And each ends with its socket, also those of a run before.
        members.ForEach(member => member.Socket.Dispose());
        Assert.True(
            await LabRig.BecomesAsync(async () => (await client.BindingsAsync(Cancellation)).Bindings.Count == 0, InTime),
            "A binding is left without its socket.");
    }

    private static IEnumerable<IPAddress> Addresses(IEnumerable<Member> members, AddressType type) =>
        members.Where(member => member.Type == type).Select(member => member.Address).Distinct();

    private static async Task<List<Member>> MakeAsync(LabRig rig)
    {
        List<Member> members = [];
        foreach (AddressType type in new[] { AddressType.Fixed, AddressType.SessionLasting, AddressType.Nonpersistent, AddressType.GracefulReplacement })
        {
            for (int number = 0; number < 4 * OfEachKind; number++)
            {
                Socket socket = rig.Socket(LabNodes.Host, number % 2 == 0 ? SocketType.Stream : SocketType.Dgram);
                var options = new SetscOptions { Map = number / 2 % 2 == 0, SocketPath = rig.Lab.Directory.Programs };
                IPAddress address = await socket.SetServiceContinuityAsync(type, options, Cancellation);
                if (!options.Map)
                {
                    socket.Bind(new IPEndPoint(address, 0));
                }

                members.Add(new Member(number / 4, socket, type, options, address));
            }
        }

        return members;
    }

    private static List<Member> Without(List<Member> members, Predicate<Member> which)
    {
        members.FindAll(which).ForEach(member => member.Socket.Dispose());
        return members.FindAll(member => !which(member));
    }

    // What is kept is written twenty times a second.
    private static async Task KillAsync(LabRig rig)
    {
        await Task.Delay(500, Cancellation);
        LabProcess killed = rig.Lab.State.Dataplane!;
        killed.Send(Libc.SignalKill);
        Assert.True(await killed.WaitAsync(InTime, Cancellation));
        await rig.Lab.StartDataplaneAsync(Cancellation);
    }

    private static async Task AssertListedAsync(ControlClient client, List<Member> members)
    {
        string[] listed = [.. (await client.BindingsAsync(Cancellation)).Bindings.Select(binding => $"{binding.Cookie} {binding.Address}").Order(StringComparer.Ordinal)];
        Assert.Equal(members.Select(member => $"{member.Cookie} {member.Address}").Order(StringComparer.Ordinal), listed);
    }

    private static async Task AssertHeardAsync(IEnumerable<Member> members)
    {
        Member[] all = [.. members];
        string[] heard = await Task.WhenAll(all.Select(async member => $"{member.Name} {await member.AskAsync()}"));
        Assert.Equal(all.Select(member => $"{member.Name} {member.Address}"), heard);
    }

    private sealed record Member(int Number, Socket Socket, AddressType Type, SetscOptions Options, IPAddress Address)
    {
        public bool SpeaksEarly => Number % 3 == 0;

        public bool HasSpoken { get; private set; }

        public string Cookie { get; } = SocketCookie.Of(Socket.SafeHandle).ToString(CultureInfo.InvariantCulture);

        public string Name => $"{Type} {Socket.SocketType} {(Options.Map ? "mapped" : "native")} {Number}";

        // Whom the server hears. A datagram may be lost while nobody is there to carry it: it is sent again.
        public async Task<string> AskAsync()
        {
            if (!HasSpoken)
            {
                await Socket.ConnectAsync(new IPEndPoint(LabRig.Peer, Port), Cancellation).AsTask().WaitAsync(InTime, Cancellation);
                HasSpoken = true;
            }

            byte[] room = new byte[256];
            for (int tries = 0; tries < 10; tries++)
            {
                string question = Guid.NewGuid().ToString();
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
                limit.CancelAfter(Socket.SocketType == SocketType.Dgram ? TimeSpan.FromSeconds(1) : InTime);
                try
                {
                    await Socket.SendAsync(Encoding.UTF8.GetBytes($"{question}\n"), Cancellation);
                    while (true)
                    {
                        string answer = Encoding.UTF8.GetString(room, 0, await Socket.ReceiveAsync(room, limit.Token)).Trim();
                        if (answer.StartsWith(question, StringComparison.Ordinal))
                        {
                            return answer[$"{question} from ".Length..];
                        }
                    }
                }
                catch (OperationCanceledException) when (!Cancellation.IsCancellationRequested)
                {
                    // Again.
                }
                catch (SocketException gone)
                {
                    return gone.SocketErrorCode.ToString();
                }
            }

            return "nobody";
        }
    }
}

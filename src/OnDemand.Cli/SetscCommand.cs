using System.CommandLine;
using System.Globalization;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Control;
using OnDemand.Linux.Programs;
using OnDemand.Linux.Sockets;

namespace OnDemand.Cli;

/// <summary><c>ondemand setsc</c>: asks for an address for the sockets of a program that runs already.</summary>
internal static class SetscCommand
{
    private static readonly string[] Protocols = ["tcp", "udp"];

    /// <summary>Makes the command.</summary>
    /// <param name="streams">Standard input, output and error.</param>
    /// <returns>The command.</returns>
    public static Command Create(CommandStreams streams)
    {
        var type = new Option<string>("--type")
        {
            Description = $"The address type: {string.Join(", ", ScenarioFields.TypeNames)}.",
            HelpName = "T",
            Required = true,
        };
        var pid = new Option<int>("--pid") { Description = "The program's process.", HelpName = "PID", Required = true };
        var port = new Option<int>("--port") { Description = "The local port of its socket.", HelpName = "PORT", Required = true };
        var protocol = new Option<string?>("--protocol")
        {
            Description = "Only sockets of this protocol, tcp or udp; both unless given.",
            HelpName = "P",
        };
        var onNet = new Option<bool>("--on-net") { Description = "The address must be of the present network." };
        var map = new Option<bool>("--map")
        {
            Description = "The dataplane puts the address into the socket's packets; so it is unless '--map false' is given.",
            DefaultValueFactory = _ => true,
        };
        var timeout = new Option<string?>("--timeout") { Description = "How long the network may take, up to 60s; 10s unless given.", HelpName = "D" };
        Option<string?> programs = ControlAccess.ProgramsOption();
        Option<bool> json = ControlAccess.JsonOption();
        var command = new Command("setsc", "Ask for an address type for the sockets of a running program.")
        {
            type, pid, port, protocol, onNet, map, timeout, programs, json,
        };
        command.SetAction((parsed, cancellationToken) =>
        {
            TimeSpan patience = TimeoutOf(parsed.GetValue(timeout));
            var body = new SetscBody
            {
                Cookie = string.Empty,
                Type = AddressTypes.ToName(TypeOf(parsed.GetRequiredValue(type))),
                OnNet = parsed.GetValue(onNet),
                Map = parsed.GetValue(map),
                Timeout = (decimal)patience.TotalSeconds,
            };
            IReadOnlyList<SocketRecord> sockets =
                SocketsOf(parsed.GetRequiredValue(pid), parsed.GetRequiredValue(port), ProtocolOf(parsed.GetValue(protocol)));
            return SetAsync(streams, parsed.GetValue(programs), parsed.GetValue(json), body, sockets, patience, cancellationToken);
        });
        return command;
    }

    private static async Task<int> SetAsync(
        CommandStreams streams, string? programs, bool json, SetscBody body, IReadOnlyList<SocketRecord> sockets, TimeSpan patience,
        CancellationToken cancellationToken)
    {
        using ControlClient client = ControlAccess.OpenPrograms(programs);
        List<GrantResource> grants = [];
        ControlException? ended = null;
        ControlException? refused = null;
        foreach (SocketRecord socket in sockets)
        {
            SetscBody one = body with { Cookie = socket.Cookie.ToString(CultureInfo.InvariantCulture) };
            try
            {
                grants.Add(await client.SetscAsync(one, patience, cancellationToken).ConfigureAwait(false));
            }
            catch (ControlException gone) when (gone.Problem.Type == ProblemTypes.UnknownSocket)
            {
                ended = gone;                        // a server's connections come and go: the others are asked for all the same
            }
            catch (ControlException problem)
            {
                refused = problem;
                break;
            }
        }

        refused ??= grants.Count == 0 ? ended : null;
        if (refused is null || grants.Count > 0)
        {
            // What others got before one was refused they have.
            _ = await ControlAccess.WriteAsync(streams, json, grants, context => context.ListGrantResource, BindingTables.Write)
                .ConfigureAwait(false);
        }

        return refused is null ? ExitStatus.Done : throw refused;
    }

    private static IReadOnlyList<SocketRecord> SocketsOf(int pid, int port, SocketProtocol? protocol)
    {
        if (port is < 1 or > ushort.MaxValue)
        {
            throw new UsageException($"Found --port {port}, expected a port from 1 to 65535.");
        }

        if (pid < 1 || !Directory.Exists(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}")))
        {
            throw new UsageException($"There is no process {pid}.");
        }

        IReadOnlyList<SocketRecord> sockets = ProcessPorts.Find(pid, (ushort)port, protocol);
        string what = protocol switch { SocketProtocol.Tcp => "TCP", SocketProtocol.Udp => "UDP", _ => "TCP or UDP" };
        return sockets.Count > 0 ? sockets : throw new UsageException(
            $"Process {pid} has no socket of {what} over IPv6 with the local port {port} in this network namespace, or it is another user's.");
    }

    private static AddressType TypeOf(string word) =>
        AddressTypes.TryParse(word, out AddressType type) ? type : throw Unknown("--type", word, [.. ScenarioFields.TypeNames]);

    private static SocketProtocol? ProtocolOf(string? word) => word switch
    {
        null => null,
        "tcp" => SocketProtocol.Tcp,
        "udp" => SocketProtocol.Udp,
        _ => throw Unknown("--protocol", word, Protocols),
    };

    private static TimeSpan TimeoutOf(string? text)
    {
        if (text is null)
        {
            return SetscReader.UsualTimeout;
        }

        return ScenarioText.TryDuration(text, out Duration timeout) && timeout >= Duration.FromMilliseconds(1)
            && timeout <= Duration.FromSeconds((long)SetscReader.LongestTimeout.TotalSeconds)
                ? new TimeSpan(timeout.Nanoseconds / 100)
                : throw new UsageException($"Found --timeout {ScalarNode.Quote(text)}, expected a duration from 1ms to 60s.");
    }

    private static UsageException Unknown(string option, string word, string[] known)
    {
        string near = NearestName.Of(word, known) is { } name ? $"'{name}', the nearest of" : "one of";
        return new UsageException($"Found {option} {ScalarNode.Quote(word)}, expected {near} {string.Join(", ", known)}.");
    }
}

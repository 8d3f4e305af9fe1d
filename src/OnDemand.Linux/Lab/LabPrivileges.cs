using System.Globalization;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Lab;

/// <summary>
/// What a lab needs to be allowed: root, or a user namespace in which the user is root. Such a namespace lives as long as a process in
/// it, the holder; every command goes into it first, by becoming nsenter(1) and then itself again.
/// </summary>
internal static class LabPrivileges
{
    private const string HolderVariable = "ONDEMAND_LAB_HOLDER";

    // In namespaces of its own: 'ip netns' keeps its names in /run/netns, so a file system of our own goes there, or over /run where the
    // directory is missing. The holder ends by itself when its lab is gone.
    private const string HolderScript =
        """
        set -e
        if [ -d /run/netns ]; then
            mount -t tmpfs tmpfs /run/netns
        else
            exec 9<"$1"
            mount -t tmpfs tmpfs /run
            mkdir -p /run/netns "$1"
            mount --bind /proc/self/fd/9 "$1"
        fi
        ip link set dev lo up
        echo ready
        exec >/dev/null 2>&1
        sleep 10
        while [ -d "$1/$2" ]; do sleep 1; done
        """;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>Whether this process may build labs.</summary>
    public static bool IsRoot => Libc.GetEffectiveUserId() == 0;

    /// <summary>The process that holds the user namespace we are in; null if we are not in one of ours.</summary>
    public static LabProcess? Holder =>
        int.TryParse(Environment.GetEnvironmentVariable(HolderVariable), CultureInfo.InvariantCulture, out int id)
            ? LabProcess.Find(id) : null;

    /// <summary>Checks that a lab can be built here.</summary>
    /// <exception cref="HostException">It cannot.</exception>
    public static void Check()
    {
        if (!IsRoot)
        {
            throw new HostException("A lab needs root, or a kernel that lets users have namespaces of their own; use sudo.");
        }

        foreach (string program in new[] { "ip", "ethtool" })
        {
            if (!CommandRunner.Has(program))
            {
                throw CommandRunner.Missing(program);
            }
        }

        if (!File.Exists("/dev/net/tun"))
        {
            throw new HostException(
                "There is no /dev/net/tun; load the module 'tun', or give it to the container with --device /dev/net/tun.");
        }
    }

    /// <summary>
    /// Goes where the lab of an ordinary user is: this process becomes the same command in its namespaces. Nothing for root.
    /// </summary>
    /// <param name="lab">The lab's name.</param>
    /// <param name="create">Whether the namespaces are made if they are not there.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Completes when we are where we must be; not at all when this process has become another.</returns>
    /// <exception cref="HostException">The machine does not allow it.</exception>
    public static async Task EnterAsync(string lab, bool create, CancellationToken cancellationToken)
    {
        if (IsRoot)
        {
            return;
        }

        LabNodes.CheckName(lab);
        foreach (string program in new[] { "unshare", "nsenter" })
        {
            if (!CommandRunner.Has(program))
            {
                throw new HostException(
                    $"A lab without root needs the program '{program}' of the package util-linux; install it, or use sudo.");
            }
        }

        string parent = UserPlace();
        string note = Path.Combine(parent, lab + ".holder");
        LabProcess? holder = ReadNote(note);
        if (holder is null or { IsAlive: false })
        {
            if (!create)
            {
                throw new HostException($"There is no lab '{lab}' of yours; 'ondemand lab up' builds one, and one of root's needs sudo.");
            }

            holder = await HoldAsync(parent, lab, cancellationToken).ConfigureAwait(false);
            string who = string.Create(CultureInfo.InvariantCulture, $"{holder.Id} {holder.Started}\n");
            await File.WriteAllTextAsync(note, who, cancellationToken).ConfigureAwait(false);
        }

        string id = holder.Id.ToString(CultureInfo.InvariantCulture);
        Become(
            [
                CommandRunner.Find("nsenter"), "-t", id, "-U", "-m", "-n", "--preserve-credentials",
                $"--wd={Environment.CurrentDirectory}", "--",
                .. LabProgram.Self.Line(Environment.GetCommandLineArgs().Skip(1)),
            ],
            (LabDirectory.Variable, parent),
            (HolderVariable, id));
    }

    /// <summary>This process becomes another program: signals, terminal and exit status are that program's own.</summary>
    /// <param name="line">The program's path and its arguments.</param>
    /// <param name="environment">What is added to its environment.</param>
    /// <exception cref="LinuxException">It could not be started.</exception>
    public static void Become(IReadOnlyList<string> line, params IEnumerable<(string Name, string Value)> environment)
    {
        foreach ((string name, string value) in environment)
        {
            Libc.SetEnvironment(name, value, overwrite: true);
        }

        // The runtime ignores it, and what is ignored stays ignored in the next program.
        Libc.Signal(Libc.SignalPipe, 0);
        Libc.Execute(line[0], [.. line, null]);
        throw new LinuxException($"execvp {line[0]}", Libc.LastError);
    }

    // Where an ordinary user's labs are kept: the place that is his and ends with his session, or one like it.
    private static string UserPlace()
    {
        string runtime = Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR") is { Length: > 0 } place && Directory.Exists(place)
            ? place
            : Path.Combine(Path.GetTempPath(), string.Create(CultureInfo.InvariantCulture, $"ondemand-{Libc.GetEffectiveUserId()}"));
        string parent = Path.Combine(runtime, "ondemand-lab");
        Directory.CreateDirectory(parent);
        return parent;
    }

    private static LabProcess? ReadNote(string path)
    {
        if (!File.Exists(path))
        {
            return null;
        }

        string[] words = File.ReadAllText(path).Split(' ', StringSplitOptions.TrimEntries);
        return words.Length == 2 && int.TryParse(words[0], CultureInfo.InvariantCulture, out int id)
            && long.TryParse(words[1], CultureInfo.InvariantCulture, out long started)
            ? new LabProcess(id, started)
            : null;
    }

    private static async Task<LabProcess> HoldAsync(string parent, string lab, CancellationToken cancellationToken)
    {
        // The answer comes from the holder itself, through a file: its standard streams must not keep anybody waiting.
        const string start = "out=$1; shift; setsid \"$@\" </dev/null >\"$out\" 2>&1 & echo $!";
        string answer = Path.Combine(parent, lab + ".answer");
        string text = await CommandRunner.MustAsync(
            "sh",
            ["-c", start, "sh", answer, CommandRunner.Find("unshare"), "-Urmn", "sh", "-c", HolderScript, "sh", parent, lab],
            null,
            cancellationToken).ConfigureAwait(false);
        LabProcess? holder = LabProcess.Find(int.Parse(text.Trim(), CultureInfo.InvariantCulture));
        long until = Environment.TickCount64 + (long)Patience.TotalMilliseconds;
        string said = string.Empty;
        while (holder is { IsAlive: true } && Environment.TickCount64 < until)
        {
            said = File.Exists(answer) ? await File.ReadAllTextAsync(answer, cancellationToken).ConfigureAwait(false) : string.Empty;
            if (said.StartsWith("ready", StringComparison.Ordinal))
            {
                File.Delete(answer);
                return holder;
            }

            await Task.Delay(10, cancellationToken).ConfigureAwait(false);
        }

        said = File.Exists(answer) ? (await File.ReadAllTextAsync(answer, cancellationToken).ConfigureAwait(false)).Trim() : said;
        File.Delete(answer);
        holder?.Send(Libc.SignalKill);
        throw new HostException(
            "A lab needs root here, for this machine does not let users have namespaces of their own " +
            $"({said.Split('\n')[0].TrimEnd('.')}); use sudo.");
    }
}

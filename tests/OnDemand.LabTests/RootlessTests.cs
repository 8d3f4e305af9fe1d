using System.Globalization;
using System.Text.Json;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>A user without any privilege has labs as well, where the machine lets users have namespaces of their own.</summary>
[System.Runtime.Versioning.SupportedOSPlatform("linux")]
public sealed class RootlessTests
{
    private const string Nobody = "65534";

    private static readonly string Tun = Path.Combine(Path.GetTempPath(), $"tun-{Environment.ProcessId}");

    private string[] _door = [];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static string Name { get; } = string.Create(CultureInfo.InvariantCulture, $"rootless{Environment.ProcessId}");

    [Fact]
    public async Task A_user_without_privileges_builds_a_lab_moves_its_host_and_leaves_nothing()
    {
        LabRig.Need("setpriv", "unshare", "nsenter", "ping");
        CommandResult allowed = await AsNobodyAsync("unshare", "-Urmn", "true");
        Assert.SkipUnless(allowed.Status == 0, $"This machine lets no user have namespaces: {allowed.Error.Trim()}");
        string program = LabProgram.Self.File;
        CommandResult help = await AsNobodyAsync(program, "--version");
        Assert.SkipUnless(help.Status == 0, $"A user cannot run {program}: {help.Error.Trim()}");
        _door = await DoorAsync();
        string[] ping = ["exec", "--name", Name, "host", "--", "ping", "-c", "2", "-i", "0.2", "-W", "5", LabLinks.PeerAddress];
        bool passed = false;
        try
        {
            Assert.Contains("dataplane running", await LabAsync("up", "--name", Name), StringComparison.Ordinal);
            Assert.Contains(" 0% packet loss", await LabAsync(ping), StringComparison.Ordinal);
            Assert.Contains("The host is at ar2", await LabAsync("move", "--name", Name, "ar2"), StringComparison.Ordinal);
            Assert.Contains(" 0% packet loss", await LabAsync(ping), StringComparison.Ordinal);
            using JsonDocument state = JsonDocument.Parse(await LabAsync("show", "--name", Name, "--json"));
            Assert.Equal("ar2", state.RootElement.GetProperty("serving").GetString());
            Assert.NotEmpty(Processes());

            // It is nobody else's: root's namespaces know nothing of it.
            Assert.DoesNotContain(Name, await CommandRunner.MustAsync("ip", ["netns", "list"], null, Cancellation), StringComparison.Ordinal);
            passed = true;
        }
        finally
        {
            CommandResult down = await AsNobodyAsync(LabProgram.Self.Line(["lab", "down", "--name", Name]));
            File.Delete(Tun);
            Assert.True(down.Status == 0 || !passed, down.Error);    // what failed before is the better reason
        }

        Assert.True(
            await LabRig.BecomesAsync(() => Task.FromResult(Processes().Length == 0), TimeSpan.FromSeconds(15)),
            $"There still run: {string.Join("; ", Processes())}");
        Assert.Empty(Directory.GetFileSystemEntries(
            Path.GetTempPath(), $"*{Name}*", new EnumerationOptions { RecurseSubdirectories = true, IgnoreInaccessible = true }));
    }

    // Where udev has not opened /dev/net/tun to everybody, as it does by default, the user sees one that is.
    private static async Task<string[]> DoorAsync()
    {
        if ((File.GetUnixFileMode("/dev/net/tun") & UnixFileMode.OtherWrite) != 0)
        {
            return [];
        }

        await CommandRunner.MustAsync("mknod", ["-m", "666", Tun, "c", "10", "200"], null, Cancellation);
        return ["unshare", "--mount", "sh", "-c", "mount --bind \"$0\" /dev/net/tun && exec \"$@\"", Tun];
    }

    private async Task<string> LabAsync(params string[] arguments)
    {
        CommandResult result = await AsNobodyAsync(LabProgram.Self.Line(["lab", .. arguments]));
        Assert.True(result.Status == 0, $"'lab {string.Join(' ', arguments)}' gave {result.Status}: {result.Error}{result.Output}");
        return result.Output;
    }

    // Where a user's runtime directory is missing, a lab's files are in a directory of the user's for temporary files.
    private Task<CommandResult> AsNobodyAsync(params string[] line) => CommandRunner.RunAsync(
        "env",
        [
            .. _door, "setpriv", $"--reuid={Nobody}", $"--regid={Nobody}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs",
            "env", "-u", "XDG_RUNTIME_DIR", "-C", Path.GetTempPath(), .. line,
        ],
        null,
        Cancellation);

    // Those of that user that have to do with this lab.
    private static string[] Processes() =>
    [
        .. Directory.GetDirectories("/proc").Where(place => int.TryParse(Path.GetFileName(place), out _)).Select(place =>
        {
            try
            {
                return File.ReadAllText(Path.Combine(place, "cmdline")).Replace('\0', ' ');
            }
            catch (IOException)
            {
                return string.Empty;    // it has just ended
            }
        }).Where(line => line.Contains(Name, StringComparison.Ordinal)),
    ];
}

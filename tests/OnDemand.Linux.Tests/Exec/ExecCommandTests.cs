using System.Diagnostics;
using System.Globalization;
using System.Runtime.Versioning;
using System.Text.RegularExpressions;
using OnDemand.Cli;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Exec;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Policy;
using OnDemand.Linux.Rights;
using OnDemand.Linux.Tests.Programs;
using Xunit;

namespace OnDemand.Linux.Tests.Exec;

/// <summary>Commands in cgroups of their own, as a user starts them.</summary>
[SupportedOSPlatform("linux")]
public sealed partial class ExecCommandTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly string _tap = string.Create(CultureInfo.InvariantCulture, $"t{Environment.ProcessId % 1_000_000}x{Random.Shared.Next(1000)}");
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ondemand-exec");
    private readonly string _top;

    public ExecCommandTests()
    {
        Assert.SkipUnless(Libc.GetEffectiveUserId() == 0, "Cgroups need root, or a subtree that is delegated.");
        string? root = CgroupMount.Find();
        Assert.SkipWhen(root is null, "No cgroup hierarchy of version 2 is mounted here.");
        _top = $"{root}{CommandCgroup.HomeOf(File.ReadLines("/proc/self/cgroup"))}/ondemand-{_tap}";
    }

    public void Dispose()
    {
        _folder.Delete(recursive: true);
        Assert.False(Directory.Exists(_top), $"{_top} is still there.");
    }

    [Fact]
    public void A_command_and_its_children_are_in_a_cgroup_that_names_type_and_on_net_and_it_is_removed_afterwards()
    {
        Result result = Run("--type", "session-lasting", "--on-net", "--", "sh", "-c", "grep ^0 /proc/self/cgroup; sh -c 'grep ^0 /proc/$$/cgroup'; exit 7");

        Assert.Equal((7, string.Empty), (result.Status, result.Error));
        string[] lines = result.Output.TrimEnd('\n').Split('\n');
        Assert.Equal(2, lines.Length);
        Assert.Equal(lines[0], lines[1]);
        Assert.Matches(CgroupLine(), lines[0]);
        Assert.Contains($"/ondemand-{_tap}/session-lasting+on-net/", lines[0], StringComparison.Ordinal);
        Assert.False(Directory.Exists(_top));
    }

    [Fact]
    public void A_static_program_is_in_it_too()
    {
        string source = Path.Combine(_folder.FullName, "show.c");
        string program = Path.Combine(_folder.FullName, "show");
        File.WriteAllText(source, """
            #include <stdio.h>
            int main(void)
            {
                char line[4096];
                FILE *file = fopen("/proc/self/cgroup", "r");
                while (file && fgets(line, sizeof line, file))
                    if (line[0] == '0')
                        fputs(line, stdout);
                return 3;
            }
            """);
        Assert.SkipUnless(Compile(source, program), "There is no C compiler that makes static programs.");

        Result result = Run("--type", "fixed", "--", program);

        Assert.Equal(3, result.Status);
        Assert.Contains($"/ondemand-{_tap}/fixed/", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_command_within_a_command_takes_its_place_beside_it()
    {
        Result result = Run(
            "--type", "fixed", "--", "dotnet", typeof(ExitStatus).Assembly.Location, "exec", "--tap", _tap, "--type", "unanchored", "--", "grep", "^0", "/proc/self/cgroup");

        Assert.Equal(0, result.Status);
        Assert.Contains($"/ondemand-{_tap}/nonpersistent/", result.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("fixed", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_command_leaves_behind_lives_on_and_the_next_one_removes_its_cgroup()
    {
        Result first = Run("--type", "fixed", "--", "sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!");
        Assert.Equal(0, first.Status);
        int left = int.Parse(first.Output, CultureInfo.InvariantCulture);
        string[] during = Directory.GetDirectories(Path.Combine(_top, "fixed"));
        using (Process sleep = Process.GetProcessById(left))
        {
            Assert.Contains(_tap, File.ReadAllText($"/proc/{first.Output.Trim()}/cgroup"), StringComparison.Ordinal);
            Assert.Single(during);
            sleep.Kill();
        }

        Assert.True(SpinWait.SpinUntil(() => File.ReadAllText(Path.Combine(during[0], "cgroup.events")).Contains("populated 0", StringComparison.Ordinal), Patience));

        Result next = Run("--type", "nonpersistent", "--", "ls", Path.Combine(_top, "fixed"));

        Assert.DoesNotContain(Path.GetFileName(during[0]), next.Output, StringComparison.Ordinal);
        Directory.Delete(Path.Combine(_top, "fixed"));
        Directory.Delete(_top);
    }

    [Theory]
    [InlineData("TERM", 42)]
    [InlineData("INT", 42)]
    [InlineData("HUP", 42)]
    [InlineData("QUIT", 42)]
    public void Signals_are_handed_on_and_the_status_is_the_command_s(string signal, int status)
    {
        using Process command = Start("--type", "fixed", "--", "sh", "-c", $"trap 'exit 42' {signal}; echo ready; while :; do sleep 0.05; done");
        Assert.Equal("ready", command.StandardOutput.ReadLine());

        Send(signal, command.Id);

        Assert.True(command.WaitForExit(Patience));
        Assert.Equal(status, command.ExitCode);
    }

    [Theory]
    [InlineData("TERM", 143)]
    [InlineData("KILL", 137)]
    [InlineData("SEGV", 139)]
    public void A_command_that_a_signal_ends_has_128_and_its_number(string signal, int status) =>
        Assert.Equal(status, Run("--type", "fixed", "--", "sh", "-c", $"kill -{signal} $$").Status);

    [Fact]
    public void A_signal_that_is_ignored_outside_is_ignored_inside()
    {
        using Process command = Process.Start(new ProcessStartInfo(
            "sh", ["-c", $"trap '' INT; exec dotnet '{typeof(ExitStatus).Assembly.Location}' exec --tap {_tap} --type fixed -- grep SigIgn /proc/self/status"])
        { RedirectStandardOutput = true })!;
        string ignored = command.StandardOutput.ReadToEnd();
        Assert.True(command.WaitForExit(Patience));

        ulong mask = Convert.ToUInt64(ignored.Split('\t')[1].Trim(), 16);
        Assert.Equal(2u, mask & (2 | (1 << 12)));        // SIGINT, and not the SIGPIPE that the runtime ignores
    }

    [Fact]
    public void What_cannot_be_run_has_the_usual_status_and_leaves_nothing()
    {
        Result missing = Run("--type", "fixed", "--", "/nonexistent/program");
        Assert.Equal((127, "ondemand: The command cannot be run: /nonexistent/program: No such file or directory.\n"), (missing.Status, missing.Error));
        Result data = Run("--type", "fixed", "--", "/etc/passwd");
        Assert.Equal((126, "ondemand: The command cannot be run: /etc/passwd: Permission denied.\n"), (data.Status, data.Error));
    }

    [Theory]
    [InlineData("fixd", "ondemand: There is no type 'fixd'; 'fixed' is near, of fixed, session-lasting, nonpersistent, graceful-replacement.\n")]
    [InlineData("xyzzyplugh", "ondemand: There is no type 'xyzzyplugh'; there are fixed, session-lasting, nonpersistent, graceful-replacement.\n")]
    public void A_type_that_does_not_exist_is_one_sentence(string type, string sentence)
    {
        Result result = Run("--type", type, "--", "true");

        Assert.Equal((ExitStatus.Usage, sentence), (result.Status, result.Error));
    }

    [Fact]
    public async Task A_user_without_the_right_to_the_type_is_told_so_and_nothing_is_run()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync(new RightsConfig
        {
            Types = new Dictionary<AddressType, TypeRights>
            {
                [AddressType.Fixed] = new(new HashSet<uint> { 1 }, null, null),
                [AddressType.SessionLasting] = new(null, null, ["/usr/bin/ssh", "/opt/x"]),
            },
        });
        string file = Path.Combine(_folder.FullName, "ran");

        Result refused = As(4242, "--programs", scene.Path, "--type", "fixed", "--", "touch", file);
        Assert.SkipWhen(refused.Status is 126 or 127 or 131, "Others may not read the program.");
        Result warned = As(4242, "--programs", scene.Path, "--type", "session-lasting", "--", "true");
        Result allowed = As(4242, "--programs", scene.Path, "--type", "nonpersistent", "--", "true");
        Result root = Run("--programs", scene.Path, "--type", "fixed", "--", "true");
        Result alone = As(4242, "--programs", scene.Path + ".not", "--type", "fixed", "--", "true");

        Assert.Equal((ExitStatus.Host, "ondemand: User 4242 may not have fixed addresses on this host.\n"), (refused.Status, refused.Error));
        Assert.False(File.Exists(file));
        Assert.StartsWith(
            "ondemand: Only /usr/bin/ssh, /opt/x may have session-lasting addresses on this host; whatever else the command runs goes by policy.\n",
            warned.Error, StringComparison.Ordinal);
        Assert.StartsWith("ondemand: No cgroup can be made for the command (", allowed.Error, StringComparison.Ordinal);    // one step further
        Assert.Equal((0, string.Empty), (root.Status, root.Error));
        Assert.StartsWith("ondemand: No cgroup can be made for the command (", alone.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_a_TAP_that_of_the_environment_is_meant_as_in_a_lab_whatever_else_runs_on_the_host()
    {
        string[] exec = ["dotnet", typeof(ExitStatus).Assembly.Location, "exec", "--type", "fixed"];
        using Process named = Process.Start(new ProcessStartInfo("env", [$"ONDEMAND_TAP={_tap}", .. exec, "--", "cat", "/proc/self/cgroup"])
        { RedirectStandardOutput = true, RedirectStandardError = true })!;
        using Process wrong = Process.Start(new ProcessStartInfo("env", ["ONDEMAND_TAP=no/name", .. exec, "--", "true"])
        { RedirectStandardOutput = true, RedirectStandardError = true })!;

        Assert.Contains($"/ondemand-{_tap}/fixed/", End(named).Output, StringComparison.Ordinal);
        Assert.Equal(new Result(ExitStatus.Usage, "", "ondemand: 'no/name' is no name of an interface.\n"), End(wrong));
    }

    [Fact]
    public void A_dataplane_that_does_not_answer_does_not_keep_a_command_from_running()
    {
        string path = Path.Combine(_folder.FullName, "deaf.sock");
        using var deaf = new System.Net.Sockets.Socket(
            System.Net.Sockets.AddressFamily.Unix, System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Unspecified);
        deaf.Bind(new System.Net.Sockets.UnixDomainSocketEndPoint(path));
        deaf.Listen();

        Result result = Run("--programs", path, "--type", "fixed", "--", "echo", "ran");

        Assert.Equal((0, "ran\n", string.Empty), (result.Status, result.Output, result.Error));
    }

    [Fact]
    public void Of_what_killed_commands_left_only_empty_cgroups_of_their_own_names_are_removed()
    {
        using var cgroups = new Tests.Policy.TestCgroups();
        string top = $"ondemand-{_tap}";
        string[] gone = [$"{top}/fixed/99999999", $"{top}/fixed/99999998", $"scope/inner/{top}/session-lasting+on-net/99999999"];
        string[] stay = [$"{top}/other/99999999", $"{top}/nonpersistent/name", $"{top}/nonpersistent/{Environment.ProcessId}", $"{top}x/fixed/99999999"];
        string used = cgroups.MakeBelow($"{top}/graceful-replacement/99999997");
        string[] made = [.. gone.Select(cgroups.MakeBelow)];
        string[] kept = [.. stay.Select(cgroups.MakeBelow)];
        using Process sleep = Process.Start(new ProcessStartInfo("sh", ["-c", $"echo $$ > {used}/cgroup.procs; exec sleep 1000"]))!;
        Assert.True(SpinWait.SpinUntil(() => File.ReadAllText($"{used}/cgroup.procs").Length > 0, Patience));

        int removed = CommandCgroup.RemoveLeft(cgroups.Root, cgroups.Top, _tap);

        sleep.Kill();
        Assert.Equal(3, removed);
        Assert.All(made, directory => Assert.False(Directory.Exists(directory), directory));
        Assert.All(kept.Append(used), directory => Assert.True(Directory.Exists(directory), directory));
        Assert.False(Directory.Exists($"{cgroups.Root}{cgroups.Top}/scope/inner/{top}"));
        Assert.False(Directory.Exists($"{cgroups.Root}{cgroups.Top}/{top}/fixed"));
    }

    [Fact]
    public void A_user_who_may_make_no_cgroups_is_told_so()
    {
        string dotnet = Environment.ProcessPath is { } own && own.EndsWith("dotnet", StringComparison.Ordinal) ? own : "dotnet";
        using Process command = Process.Start(new ProcessStartInfo(
            "setpriv", ["--reuid", "4242", "--clear-groups", dotnet, typeof(ExitStatus).Assembly.Location, "exec", "--tap", _tap, "--type", "fixed", "--", "true"])
        { RedirectStandardError = true, WorkingDirectory = "/" })!;
        string error = command.StandardError.ReadToEnd();
        Assert.True(command.WaitForExit(Patience));
        Assert.SkipWhen(error.Contains("Permission denied", StringComparison.Ordinal) && command.ExitCode is 126 or 127 or 131, "Others may not read the program.");

        Assert.Equal(ExitStatus.Host, command.ExitCode);
        Assert.StartsWith("ondemand: No cgroup can be made for the command (", error, StringComparison.Ordinal);
        Assert.EndsWith("or a subtree of the cgroups that is delegated to you, as in 'systemd-run --user --scope -p Delegate=yes ondemand exec …'.\n", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_delegated_subtree_is_enough_for_a_user()
    {
        using var cgroups = new Tests.Policy.TestCgroups();
        string own = cgroups.MakeBelow("delegated");
        foreach (string file in (string[])["", "/cgroup.procs", "/cgroup.subtree_control"])
        {
            Tests.Policy.TestCgroups.Own(own + file, 4242);
        }

        using Process command = Process.Start(new ProcessStartInfo(
            "sh", ["-c", $"echo $$ > {own}/cgroup.procs; cd /; exec setpriv --reuid 4242 --clear-groups dotnet {typeof(ExitStatus).Assembly.Location} exec --tap {_tap} --type fixed -- grep ^0 /proc/self/cgroup"])
        { RedirectStandardOutput = true, RedirectStandardError = true })!;
        string output = command.StandardOutput.ReadToEnd();
        string error = command.StandardError.ReadToEnd();
        Assert.True(command.WaitForExit(Patience));
        Assert.SkipWhen(command.ExitCode is 126 or 127 or 131, "Others may not read the program.");

        Assert.Equal((0, string.Empty), (command.ExitCode, error));
        Assert.Contains($"{own[cgroups.Root.Length..]}/ondemand-{_tap}/fixed/", output, StringComparison.Ordinal);
        Assert.False(Directory.Exists($"{own}/ondemand-{_tap}"));
    }

    [Fact]
    public void Without_cgroups_of_version_2_it_says_what_to_do()
    {
        HostException exception = Assert.Throws<HostException>(() => CommandCgroup.Enter(null, "/", "od0", Dataplane.Mobility.AddressType.Fixed, false));

        Assert.StartsWith("This host has no cgroup hierarchy of version 2, by which", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("1:name=systemd:/a", null)]
    [InlineData("0::/user.slice/a b", "/user.slice/a b")]
    [InlineData("0::/", "")]
    [InlineData("0::/../outside", null)]
    public void The_cgroup_of_a_process_is_that_of_version_2(string line, string? home) => Assert.Equal(home, CommandCgroup.HomeOf(["7:cpu:/x", line]));

    private static bool Compile(string source, string program)
    {
        try
        {
            using Process gcc = Process.Start(new ProcessStartInfo("gcc", ["-static", "-o", program, source]) { RedirectStandardError = true })!;
            _ = gcc.StandardError.ReadToEnd();
            gcc.WaitForExit();
            return gcc.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }

    private static void Send(string signal, int process)
    {
        using Process kill = Process.Start("kill", [$"-{signal}", process.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
        Assert.Equal(0, kill.ExitCode);
    }

    [GeneratedRegex(@"^0::(/.*)?/ondemand-[^/]+/[a-z+-]+/\d+$")]
    private static partial Regex CgroupLine();

    // The tests may have been started in the background, with signals ignored that these are about.
    private Process Start(params string[] arguments) => Process.Start(new ProcessStartInfo(
        "env", ["--default-signal=INT,QUIT,HUP,TERM", "dotnet", typeof(ExitStatus).Assembly.Location, "exec", "--tap", _tap, .. arguments])
    { RedirectStandardOutput = true, RedirectStandardError = true })!;

    private Result Run(params string[] arguments)
    {
        using Process command = Start(arguments);
        return End(command);
    }

    private Result As(uint user, params string[] arguments)
    {
        using Process command = Process.Start(new ProcessStartInfo(
            "setpriv",
            ["--reuid", user.ToString(CultureInfo.InvariantCulture), "--clear-groups", "dotnet", typeof(ExitStatus).Assembly.Location, "exec", "--tap", _tap,
                .. arguments])
        { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = "/" })!;
        return End(command);
    }

    private static Result End(Process command)
    {
        Task<string> error = command.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        string output = command.StandardOutput.ReadToEnd();
        Assert.True(command.WaitForExit(Patience));
        return new Result(command.ExitCode, output, error.Result);
    }

    private sealed record Result(int Status, string Output, string Error);
}

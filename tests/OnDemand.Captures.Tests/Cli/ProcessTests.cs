using System.Diagnostics;
using OnDemand.Cli;
using Xunit;

namespace OnDemand.Captures.Tests.Cli;

/// <summary>The command as a user's shell runs it: a process with real standard streams.</summary>
public class ProcessTests
{
    [Fact]
    public void A_replay_from_standard_input_to_standard_output_gives_what_a_replay_of_files_gives()
    {
        string folder = Path.Combine(Repository.Root, "captures", "web-download");
        string scenario = Path.Combine(folder, "session-lasting.yaml");
        byte[] capture = File.ReadAllBytes(Path.Combine(folder, "input.pcap"));
        string output = Path.GetTempFileName();
        try
        {
            (int fileStatus, _, string fileError) = Run(capture, "replay", "-", "--scenario", scenario, "--output", output, "--quiet");
            (int status, byte[] written, string error) = Run(capture, "replay", "-", "--scenario", scenario, "--output", "-");

            Assert.Equal((0, string.Empty), (fileStatus, fileError));
            Assert.Equal((0, string.Empty), (status, error));
            Assert.Equal(File.ReadAllBytes(output), written);
        }
        finally
        {
            File.Delete(output);
        }
    }

    [Fact]
    public void A_capture_that_breaks_off_on_standard_input_is_written_up_to_there_with_status_3_and_the_byte()
    {
        string folder = Path.Combine(Repository.Root, "captures", "web-download");
        byte[] capture = File.ReadAllBytes(Path.Combine(folder, "input.pcap"))[..40_000];

        (int status, byte[] written, string error) = Run(
            capture, "replay", "-", "--scenario", Path.Combine(folder, "session-lasting.yaml"), "--output", "-");

        Assert.Equal(3, status);
        Assert.Equal(39_208, written.Length);
        Assert.Contains("byte 39208", error, StringComparison.Ordinal);
        Assert.Single(error.TrimEnd().Split('\n'));
    }

    [Fact]
    public void A_file_on_standard_input_is_not_overwritten_while_it_is_read()
    {
        string folder = Path.Combine(Repository.Root, "captures", "web-download");
        byte[] capture = File.ReadAllBytes(Path.Combine(folder, "input.pcap"));
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, capture);
            const string Command = "dotnet \"$0\" replay - --scenario \"$1\" --output \"$2\" < \"$2\"";
            using Process process = Process.Start(
                new ProcessStartInfo("sh", ["-c", Command, typeof(CommandLine).Assembly.Location, Path.Combine(folder, "graceful.yaml"), path])
                {
                    RedirectStandardError = true,
                })!;
            string error = process.StandardError.ReadToEnd();
            process.WaitForExit();

            Assert.Equal((ExitStatus.Usage, $"ondemand: IN and --output are both '{path}'; give each its own.\n"), (process.ExitCode, error));
            Assert.Equal(capture, File.ReadAllBytes(path));
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static (int Status, byte[] Output, string Error) Run(byte[] input, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.ArgumentList.Add(typeof(CommandLine).Assembly.Location);
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        Task feed = Task.Run(
            () =>
            {
                process.StandardInput.BaseStream.Write(input);
                process.StandardInput.Close();
            },
            TestContext.Current.CancellationToken);
        using var output = new MemoryStream();
        process.StandardOutput.BaseStream.CopyTo(output);
        feed.GetAwaiter().GetResult();
        process.WaitForExit();
        return (process.ExitCode, output.ToArray(), error.GetAwaiter().GetResult());
    }
}

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

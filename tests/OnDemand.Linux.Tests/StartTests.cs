using System.Diagnostics;
using System.Text;
using OnDemand.Cli;
using Xunit;

namespace OnDemand.Linux.Tests;

/// <summary>What a command does not need is not loaded: the web server belongs to <c>ondemand run</c> only.</summary>
public sealed class StartTests
{
    [Theory]
    [InlineData("ondemand", "--version")]
    [InlineData("System.CommandLine", "replay", "--help")]
    [InlineData("System.Net.Http", "status", "--control", "/nonexistent/od0.sock")]
    public void A_command_loads_no_web_server(string loaded, params string[] arguments)
    {
        string assembly = typeof(ExitStatus).Assembly.Location;
        string trace = Path.Combine(Path.GetTempPath(), $"ondemand-{Guid.NewGuid():N}.nettrace");
        try
        {
            var start = new ProcessStartInfo("dotnet", [assembly, .. arguments])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true
            };
            start.Environment["DOTNET_EnableEventPipe"] = "1";
            start.Environment["DOTNET_EventPipeConfig"] = "Microsoft-Windows-DotNETRuntime:0x8:4";   // the loader's events
            start.Environment["DOTNET_EventPipeOutputPath"] = trace;
            using Process process = Process.Start(start)!;
            _ = process.StandardOutput.ReadToEnd() + process.StandardError.ReadToEnd();
            process.WaitForExit();
            byte[] events = File.ReadAllBytes(trace);

            Assert.True(Names(events, loaded), $"The trace does not name {loaded}.");
            Assert.False(Names(events, "Microsoft.AspNetCore"), "The web server was loaded.");
            Assert.False(Names(events, "Spectre.Console"), "The live view was loaded.");
        }
        finally
        {
            File.Delete(trace);
        }
    }

    private static bool Names(byte[] events, string name) => events.AsSpan().IndexOf(Encoding.Unicode.GetBytes(name)) >= 0;
}

using System.ComponentModel;
using System.Diagnostics;
using Xunit;

namespace OnDemand.Captures.Tests.Files;

/// <summary>Runs a program of the machine.</summary>
internal static class Tool
{
    /// <summary>The program's standard output; null when it is not installed.</summary>
    public static async Task<string?> RunAsync(string program, params string[] arguments)
    {
        ProcessStartInfo start = new(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        try
        {
            using Process process = Process.Start(start)!;
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string output = await process.StandardOutput.ReadToEndAsync();
            await process.WaitForExitAsync();
            Assert.True(process.ExitCode == 0, $"{program} failed: {await errors}");
            return output;
        }
        catch (Win32Exception)
        {
            return null;
        }
    }
}

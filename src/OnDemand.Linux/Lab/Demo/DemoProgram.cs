using System.Diagnostics;

namespace OnDemand.Linux.Lab.Demo;

/// <summary>One of the demo's programs, running in a node; it ends when its standard input does, so it never outlives the demo.</summary>
internal sealed class DemoProgram : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    private readonly Process _process;

    private DemoProgram(Process process) => _process = process;

    /// <summary>Starts it.</summary>
    /// <param name="lab">The lab's name.</param>
    /// <param name="node">The node.</param>
    /// <param name="command">The hidden command of <c>ondemand</c>.</param>
    /// <param name="hear">Is told what it says, on some thread.</param>
    /// <returns>The program.</returns>
    public static DemoProgram Start(string lab, string node, string command, Action<DemoLine> hear)
    {
        var process = new Process
        {
            StartInfo = new ProcessStartInfo(
                CommandRunner.Find("ip"), ["netns", "exec", LabNodes.Namespace(lab, node), .. LabProgram.Self.Line([command])])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                UseShellExecute = false,
            },
        };
        process.OutputDataReceived += (_, line) =>
        {
            if (line.Data is not null && DemoLine.Read(line.Data) is { } said)
            {
                hear(said);
            }
        };
        process.Start();
        process.BeginOutputReadLine();
        return new DemoProgram(process);
    }

    /// <summary>Asks it to stop and waits for its last words.</summary>
    /// <returns>Completes when it has ended.</returns>
    public async Task StopAsync()
    {
        _process.StandardInput.Close();
        using var limit = new CancellationTokenSource(Patience);
        try
        {
            await _process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            _process.Kill();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        _process.Dispose();
    }
}

using System.Globalization;
using OnDemand.Dataplane;

namespace OnDemand.Linux.Lab.Demo;

/// <summary>The demo from building its lab to removing it.</summary>
/// <param name="output">Where the story goes; synchronized.</param>
/// <param name="record">Where the dataplane records what passes; null for nowhere.</param>
internal sealed class DemoRun(TextWriter output, string? record)
{
    /// <summary>What the names of demo labs begin with; the rest is the number of the process.</summary>
    public const string NamePrefix = "demo-";

    private static readonly TimeSpan BeforeMove = TimeSpan.FromSeconds(3);
    private static readonly Duration Window = Duration.FromSeconds(4);
    private static readonly TimeSpan AfterWindow = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(10);

    /// <summary>The name of the lab of this process's demo.</summary>
    public static string Name { get; } = NamePrefix + Environment.ProcessId.ToString(CultureInfo.InvariantCulture);

    /// <summary>Whether the lab could be built.</summary>
    public bool IsBuilt { get; private set; }

    /// <summary>Runs it.</summary>
    /// <param name="cancellationToken">Stops it; the lab is removed even so.</param>
    /// <returns>Whether everything that arrived was what had been sent.</returns>
    public async Task<bool> RunAsync(CancellationToken cancellationToken)
    {
        await RemoveForsakenAsync(cancellationToken).ConfigureAwait(false);
        string name = Name;
        try
        {
            Lab lab = await Lab.UpAsync(new LabOptions { Name = name, Record = record }, cancellationToken).ConfigureAwait(false);
            return await PlayAsync(lab, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            // The recording is whole when the dataplane has ended in peace: removing the lab begins with that.
            await Lab.DownAsync(name, CancellationToken.None).ConfigureAwait(false);
        }
    }

    // Labs of demos that were killed: nothing else would ever remove them.
    private static async Task RemoveForsakenAsync(CancellationToken cancellationToken)
    {
        foreach (string name in LabDirectory.List().Where(name => name.StartsWith(NamePrefix, StringComparison.Ordinal)))
        {
            if (int.TryParse(name[NamePrefix.Length..], CultureInfo.InvariantCulture, out int id) && LabProcess.Find(id) is null)
            {
                await Lab.DownAsync(name, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private async Task<bool> PlayAsync(Lab lab, CancellationToken cancellationToken)
    {
        IsBuilt = true;
        LabDrawing.Write(output, lab.State, "dataplane running", DateTimeOffset.UtcNow);
        await output.WriteLineAsync().ConfigureAwait(false);
        var story = new DemoStory(output, DateTimeOffset.UtcNow);
        story.Tell("Four downloads over TCP and four exchanges over UDP begin, one of each type.");
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var peer = DemoProgram.Start(lab.State.Name, LabNodes.Peer, "demo-peer", Hear);
        await ready.Task.WaitAsync(StartPatience, cancellationToken).ConfigureAwait(false);
        using var client = DemoProgram.Start(lab.State.Name, LabNodes.Host, "demo-client", story.Hear);
        await WaitForAllAsync(story, cancellationToken).ConfigureAwait(false);
        await Task.Delay(BeforeMove, cancellationToken).ConfigureAwait(false);

        story.Tell($"The host leaves {LabNodes.FirstRouter}; the network follows it.");
        lab.NetworkMoved = () => story.TellMove(
            $"The host is at {LabNodes.SecondRouter}, and the dataplane hears of it; " +
            $"the replacement window is {Window.ToTimeSpan().TotalSeconds:0} s.");
        await lab.MoveAsync(LabNodes.SecondRouter, null, Window, gap: null, cancellationToken).ConfigureAwait(false);
        await Task.Delay(Window.ToTimeSpan(), cancellationToken).ConfigureAwait(false);
        story.Tell("The replacement window is over.");
        await Task.Delay(AfterWindow, cancellationToken).ConfigureAwait(false);
        await client.StopAsync().ConfigureAwait(false);
        await peer.StopAsync().ConfigureAwait(false);
        story.WriteTable();
        return !story.Corrupt;

        void Hear(DemoLine line)
        {
            if (line.Event == DemoEvents.Ready)
            {
                ready.TrySetResult();
            }

            story.Hear(line);
        }
    }

    private static async Task WaitForAllAsync(DemoStory story, CancellationToken cancellationToken)
    {
        long until = Environment.TickCount64 + (long)StartPatience.TotalMilliseconds;
        while (story.Seen < 2 * DemoTraffic.Types)
        {
            if (Environment.TickCount64 >= until)
            {
                throw new HostException(
                    $"Only {story.Seen} of {2 * DemoTraffic.Types} flows reached the correspondent in {StartPatience.TotalSeconds:0} s.");
            }

            await Task.Delay(20, cancellationToken).ConfigureAwait(false);
        }
    }
}

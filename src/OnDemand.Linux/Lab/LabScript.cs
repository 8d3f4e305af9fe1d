using System.Diagnostics;
using System.Globalization;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;

namespace OnDemand.Linux.Lab;

/// <summary>Plays what the network does in a scenario, in real time, in a lab. The first attachment is how the lab begins.</summary>
/// <param name="lab">The lab.</param>
/// <param name="tell">Is told each event as it happens.</param>
internal sealed class LabScript(Lab lab, Action<string> tell)
{
    /// <summary>Checks that a scenario can be played.</summary>
    /// <param name="scenario">The scenario.</param>
    /// <exception cref="ScenarioException">It holds an event that only a replay can do.</exception>
    public static void Check(Scenario scenario)
    {
        if (scenario.Network.OfType<AdvertiseEvent>().FirstOrDefault() is { } advertise)
        {
            throw new ScenarioException(
                scenario.File, advertise.Place.Line, advertise.Place.Column,
                "found 'advertise', expected attach, withdraw or detach, for the lab gives prefixes only with a move");
        }

        if (scenario.Network.Count > 0 && scenario.Network[0] is not AttachEvent)
        {
            NetworkEvent first = scenario.Network[0];
            throw new ScenarioException(
                scenario.File, first.Place.Line, first.Place.Column,
                "found something else first, expected an 'attach': a lab begins with one");
        }
    }

    /// <summary>Plays it. Time 0 is now.</summary>
    /// <param name="over">Ends it between two events, as if there were no more.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <returns>Completes after the last event.</returns>
    public async Task PlayAsync(CancellationToken over, CancellationToken cancellationToken)
    {
        IReadOnlyList<NetworkEvent> events = lab.Scenario.Scenario.Network;
        if (events.Count == 0)
        {
            return;
        }

        long began = Stopwatch.GetTimestamp();
        long origin = events[0].At.IsAbsolute ? events[0].At.Nanoseconds : 0;
        tell(Line(TimeSpan.Zero, $"attached to {((AttachEvent)events[0]).Name}"));
        foreach (NetworkEvent happening in events.Skip(1))
        {
            TimeSpan due = new Duration(Math.Max(0, happening.At.Nanoseconds - (happening.At.IsAbsolute ? origin : 0))).ToTimeSpan();
            TimeSpan wait = due - Stopwatch.GetElapsedTime(began);
            if (wait > TimeSpan.Zero)
            {
                using var waiting = CancellationTokenSource.CreateLinkedTokenSource(over, cancellationToken);
                await Task.Delay(wait, waiting.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            cancellationToken.ThrowIfCancellationRequested();
            if (over.IsCancellationRequested)
            {
                return;
            }

            string what = await DoAsync(happening, cancellationToken).ConfigureAwait(false);
            tell(Line(Stopwatch.GetElapsedTime(began), what));
        }
    }

    private static string Line(TimeSpan at, string what) =>
        string.Create(CultureInfo.InvariantCulture, $"{at.TotalSeconds,7:0.000} s  {what}");

    private async Task<string> DoAsync(NetworkEvent happening, CancellationToken cancellationToken)
    {
        switch (happening)
        {
            case AttachEvent attach:
                await lab.MoveAsync(attach.Name, attach.Prefixes, attach.Window, gap: null, cancellationToken).ConfigureAwait(false);
                return $"moved to {attach.Name} (router {lab.State.Serving}), {attach.Prefixes.Count} prefixes";
            case WithdrawEvent withdraw:
                await lab.WithdrawAsync(withdraw.Prefix, withdraw.Window ?? Duration.Zero, cancellationToken).ConfigureAwait(false);
                return $"withdrew {withdraw.Prefix}";
            case DetachEvent:
                await lab.DetachAsync(cancellationToken).ConfigureAwait(false);
                return "detached";
            default:
                throw new UnreachableException("Check lets no other event through.");
        }
    }
}

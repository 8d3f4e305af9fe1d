using OnDemand.Captures.Replay;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;

namespace OnDemand.Linux.Providers;

/// <summary>The network of the configuration's table <c>on-demand</c>: the answers that a replay of the same file gives, after their delays.</summary>
/// <param name="scenario">The configuration.</param>
internal sealed class StaticProvider(Scenario scenario) : IPrefixProvider
{
    private readonly ReplaySchedule _answers = new(scenario with { Network = [], Sockets = [] }, default);

    /// <inheritdoc/>
    public Timestamp Next => _answers.Next;

    /// <inheritdoc/>
    public void Start(Action wake)
    {
        // Nothing happens behind the engine's back.
    }

    /// <inheritdoc/>
    public void Ask(in PrefixRequest question, Timestamp deadline, Timestamp now) => _answers.Ask(question, now);

    /// <inheritdoc/>
    public void Follow(in EngineEvent happened, string? attachment)
    {
        // The table is the same wherever the host is.
    }

    /// <inheritdoc/>
    public bool TryTake(Timestamp now, out ProviderNews news)
    {
        news = _answers.Next <= now ? new ProviderNews(_answers.Take().Answer) : default;
        return news.Answer is not null;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}

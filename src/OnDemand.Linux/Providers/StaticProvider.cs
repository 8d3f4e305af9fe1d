using OnDemand.Captures.Replay;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;

namespace OnDemand.Linux.Providers;

/// <summary>
/// The network of the configuration's table <c>on-demand</c>: the answers that a replay of the same file gives, after their delays.
/// </summary>
/// <param name="scenario">The configuration.</param>
/// <param name="seed">What draws are made by where the configuration's answers are in random order.</param>
internal sealed class StaticProvider(Scenario scenario, ulong seed) : IPrefixProvider
{
    private readonly ReplaySchedule _answers = new(scenario with { Seed = seed, Network = [], Sockets = [] }, default);

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
    public void Follow(in EngineEvent happened, string? attachment) => _answers.Follow(happened);

    /// <inheritdoc/>
    public bool TryTake(Timestamp now, out ProviderNews news)
    {
        news = _answers.Next <= now ? new ProviderNews(_answers.Take().Answer) : default;
        return news.Answer is not null;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}

using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Linux.Providers;

namespace OnDemand.Linux.Tests.Service;

/// <summary>A provider that refuses whatever it is asked for, or gives the network up.</summary>
internal sealed class RefusingProvider : IPrefixProvider
{
    private readonly Queue<int> _questions = new();

    /// <summary>Whether its refusals stand for silence.</summary>
    public bool IsSilence { get; set; }

    public Timestamp Next => _questions.Count > 0 ? default : Timestamp.Never;

    public void Start(Action wake)
    {
        // Nothing comes by itself.
    }

    public void Ask(in PrefixRequest question, Timestamp deadline, Timestamp now) => _questions.Enqueue(question.Id);

    public void Follow(in EngineEvent happened, string? attachment)
    {
        // Nothing depends on it.
    }

    public bool TryTake(Timestamp now, out ProviderNews news)
    {
        bool isThere = _questions.TryDequeue(out int question);
        news = isThere ? new ProviderNews(new PrefixAnswer(question, PrefixAnswerKind.Refused, default), IsSilence: IsSilence) : default;
        return isThere;
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}

using System.Globalization;
using OnDemand.Captures.Replay;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;

namespace OnDemand.Captures.Recording;

/// <summary>Explains the frames of a recording from the engine's events, in the words of <c>replay --explain</c>.</summary>
internal sealed class RecordingWords
{
    private const int MostEventsAtControl = 16;

    private readonly Dictionary<int, (long Id, AddressType Type, string Address)> _flows = [];
    private long _opened;

    /// <summary>Remembers which flow is which.</summary>
    /// <param name="happened">What happened.</param>
    public void Learn(in EngineEvent happened)
    {
        switch (happened.Kind)
        {
            case EngineEventKind.FlowOpened:
                _flows[happened.Flow] = (++_opened, happened.Type, happened.Address.ToString());
                break;
            case EngineEventKind.FlowWentOver when _flows.TryGetValue(happened.Flow, out var flow):
                _flows[happened.Flow] = (flow.Id, happened.Type, happened.Address.ToString());
                break;
            case EngineEventKind.FlowRemoved:
                _flows.Remove(happened.Flow);
                break;
            default:
                break;
        }
    }

    /// <summary>A flow by its number in the order of opening, as reports have it.</summary>
    /// <param name="number">The engine's number.</param>
    /// <returns>The words; null if it is not known.</returns>
    public string? OfFlow(int number) => _flows.TryGetValue(number, out var flow)
        ? string.Create(CultureInfo.InvariantCulture, $"flow {flow.Id}, {AddressTypes.ToName(flow.Type)} {flow.Address}") : null;

    /// <summary>Why the engine did not send a frame on.</summary>
    /// <param name="verdict">Its word.</param>
    /// <returns>The words.</returns>
    public static string OfRefusal(Verdict verdict) => verdict.Kind switch
    {
        VerdictKind.Hold => $"held for {Explanation.Name(verdict.Hold)}",
        VerdictKind.Reply => $"answered because of {Explanation.Name(verdict.Drop)}",
        _ => $"dropped because of {Explanation.Name(verdict.Drop)}",
    };

    /// <summary>What a frame that goes on has gone through.</summary>
    /// <param name="verdict">The engine's word.</param>
    /// <returns>The words.</returns>
    public string OfForward(Verdict verdict) => verdict.Forward is ForwardReason.Rewritten or ForwardReason.Hairpin
        ? OfFlow(verdict.Flow) ?? "rewritten" : $"untouched: {Explanation.Name(verdict.Forward)}";

    /// <summary>What a move, an answer or the passing of time led to.</summary>
    /// <param name="events">What happened.</param>
    /// <returns>One part for each thing worth telling, up to a limit.</returns>
    public static IEnumerable<string> OfControl(IReadOnlyList<EngineEvent> events)
    {
        string[] parts = [.. events.Select(happened => OfPrefix(happened)).OfType<string>()];
        return parts.Length <= MostEventsAtControl ? parts
            : [.. parts.Take(MostEventsAtControl), string.Create(CultureInfo.InvariantCulture, $"and {parts.Length - MostEventsAtControl} more")];
    }

    private static string? OfPrefix(in EngineEvent happened) => happened.Kind switch
    {
        EngineEventKind.PrefixAdded => $"{AddressTypes.ToName(happened.Type)} prefix {happened.Prefix} is there",
        EngineEventKind.PrefixDeprecated => $"{happened.Prefix} is deprecated",
        EngineEventKind.PrefixPreferred => $"{happened.Prefix} is preferred again",
        EngineEventKind.WindowOpened => $"{happened.Prefix} closes",
        EngineEventKind.PrefixEnded => $"{happened.Prefix} has ended: {Explanation.Of(happened.End)}",
        EngineEventKind.FlowStranded => $"stranded on {happened.Address}: {Explanation.Of(happened.Identity)}",
        EngineEventKind.NetworkSilent => $"the network did not answer for {AddressTypes.ToName(happened.Type)}",
        _ => null,
    };
}

using System.Runtime.CompilerServices;
using OnDemand.Captures.Reports;
using OnDemand.Dataplane;

namespace OnDemand.Captures.Replay;

/// <summary>What a replay counted of the packets that it read.</summary>
internal sealed class ReplayCounts
{
    private const int MostExamples = 10;

    private readonly SortedDictionary<string, long> _drops = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, long> _passes = new(StringComparer.Ordinal);
    private readonly long[] _verdicts = new long[4];
    private readonly long[] _forwards = new long[(int)ForwardReason.Untranslatable + 1];
    private readonly List<string> _examples = [];

    public long PacketsRead { get; set; }

    public long OctetsRead { get; set; }

    public long Verified { get; set; }

    public long Violations { get; private set; }

    public long Replies { get; set; }

    public long Rewritten => _forwards[(int)ForwardReason.Rewritten] + _forwards[(int)ForwardReason.Hairpin];

    public long Untouched => _verdicts[(int)VerdictKind.Forward] - Rewritten + _passes.Values.Sum();

    public long Held => _verdicts[(int)VerdictKind.Hold];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Count(Verdict verdict)
    {
        _verdicts[(int)verdict.Kind]++;
        if (verdict.Kind == VerdictKind.Forward)
        {
            _forwards[(int)verdict.Forward]++;
        }
    }

    /// <summary>Packets were rewritten and sent on.</summary>
    public void CountRewritten(int packets)
    {
        _verdicts[(int)VerdictKind.Forward] += packets;
        _forwards[(int)ForwardReason.Rewritten] += packets;
    }

    /// <summary>A packet that was held has gone on after all.</summary>
    /// <param name="untouched">Whether as it was.</param>
    public void Release(bool untouched)
    {
        _verdicts[(int)VerdictKind.Forward]++;
        _forwards[(int)(untouched ? ForwardReason.Untranslatable : ForwardReason.Rewritten)]++;
    }

    /// <summary>A packet that the engine never saw is left out.</summary>
    public void Drop(string reason) => _drops[reason] = _drops.GetValueOrDefault(reason) + 1;

    /// <summary>A packet that the engine never saw passes.</summary>
    public void Pass(string reason) => _passes[reason] = _passes.GetValueOrDefault(reason) + 1;

    public void Violation(string sentence)
    {
        Violations++;
        if (_examples.Count < MostExamples)
        {
            _examples.Add(sentence);
        }
    }

    public ReportVerification Verification => new(Violations == 0, Verified, Violations, _examples);

    /// <summary>Verdicts, and below them why packets were sent on.</summary>
    public IReadOnlyList<NamedCount> Verdicts(Counters engine)
    {
        List<NamedCount> counts = [.. Enum.GetValues<VerdictKind>().Select(kind => new NamedCount(Explanation.Name(kind), engine.Of(kind)))];
        counts.AddRange(Enum.GetValues<ForwardReason>().Where(reason => engine.Of(reason) > 0)
            .Select(reason => new NamedCount($"forward/{Explanation.Name(reason)}", engine.Of(reason))));
        counts.AddRange(_passes.Select(pass => new NamedCount($"pass/{pass.Key}", pass.Value)));
        return counts;
    }

    /// <summary>Reasons for drops, the engine's and the replay's own.</summary>
    public IReadOnlyList<NamedCount> DropReasons(Counters engine)
    {
        List<NamedCount> counts = [.. Enum.GetValues<DropReason>().Where(reason => engine.Of(reason) > 0)
            .Select(reason => new NamedCount(Explanation.Name(reason), engine.Of(reason)))];
        counts.AddRange(_drops.Select(drop => new NamedCount(drop.Key, drop.Value)));
        return counts;
    }
}

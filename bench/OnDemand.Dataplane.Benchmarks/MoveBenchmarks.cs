using BenchmarkDotNet.Attributes;

namespace OnDemand.Dataplane.Benchmarks;

/// <summary>A move with a million live TCP flows. The sweep throws unless every flow got its RST.</summary>
[MemoryDiagnoser]
public class MoveBenchmarks
{
    private Move? _move;

    [Params(1_000_000)]
    public int Flows { get; set; }

    [IterationSetup(Target = nameof(Attach))]
    public void OpenFlows() => _move = new Move(Flows);

    [IterationSetup(Target = nameof(Sweep))]
    public void OpenFlowsAndMove()
    {
        _move = new Move(Flows);
        _move.Attach();
    }

    [Benchmark]
    public void Attach() => _move?.Attach();

    [Benchmark]
    public long Sweep() => _move?.Sweep(default).Resets ?? 0;
}

using BenchmarkDotNet.Attributes;

namespace OnDemand.Dataplane.Benchmarks;

/// <summary>
/// The whole engine for packets of flows that are there, at four table sizes. <see cref="Generate"/> is the cost of making the packets,
/// which the other two contain. The set-up throws unless the packets are rewritten and their checksums stay right.
/// </summary>
[MemoryDiagnoser]
public class EngineBenchmarks
{
    private const int Batches = 256;
    private FlowLoad? _load;

    [Params(1_000, 100_000, 1_000_000, 4_000_000)]
    public int Flows { get; set; }

    [Params(false, true)]
    public bool Inbound { get; set; }

    private FlowLoad Load => _load ?? throw new InvalidOperationException("The flows were not opened.");

    [GlobalSetup]
    public void OpenFlows() => _load = new FlowLoad(Flows, hosts: 1, Inbound);

    [GlobalCleanup]
    public void ProveForwarded()
    {
        long before = Load.Engine.Counters.Of(ForwardReason.Rewritten);
        Load.Batched(Batches);
        Load.ProveRewritten(before, Batches * FlowLoad.Batch);
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = Batches * FlowLoad.Batch)]
    public void Generate() => Load.Generate(Batches);

    [Benchmark(OperationsPerInvoke = Batches * FlowLoad.Batch)]
    public void InBatches() => Load.Batched(Batches);

    [Benchmark(OperationsPerInvoke = Batches * FlowLoad.Batch)]
    public void OneByOne() => Load.Single(Batches);
}

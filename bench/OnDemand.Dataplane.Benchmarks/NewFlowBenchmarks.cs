using BenchmarkDotNet.Attributes;
using OnDemand.Dataplane.Mobility;

namespace OnDemand.Dataplane.Benchmarks;

/// <summary>A flow's beginning: policy, RFC 6724 selection, binding and table entry; every flow is another socket's. Throws unless opened.</summary>
[MemoryDiagnoser]
public class NewFlowBenchmarks
{
    private const int Flows = 1 << 20;
    private NewFlows? _flows;

    [Params(AddressType.Nonpersistent, AddressType.SessionLasting)]
    public AddressType Type { get; set; }

    [IterationSetup]
    public void MakeEngine() => _flows = new NewFlows(Flows, Type);

    [Benchmark(OperationsPerInvoke = Flows)]
    public void OpenFlows() => _flows?.Open();
}

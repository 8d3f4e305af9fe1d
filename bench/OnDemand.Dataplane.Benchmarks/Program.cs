using BenchmarkDotNet.Running;
using OnDemand.Dataplane.Benchmarks;

// Quick runners by name; everything else goes to BenchmarkDotNet.
return args switch
{
    ["flow", ..] => FlowRunner.Run(args.AsSpan(1)),
    _ => RunBenchmarks(args),
};

static int RunBenchmarks(string[] arguments)
{
    _ = BenchmarkSwitcher.FromAssembly(typeof(FlowLoad).Assembly).Run(arguments);
    return 0;
}

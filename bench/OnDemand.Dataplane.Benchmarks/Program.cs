using BenchmarkDotNet.Running;
using OnDemand.Dataplane.Benchmarks;
using OnDemand.Dataplane.Benchmarks.Results;

// Quick runners by name; everything else goes to BenchmarkDotNet, for example --filter '*EngineBenchmarks*'.
return args switch
{
    ["flow", ..] => FlowRunner.Run(args.AsSpan(1)),
    ["newflows", ..] => ControlRunner.RunNewFlows(args.AsSpan(1)),
    ["move", ..] => ControlRunner.RunMove(args.AsSpan(1)),
    ["memory", ..] => MemoryRunner.Run(args.AsSpan(1)),
    ["side-by-side", ..] => SideBySideRunner.Run(args.AsSpan(1)),
    ["gate", ..] => GateRunner.Run(args.AsSpan(1)),
    ["draw", ..] => DrawRunner.Run(args.AsSpan(1)),
    ["sockets", ..] => SocketLookupRunner.Run(args.AsSpan(1)),
    ["genpcap", ..] => CaptureGenerator.Run(args.AsSpan(1)),
    _ => RunBenchmarks(args),
};

static int RunBenchmarks(string[] arguments)
{
    _ = BenchmarkSwitcher.FromAssembly(typeof(FlowLoad).Assembly).Run(arguments);
    return 0;
}

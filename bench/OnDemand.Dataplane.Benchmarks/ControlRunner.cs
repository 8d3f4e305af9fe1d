using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using OnDemand.Dataplane.Mobility;

namespace OnDemand.Dataplane.Benchmarks;

/// <summary>New flows a second, and a move with a million flows: the best, or the median, of a few rounds.</summary>
internal static class ControlRunner
{
    private const int Flows = 1 << 20;
    private const int Rounds = 5;
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    public static int RunNewFlows(ReadOnlySpan<string> arguments)
    {
        double best = double.MaxValue;
        long allocated = long.MaxValue;
        for (int round = 0; round < Rounds; round++)
        {
            var flows = new NewFlows(Flows, AddressType.SessionLasting);
            long bytes = GC.GetAllocatedBytesForCurrentThread();
            long start = Stopwatch.GetTimestamp();
            flows.Open();
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalNanoseconds / Flows);
            allocated = Math.Min(allocated, GC.GetAllocatedBytesForCurrentThread() - bytes);
            GC.Collect();
        }

        double rate = 1e9 / best;
        double each = (double)allocated / Flows;
        Console.WriteLine(arguments.Contains("--json")
            ? JsonSerializer.Serialize(new { Flows, Nanoseconds = best, FlowsPerSecond = rate, Bytes = each }, Json)
            : string.Create(CultureInfo.InvariantCulture, $"new flows {Flows}: {best:F0} ns/flow, {rate / 1e6:F2} M flows/s, {each:0.###} B/flow"));
        return 0;
    }

    public static int RunMove(ReadOnlySpan<string> arguments)
    {
        var results = new List<MoveResult>();
        _ = Rehearsal.Run();                         // as `ondemand run` does
        for (int round = 0; round < Rounds; round++)
        {
            var move = new Move(1_000_000);
            long start = Stopwatch.GetTimestamp();
            move.Attach();
            results.Add(move.Sweep(Stopwatch.GetElapsedTime(start)));
            GC.Collect();
        }

        foreach (MoveResult result in results)
        {
            Console.WriteLine(arguments.Contains("--json") ? JsonSerializer.Serialize(result, Json) : string.Create(
                CultureInfo.InvariantCulture,
                $"move {result.Flows} flows: attach {result.Attach:F1} us; {result.Slices} slices: median {result.SliceMedian:F1}, 99% {result.Slice99:F1}, longest {result.SliceLongest:F1} us; all {result.Resets} RSTs {result.SweepMilliseconds:F0} ms"));
        }

        return 0;
    }
}

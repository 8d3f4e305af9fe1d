using System.Diagnostics;
using System.Globalization;
using System.Runtime;
using System.Text.Json;

namespace OnDemand.Dataplane.Benchmarks;

/// <summary>
/// Nanoseconds and bytes a packet of the whole engine, measured as the C yardstick measures itself: eight million packets of random flows,
/// the best of three passes, less the best of three passes of the generator alone.
/// </summary>
internal static class FlowRunner
{
    private const int Packets = 8_000_000;
    private const int Chunk = 1000;          // batches in a call, so that the loops are compiled as any hot method is
    private static readonly int[] Sizes = [1_000, 100_000, 1_000_000, 4_000_000];
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    public static int Run(ReadOnlySpan<string> arguments)
    {
        bool json = arguments.Contains("--json");
        bool batchOnly = arguments.Contains("--batch-only");
        int passes = int.Parse(Option(arguments, "--passes") ?? "3", CultureInfo.InvariantCulture);
        int[] sizes = Option(arguments, "--flows") is { } list
            ? Array.ConvertAll(list.Split(','), static text => int.Parse(text, CultureInfo.InvariantCulture)) : Sizes;
        int[] hosts = Option(arguments, "--hosts") is { } many ? [int.Parse(many, CultureInfo.InvariantCulture)] : [1, 4096];
        bool[] directions = Option(arguments, "--direction") switch { "outbound" => [false], "inbound" => [true], _ => [false, true] };
        CompileForBoth();
        foreach (int host in hosts)
        {
            foreach (bool inbound in directions)
            {
                foreach (int size in sizes)
                {
                    FlowResult result = Measure(size, host, inbound, batchOnly, passes);
                    Console.WriteLine(json ? JsonSerializer.Serialize(result, Json) : result.ToString());
                    GC.Collect();
                }
            }
        }

        return 0;
    }

    // The runtime compiles the engine for what it sees at the start; a host sends and receives from the start.
    private static void CompileForBoth()
    {
        var outbound = new FlowLoad(1000, 1, inbound: false);
        var inbound = new FlowLoad(1000, 1, inbound: true);
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(1.5))
        {
            outbound.Batched(1);
            inbound.Batched(1);
            outbound.Single(1);
            inbound.Single(1);
        }
    }

    private static string? Option(ReadOnlySpan<string> arguments, string name)
    {
        int at = arguments.IndexOf(name);
        return at >= 0 && at + 1 < arguments.Length ? arguments[at + 1] : null;
    }

    private static FlowResult Measure(int flows, int hosts, bool inbound, bool batchOnly, int passes)
    {
        var load = new FlowLoad(flows, hosts, inbound);
        WarmUp(load, batchOnly);
        long before = load.Engine.Counters.Of(ForwardReason.Rewritten);
        GCSettings.LatencyMode = GCLatencyMode.SustainedLowLatency;
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        double generate = double.MaxValue;
        double single = double.MaxValue;
        double batch = double.MaxValue;
        for (int pass = 0; pass < passes; pass++)
        {
            generate = Math.Min(generate, Time(load, Work.Generate));
            if (!batchOnly)
            {
                single = Math.Min(single, Time(load, Work.Single));
            }

            batch = Math.Min(batch, Time(load, Work.Batch));
        }

        allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
        long packets = (batchOnly ? 1L : 2L) * passes * Packets;
        load.ProveRewritten(before, packets);
        return new FlowResult(
            inbound ? "inbound" : "outbound", hosts, flows, generate, batchOnly ? 0 : single - generate, batch - generate, (double)allocated / packets);
    }

    // Long enough for the runtime to have compiled everything for the last time.
    private static void WarmUp(FlowLoad load, bool batchOnly)
    {
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < TimeSpan.FromMilliseconds(800))
        {
            load.Generate(10);
            load.Single(batchOnly ? 1 : 10);
            load.Batched(10);
        }
    }

    private static double Time(FlowLoad load, Work work)
    {
        load.Rewind();
        long start = Stopwatch.GetTimestamp();
        for (int done = 0; done < Packets / FlowLoad.Batch; done += Chunk)
        {
            switch (work)
            {
                case Work.Generate:
                    load.Generate(Chunk);
                    break;
                case Work.Single:
                    load.Single(Chunk);
                    break;
                default:
                    load.Batched(Chunk);
                    break;
            }
        }

        return Stopwatch.GetElapsedTime(start).TotalNanoseconds / Packets;
    }

    private enum Work
    {
        Generate,
        Single,
        Batch,
    }
}

/// <summary>One line of the table: nanoseconds a packet, net of the generator (which is given beside), and bytes allocated a packet.</summary>
internal sealed record FlowResult(string Direction, int Hosts, int Flows, double Generator, double Single, double Batch, double Bytes)
{
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"engine {Direction,-8} hosts {Hosts,5} flows {Flows,8}  gen {Generator,5:F1}  net single {Single,6:F1}  net batch {Batch,6:F1} ns/pkt  {Bytes:0.###} B/pkt");
}

using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using OnDemand.Linux.Sockets;

namespace OnDemand.Dataplane.Benchmarks;

/// <summary>What it takes to ask the kernel whose socket a flow is: one by one, in batches, and all at once. Each the best of a few rounds.
/// To be run in a network namespace of its own, see bench/sockets.sh.</summary>
internal static class SocketLookupRunner
{
    private const int Sockets = 10_000;
    private const int Rounds = 5;
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    public static int Run(ReadOnlySpan<string> arguments)
    {
        using var sockets = new SocketLookups(Sockets);
        int lookups = sockets.Queries.Length;
        double[] latencies = new double[lookups];
        double median = double.MaxValue, high = double.MaxValue, alone = double.MaxValue, together = double.MaxValue, dump = double.MaxValue;
        long bytes = long.MaxValue;
        for (int round = 0; round < Rounds; round++)
        {
            long allocated = GC.GetAllocatedBytesForCurrentThread();
            long start = Stopwatch.GetTimestamp();
            AskEach(sockets, latencies);
            alone = Math.Min(alone, Stopwatch.GetElapsedTime(start).TotalSeconds);
            start = Stopwatch.GetTimestamp();
            sockets.Diag.Find(sockets.Queries, sockets.Records, sockets.Found);
            together = Math.Min(together, Stopwatch.GetElapsedTime(start).TotalSeconds);
            bytes = Math.Min(bytes, GC.GetAllocatedBytesForCurrentThread() - allocated);
            Array.Sort(latencies);
            median = Math.Min(median, latencies[lookups / 2]);
            high = Math.Min(high, latencies[lookups * 99 / 100]);
            dump = Math.Min(dump, DumpSeconds(sockets.Diag));
        }

        var result = new
        {
            Sockets,
            MedianMicroseconds = median,
            P99Microseconds = high,
            LookupsPerSecond = lookups / alone,
            BatchedLookupsPerSecond = lookups / together,
            DumpMilliseconds = dump * 1e3,
            Bytes = bytes,
        };
        Console.WriteLine(arguments.Contains("--json") ? JsonSerializer.Serialize(result, Json) : string.Create(
            CultureInfo.InvariantCulture,
            $"socket look-ups, {Sockets} sockets: p50 {median:F2} us, p99 {high:F2} us, {lookups / alone:F0}/s one by one, {lookups / together:F0}/s in batches, {bytes} B; dump of all {dump * 1e3:F2} ms"));
        return 0;
    }

    private static void AskEach(SocketLookups sockets, double[] latencies)
    {
        for (int i = 0; i < latencies.Length; i++)
        {
            long start = Stopwatch.GetTimestamp();
            if (!sockets.Diag.TryFind(sockets.Queries[i], out _))
            {
                throw new InvalidOperationException("A socket was not found.");
            }

            latencies[i] = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
        }
    }

    private static double DumpSeconds(SocketDiag diag)
    {
        long start = Stopwatch.GetTimestamp();
        int count = 0;
        diag.Dump(SocketProtocol.Tcp, SocketStates.All, (in SocketRecord _) => count++);
        diag.Dump(SocketProtocol.Udp, SocketStates.All, (in SocketRecord _) => count++);
        return count >= Sockets ? Stopwatch.GetElapsedTime(start).TotalSeconds : throw new InvalidOperationException("The dump is not whole.");
    }
}

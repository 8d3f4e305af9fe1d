using System.Diagnostics;
using System.Globalization;
using System.Runtime;
using System.Text.Json;

namespace OnDemand.Dataplane.Benchmarks;

/// <summary>
/// Packets a second of one engine, and of as many side by side as there are processors, each on a thread of its own with its part of the
/// flows: what dividing the flows over several queues, or instances, can give at most. An engine shares nothing with another one, so what
/// is missing to twice as much is the machine's: caches, memory, and processors that are two threads of one core.
/// </summary>
internal static class SideBySideRunner
{
    private const int Flows = 1_000_000;
    private const int Passes = 5;
    private const int MostEngines = 8;
    private const int Chunk = 100;           // batches between looks at the clock
    private static readonly TimeSpan Pass = TimeSpan.FromMilliseconds(400);
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    public static int Run(ReadOnlySpan<string> arguments)
    {
        bool json = arguments.Contains("--json");
        for (int engines = 1; engines <= Math.Min(Environment.ProcessorCount, MostEngines); engines++)
        {
            double rate = Measure(engines);
            Console.WriteLine(json
                ? JsonSerializer.Serialize(new { Engines = engines, Flows, PacketsPerSecond = rate }, Json)
                : string.Create(CultureInfo.InvariantCulture, $"engines {engines}, flows {Flows}: {rate / 1e6:F1} M packets/s"));
            GC.Collect();
        }

        return 0;
    }

    // The best pass, less what the generator takes in its best one.
    private static double Measure(int engines)
    {
        var lanes = new Lane[engines];
        Together(engines, lane => lanes[lane] = new Lane(Flows / engines));
        GCSettings.LatencyMode = GCLatencyMode.SustainedLowLatency;
        double generate = double.MaxValue;
        double handle = double.MaxValue;
        for (int pass = 0; pass <= Passes; pass++)
        {
            double generated = Time(lanes, lane => lane.Generate());
            double handled = Time(lanes, lane => lane.Handle());
            if (pass > 0)   // by then everything is compiled
            {
                generate = Math.Min(generate, generated);
                handle = Math.Min(handle, handled);
            }
        }

        foreach (Lane lane in lanes)
        {
            lane.Prove();
        }

        return 1e9 * engines / (handle - generate);
    }

    // Nanoseconds a packet takes in a lane while all of them are at work.
    private static double Time(Lane[] lanes, Action<Lane> work)
    {
        using var start = new Barrier(lanes.Length);
        double sum = 0;
        Together(lanes.Length, index =>
        {
            Lane lane = lanes[index];
            start.SignalAndWait();
            long packets = 0;
            long began = Stopwatch.GetTimestamp();
            TimeSpan taken;
            do
            {
                work(lane);
                packets += Chunk * FlowLoad.Batch;
                taken = Stopwatch.GetElapsedTime(began);
            }
            while (taken < Pass);
            lock (start)
            {
                sum += taken.TotalNanoseconds / packets;
            }
        });
        return sum / lanes.Length;
    }

    private static void Together(int count, Action<int> work)
    {
        var threads = new Thread[count];
        Exception? problem = null;
        for (int i = 0; i < count; i++)
        {
            int lane = i;
            threads[i] = new Thread(() =>
            {
                try
                {
                    work(lane);
                }
                catch (Exception thrown) when (thrown is InvalidOperationException or OutOfMemoryException)
                {
                    problem = thrown;
                }
            });
            threads[i].Start();
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        if (problem is not null)
        {
            throw new InvalidOperationException(problem.Message, problem);
        }
    }

    private sealed class Lane
    {
        private readonly FlowLoad _load;
        private readonly long _before;
        private long _handled;

        public Lane(int flows)
        {
            _load = new FlowLoad(flows, hosts: 1, inbound: false);
            _before = _load.Engine.Counters.Of(ForwardReason.Rewritten);
        }

        public void Generate() => _load.Generate(Chunk);

        public void Handle()
        {
            _load.Batched(Chunk);
            _handled += Chunk * FlowLoad.Batch;
        }

        public void Prove() => _load.ProveRewritten(_before, _handled);
    }
}

using System.Globalization;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Benchmarks;

/// <summary>
/// Octets that a flow takes, as the kernel counts them: what the process has in memory with all flows open, less what it had before, over
/// their number. Every table counts, grown as it grows, with the pages that growth has left behind.
/// </summary>
internal static class MemoryRunner
{
    // Each in a process of its own: what one leaves behind would count for the next.
    public static int Run(ReadOnlySpan<string> arguments)
    {
        string kind = arguments.Length > 0 ? arguments[0] : "";
        int flows = arguments.Length > 1 ? int.Parse(arguments[1], CultureInfo.InvariantCulture) : 1_000_000;
        if (kind is not ("shared" or "own" or "asked"))
        {
            Console.Error.WriteLine("memory: say shared (flows of one socket), own (a socket for each flow) or asked (and the kernel asked about it), and how many.");
            return 2;
        }

        double octets = Measure(flows, kind != "shared", kind == "asked");
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"memory {kind,-6} flows {flows,9}  {octets,6:F1} octets/flow"));
        return 0;
    }

    private static double Measure(int flows, bool ownSocket, bool ask)
    {
        int hosts = ownSocket ? Math.Max(1, (flows + 65535) >> 16) : 1;
        byte[] frame = new byte[FlowLoad.FrameLength];
        Open(MakeEngine(1000, hosts, ask), frame, 1000, ownSocket, ask);      // what is compiled and loaded is there before
        long before = Resident();
        DataplaneEngine engine = MakeEngine(flows, hosts, ask);
        Open(engine, frame, flows, ownSocket, ask);
        long after = Resident();
        if (engine.FlowCount != flows)
        {
            throw new InvalidOperationException($"{engine.FlowCount} of {flows} flows are there.");
        }

        GC.KeepAlive(engine);
        return (double)(after - before) / flows;
    }

    private static DataplaneEngine MakeEngine(int flows, int hosts, bool ask)
    {
        var options = new DataplaneOptions
        {
            MaximumFlows = flows,
            MaximumBindings = flows,
            MaximumInternalAddresses = hosts,
            MaximumTypedAddresses = hosts + 64,
            AskSockets = ask,
            Internal = [new IpPrefix(IpAddress.Parse("fd00:a::"), 64)],
            Policy = new ServicePolicy([], [], PolicyOutcome.OfType(AddressType.SessionLasting)),
        };
        var engine = new DataplaneEngine(options, default);
        engine.Attach(1, [new PrefixAdvertisement(new IpPrefix(IpAddress.Parse("2001:db8:a::"), 64), AddressType.SessionLasting)], null, default);
        return engine;
    }

    private static void Open(DataplaneEngine engine, byte[] frame, int flows, bool ownSocket, bool ask)
    {
        byte[] output = new byte[engine.MaximumOutputLength];
        for (int flow = 0; flow < flows; flow++)
        {
            FlowLoad.WriteSyn(frame, ownSocket ? flow : 0);
            if (!ownSocket)
            {
                IpAddress remote = new(0x2001_0db8_0005_0000, (ulong)flow + 1);
                remote.Write(frame.AsSpan(14 + 24));
            }

            var now = new Timestamp(flow * 1000L);
            _ = engine.HandleOutbound(frame, new FrameInfo(14), now);
            if (ask && engine.TryTakeSocketQuestion(out SocketQuestion question))
            {
                engine.Answer(new SocketAnswer { Id = question.Id, Cookie = (ulong)flow + 1 }, now);
                while (engine.TryTakeOutput(output, now, out _, out _))
                {
                }
            }
        }
    }

    private static long Resident()
    {
        string[] pages = File.ReadAllText("/proc/self/statm").Split(' ');
        return long.Parse(pages[1], CultureInfo.InvariantCulture) * Environment.SystemPageSize;
    }
}

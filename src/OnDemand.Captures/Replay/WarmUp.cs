using System.Reflection;
using System.Runtime.CompilerServices;
using OnDemand.Captures.Files;
using OnDemand.Captures.Link;
using OnDemand.Captures.Reports;
using OnDemand.Dataplane;

namespace OnDemand.Captures.Replay;

/// <summary>
/// Compiles the methods of the packet path on a thread of its own while the scenario is read. They ask for full optimization, which is
/// never done ahead of time, and would be compiled one after the other when the first packet meets them.
/// </summary>
public static class WarmUp
{
    private static readonly Type[] Homes =
    [
        typeof(ReplayFiles), typeof(ReplaySession), typeof(OrderedOutput), typeof(PartialChecksums), typeof(LinkLayer), typeof(CaptureReader),
        typeof(CaptureWriter), typeof(CaptureSink), typeof(PcapParser), typeof(PcapSink), typeof(WriteBehind), typeof(DataplaneEngine),
    ];

    /// <summary>Begins. It changes nothing but when code is compiled, so nobody needs to wait for it.</summary>
    public static void Begin()
    {
        if (Environment.ProcessorCount > 1)
        {
            new Thread(Prepare) { IsBackground = true, Name = "warm-up" }.Start();
        }
    }

    private static void Prepare()
    {
        Compile();

        // The report is made when everything else is done, and would be waited for.
        _ = ReplayFindings.Add(
            new ReplayReport(), new ReplayCounts(), new FlowLedger(default, 0, density: false, translated: null), Rehearsal.Run(), 0, 0, 0);
    }

    private static void Compile()
    {
        const BindingFlags All = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
        foreach (Type home in Homes)
        {
            foreach (MethodInfo method in home.GetMethods(All))
            {
                if ((method.MethodImplementationFlags & MethodImplAttributes.AggressiveOptimization) != 0)
                {
                    RuntimeHelpers.PrepareMethod(method.MethodHandle);
                }
            }
        }
    }
}

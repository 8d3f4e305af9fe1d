using OnDemand.Linux.Config;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Run;

/// <summary>
/// Keeps the thread of the packet path on one processor. Where there are few, the kernel otherwise wakes it now here and now there, beside
/// the programs whose packets it carries, and they displace one another.
/// </summary>
internal static class EnginePlace
{
    /// <summary>Whether what is chosen can be had; before anything is set up.</summary>
    /// <param name="choice">What is chosen.</param>
    /// <exception cref="HostException">It cannot.</exception>
    public static void Check(ProcessorChoice choice)
    {
        if (choice.Rule == ProcessorRule.Named && ProcessorSet.OfThread() is var allowed && !allowed.Contains(choice.Number))
        {
            throw new HostException(
                $"The packet path cannot run on processor {choice.Number}: 'host: cpu' must name one of {allowed}, on which this program may run, or be 'stay' or 'any'.");
        }
    }

    /// <summary>Keeps the calling thread, of a further queue, on a processor of its own as long as there are enough.</summary>
    /// <param name="choice">What is chosen.</param>
    /// <param name="first">The processor of the first queue's thread.</param>
    /// <param name="number">Which further queue it is, from 1.</param>
    public static void TakeBeside(ProcessorChoice choice, int first, int number)
    {
        if (choice.Rule != ProcessorRule.Stay)
        {
            return;
        }

        if (!ProcessorSet.TryOfThread(out ProcessorSet allowed))
        {
            return;
        }

        int here = first;
        for (int left = number % Math.Max(1, allowed.Count); left > 0;)
        {
            here = here >= ProcessorSet.HighestNumber ? 0 : here + 1;
            left -= allowed.Contains(here) ? 1 : 0;
        }

        _ = ProcessorSet.Of(here).TryKeepThread();   // where that is forbidden the thread moves about, and works as well
    }

    /// <summary>Keeps the calling thread where it shall be.</summary>
    /// <param name="choice">What is chosen.</param>
    /// <exception cref="HostException">A processor that was named cannot be had any more.</exception>
    public static void Take(ProcessorChoice choice)
    {
        switch (choice.Rule)
        {
            case ProcessorRule.Named when ProcessorSet.Of(choice.Number).TryKeepThread() is not 0 and int error:
                throw new HostException(
                    $"The packet path cannot run on processor {choice.Number}: {new LinuxException("sched_setaffinity", error).Message}.");
            case ProcessorRule.Stay when Libc.GetProcessor() is >= 0 and <= ProcessorSet.HighestNumber and int here:
                _ = ProcessorSet.Of(here).TryKeepThread();       // where that is forbidden the thread moves about, and works as well
                break;
            default:
                break;
        }
    }
}

using System.Globalization;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace OnDemand.Linux.Interop;

/// <summary>Processors on which a thread may run, as sched_setaffinity(2) takes them.</summary>
internal struct ProcessorSet
{
    /// <summary>The highest number that a processor can have: Linux is built for at most 8192 of them.</summary>
    public const int HighestNumber = (Words * 64) - 1;

    private const int Words = 128;
    private Mask _mask;

    /// <summary>How many processors are in it.</summary>
    public readonly int Count
    {
        get
        {
            int count = 0;
            foreach (ulong word in (ReadOnlySpan<ulong>)_mask)
            {
                count += BitOperations.PopCount(word);
            }

            return count;
        }
    }

    /// <summary>The processors on which the calling thread may run.</summary>
    /// <exception cref="LinuxException">The kernel does not say.</exception>
    public static ProcessorSet OfThread() =>
        TryOfThread(out ProcessorSet set) ? set : throw new LinuxException("sched_getaffinity", Libc.LastError);

    /// <summary>The processors on which the calling thread may run.</summary>
    /// <param name="set">They.</param>
    /// <returns>Whether the kernel said so; else <see cref="Libc.LastError"/> says why not.</returns>
    public static bool TryOfThread(out ProcessorSet set)
    {
        set = default;
        return Libc.GetProcessors(0, Words * sizeof(ulong), set._mask) >= 0;
    }

    /// <summary>One processor.</summary>
    /// <param name="number">Its number, from 0 to <see cref="HighestNumber"/>.</param>
    public static ProcessorSet Of(int number)
    {
        var set = default(ProcessorSet);
        set._mask[number / 64] = 1UL << (number % 64);
        return set;
    }

    /// <summary>Whether a processor is in it.</summary>
    /// <param name="number">Its number, from 0 to <see cref="HighestNumber"/>.</param>
    public readonly bool Contains(int number) => (_mask[number / 64] & (1UL << (number % 64))) != 0;

    /// <summary>Keeps the calling thread on these processors; threads that the runtime starts later are not bound by it.</summary>
    /// <returns>0, or the error.</returns>
    public readonly int TryKeepThread() => Libc.SetProcessors(0, Words * sizeof(ulong), _mask) < 0 ? Libc.LastError : 0;

    /// <summary>The numbers as Linux writes them: 0-3,8.</summary>
    public override readonly string ToString()
    {
        List<string> parts = [];
        for (int first = 0; first <= HighestNumber; first++)
        {
            if (Contains(first))
            {
                int last = first;
                while (last < HighestNumber && Contains(last + 1))
                {
                    last++;
                }

                parts.Add(first == last
                    ? first.ToString(CultureInfo.InvariantCulture) : string.Create(CultureInfo.InvariantCulture, $"{first}-{last}"));
                first = last;
            }
        }

        return string.Join(",", parts);
    }

    [InlineArray(Words)]
    private struct Mask
    {
        private ulong _first;
    }
}

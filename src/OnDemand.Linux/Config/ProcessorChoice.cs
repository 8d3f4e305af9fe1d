namespace OnDemand.Linux.Config;

/// <summary>Where the thread of the packet path runs; those of further queues take the processors behind it, as far as there are so many.</summary>
internal enum ProcessorRule
{
    /// <summary>It stays on the processor on which the kernel first puts it: others go out of its way, and its caches stay warm.</summary>
    Stay,

    /// <summary>The kernel moves it as it likes.</summary>
    Any,

    /// <summary>On one processor that is named.</summary>
    Named,
}

/// <summary>Where the thread of the packet path runs, and on which processor if that is named.</summary>
/// <param name="Rule">The rule.</param>
/// <param name="Number">The processor's number, as Linux counts them; 0 if none is named.</param>
internal readonly record struct ProcessorChoice(ProcessorRule Rule, int Number);

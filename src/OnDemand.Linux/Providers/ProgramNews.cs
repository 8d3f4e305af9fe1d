using System.Threading.Channels;

namespace OnDemand.Linux.Providers;

/// <summary>What became of a provider program, or what it said.</summary>
internal enum ProgramNewsKind : byte
{
    /// <summary>It was started.</summary>
    Started,

    /// <summary>It said something.</summary>
    Message,

    /// <summary>It ended.</summary>
    Ended,
}

/// <summary>News of a provider program for the engine's thread.</summary>
/// <param name="Kind">What.</param>
/// <param name="Message">What it said.</param>
/// <param name="Line">On which of its lines, counted from 1.</param>
/// <param name="Input">Where lines for it go; full if it does not read them.</param>
internal readonly record struct ProgramNews(
    ProgramNewsKind Kind, ProviderMessage Message = default, long Line = 0, ChannelWriter<byte[]>? Input = null);

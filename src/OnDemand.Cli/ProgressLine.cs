using System.Globalization;
using OnDemand.Captures.Replay;

namespace OnDemand.Cli;

/// <summary>
/// How far a long replay is, on standard error: on a terminal one line that is written over, elsewhere a line every ten seconds.
/// </summary>
/// <param name="error">Standard error.</param>
/// <param name="length">Octets of the input; 0 if unknown.</param>
internal sealed class ProgressLine(TextWriter error, long length) : IDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(10);

    private readonly bool _terminal = !Console.IsErrorRedirected;
    private TimeSpan _last;
    private int _shown;

    /// <summary>Shows it.</summary>
    /// <param name="progress">How far it is.</param>
    public void Show(ReplayProgress progress)
    {
        if (!_terminal && progress.Elapsed - _last < Pause)
        {
            return;
        }

        _last = progress.Elapsed;
        double seconds = Math.Max(0.001, progress.Elapsed.TotalSeconds);
        string part = length > 0 ? string.Create(CultureInfo.InvariantCulture, $"{100.0 * progress.Octets / length:0} %, ") : string.Empty;
        string line = string.Create(
            CultureInfo.InvariantCulture, $"replay: {part}{progress.Packets:N0} packets, {progress.Packets / seconds:N0} packets/s, {seconds:0} s");
        error.Write(_terminal ? "\r" + line.PadRight(_shown) : line + "\n");
        error.Flush();
        _shown = line.Length;
    }

    /// <summary>Takes the line off the terminal again.</summary>
    public void Clear()
    {
        if (_terminal && _shown > 0)
        {
            error.Write("\r" + new string(' ', _shown) + "\r");
            error.Flush();
            _shown = 0;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Clear();
}

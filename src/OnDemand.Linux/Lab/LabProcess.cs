using System.Globalization;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Lab;

/// <summary>
/// A process that a lab started. Numbers of processes are used again: only together with its start time is one still ours.
/// </summary>
/// <param name="Id">Its number.</param>
/// <param name="Started">Its start time in clock ticks since boot, see proc_pid_stat(5).</param>
internal sealed record LabProcess(int Id, long Started)
{
    private const int StartTimeField = 22;

    /// <summary>Whether it is still there; one that only waits to be reaped is not.</summary>
    public bool IsAlive => Find(Id) is { } found && found.Started == Started;

    /// <summary>The process of a number.</summary>
    /// <param name="id">The number.</param>
    /// <returns>The process; null if there is none.</returns>
    public static LabProcess? Find(int id)
    {
        string text;
        try
        {
            text = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{id}/stat"));
        }
        catch (IOException)
        {
            return null;
        }
        catch (UnauthorizedAccessException)
        {
            return null;
        }

        // The command's name stands in parentheses and may hold spaces and parentheses itself: count from the last one.
        string[] rest = text[(text.LastIndexOf(')') + 2)..].Split(' ');
        bool dead = rest[0] is "Z" or "X";
        return dead ? null : new LabProcess(id, long.Parse(rest[StartTimeField - 3], CultureInfo.InvariantCulture));
    }

    /// <summary>Sends a signal, if it is still there.</summary>
    /// <param name="signal">The signal.</param>
    public void Send(int signal)
    {
        if (IsAlive)
        {
            // It can end in between; that it has is all that was wanted.
            _ = Libc.Kill(Id, signal);
        }
    }

    /// <summary>Waits for its end.</summary>
    /// <param name="limit">How long at most.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <returns>Whether it has ended.</returns>
    public async Task<bool> WaitAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        long until = Environment.TickCount64 + (long)limit.TotalMilliseconds;
        while (IsAlive)
        {
            if (Environment.TickCount64 >= until)
            {
                return false;
            }

            await Task.Delay(10, cancellationToken).ConfigureAwait(false);
        }

        return true;
    }

    /// <summary>Asks it to end, and makes it end when it does not.</summary>
    /// <param name="patience">How long it may take.</param>
    /// <param name="cancellationToken">Loses the patience at once.</param>
    /// <returns>Whether it ended by itself.</returns>
    public async Task<bool> EndAsync(TimeSpan patience, CancellationToken cancellationToken)
    {
        Send(Libc.SignalTerminate);
        if (await WaitAsync(patience, cancellationToken).ConfigureAwait(false))
        {
            return true;
        }

        Send(Libc.SignalKill);
        await WaitAsync(patience, cancellationToken).ConfigureAwait(false);
        return false;
    }
}

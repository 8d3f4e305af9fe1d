using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Threading.Channels;
using OnDemand.Captures.Scenarios;
using OnDemand.Linux.Service;

namespace OnDemand.Linux.Providers;

/// <summary>
/// Runs a provider program, again whenever it ends, and stands between its pipes and the engine's thread. Whatever the program does, memory
/// stays bounded: lines have a length, queues a size, and a program that says more than the engine takes waits in its own pipe.
/// </summary>
/// <param name="settings">The program.</param>
/// <param name="reader">Reads what it says.</param>
/// <param name="news">Where that goes.</param>
/// <param name="say">Takes sentences for the user.</param>
internal sealed class ProviderProgram(ProviderSettings settings, ProviderReader reader, HandOver<ProgramNews> news, Action<string> say)
    : IAsyncDisposable
{
    /// <summary>The longest line that a program may say, in octets.</summary>
    public const int LongestLine = 1 << 16;

    private const int LongestComplaint = 1 << 10;
    private const int LinesToProgram = 256;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _giving = new();
    private Action _wake = static () => { };
    private Task _running = Task.CompletedTask;
    private long _ends;
    private long _mistakes;
    private bool _isDisposed;

    private string Name => settings.Command[0];

    /// <summary>Lines that were not understood.</summary>
    public long Mistakes => Volatile.Read(ref _mistakes);

    /// <summary>How often it ended, or could not be started.</summary>
    public long Ends => Volatile.Read(ref _ends);

    /// <summary>Begins.</summary>
    /// <param name="wake">Wakes the engine's thread when there are news.</param>
    public void Start(Action wake)
    {
        _wake = wake;
        _running = Task.Run(RunAsync);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, true))
        {
            return;
        }

        await _stop.CancelAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        TimeSpan first = TimeSpanOf(settings.Retry.First.Nanoseconds);
        TimeSpan most = TimeSpanOf(settings.Retry.Most.Nanoseconds);
        TimeSpan wait = first;
        while (!_stop.IsCancellationRequested)
        {
            long began = Stopwatch.GetTimestamp();
            string end = await RunOnceAsync().ConfigureAwait(false);
            if (_stop.IsCancellationRequested)
            {
                return;
            }

            if (IsWorthSaying(Interlocked.Increment(ref _ends)))
            {
                string often = _ends == 1 ? string.Empty : string.Create(CultureInfo.InvariantCulture, $", the {_ends}th time");
                say($"The provider {Name} {end}{often}; it is started again, and the network cannot be asked until then.");
            }

            wait = Stopwatch.GetElapsedTime(began) > most ? first : wait;
            await WaitAsync(wait).ConfigureAwait(false);
            wait = wait * 2 < most ? wait * 2 : most;
        }
    }

    // Returns how it ended.
    private async Task<string> RunOnceAsync()
    {
        using var program = new Process
        {
            StartInfo = new ProcessStartInfo(Name, settings.Command.Skip(1))
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            },
        };
        try
        {
            program.Start();
        }
        catch (Exception problem) when (problem is System.ComponentModel.Win32Exception or InvalidOperationException)
        {
            return $"cannot be started ({problem.Message})";
        }

        var input = Channel.CreateBounded<byte[]>(new BoundedChannelOptions(LinesToProgram) { SingleReader = true });
        using var over = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        Task writing = WriteAsync(program.StandardInput.BaseStream, input.Reader, over.Token);
        Task complaining = ComplainAsync(program.StandardError.BaseStream);
        await GiveAsync(new ProgramNews(ProgramNewsKind.Started, Input: input.Writer), over.Token).ConfigureAwait(false);
        Task reading = ReadAsync(program.StandardOutput.BaseStream, input.Writer, over.Token);

        // One that closes its output is as good as ended; one that has ended may have said something just before.
        await Task.WhenAny(reading, program.WaitForExitAsync(_stop.Token)).ConfigureAwait(false);
        if (!_stop.IsCancellationRequested)
        {
            await Task.WhenAny(reading, Task.Delay(Patience)).ConfigureAwait(false);
        }

        bool ended = await EndAsync(program).ConfigureAwait(false);
        await over.CancelAsync().ConfigureAwait(false);
        await GiveAsync(new ProgramNews(ProgramNewsKind.Ended), _stop.Token).ConfigureAwait(false);

        // What it started may hold on to its pipes; nobody waits for that.
        await Task.WhenAny(Task.WhenAll(reading, writing, complaining), Task.Delay(Patience)).ConfigureAwait(false);
        return ended ? string.Create(CultureInfo.InvariantCulture, $"ended with status {program.ExitCode}") : "closed its output";
    }

    // The end of its input asks it to end; then it is ended. Returns whether it had ended by itself.
    private async Task<bool> EndAsync(Process program)
    {
        bool ended = program.HasExited;
        using var patience = new CancellationTokenSource(Patience);
        try
        {
            program.StandardInput.Close();
            await program.WaitForExitAsync(patience.Token).ConfigureAwait(false);
            return ended || !_stop.IsCancellationRequested;
        }
        catch (Exception problem) when (problem is OperationCanceledException or IOException)
        {
            program.Kill(entireProcessTree: true);
            await program.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
            return ended;
        }
    }

    private async Task ReadAsync(Stream output, ChannelWriter<byte[]> input, CancellationToken over)
    {
        byte[] buffer = new byte[4096];
        var lines = new LineReader(LongestLine);
        long number = 0;
        List<ProgramNews> said = [];
        try
        {
            for (int length; (length = await output.ReadAsync(buffer, over).ConfigureAwait(false)) > 0;)
            {
                lines.Add(buffer.AsSpan(0, length), (line, isTooLong) => Take(line, isTooLong, ++number, said, input));
                foreach (ProgramNews item in said)
                {
                    await GiveAsync(item, over).ConfigureAwait(false);
                }

                said.Clear();
            }

            if (lines.IsInside)
            {
                Complain("found a line without an end, expected a line feed after it", ++number, input);
            }
        }
        catch (Exception problem) when (problem is OperationCanceledException or IOException or ObjectDisposedException)
        {
            // It has ended, or it is all over.
        }
    }

    private void Take(ReadOnlySpan<byte> line, bool isTooLong, long number, List<ProgramNews> said, ChannelWriter<byte[]> input)
    {
        try
        {
            if (isTooLong)
            {
                Complain(
                    string.Create(CultureInfo.InvariantCulture, $"found a longer line, expected at most {LongestLine} octets"),
                    number, input);
            }
            else if (!line.TrimStart(" \t\r"u8).IsEmpty)   // an empty line says nothing
            {
                said.Add(new ProgramNews(ProgramNewsKind.Message, reader.Read(line), number));
            }
        }
        catch (ScenarioException mistake)
        {
            Complain(mistake.Message, number, input);
        }
    }

    /// <summary>Answers a line that was not understood, and tells the user of the first, the tenth, the hundredth.</summary>
    /// <param name="mistake">What is wrong with it.</param>
    /// <param name="line">Which line.</param>
    /// <param name="input">Where the answer goes.</param>
    public void Complain(string mistake, long line, ChannelWriter<byte[]>? input)
    {
        _ = input?.TryWrite(ProviderText.Error(mistake, line));
        long count = Interlocked.Increment(ref _mistakes);
        if (IsWorthSaying(count))
        {
            string many = count == 1 ? "a line" : string.Create(CultureInfo.InvariantCulture, $"{count} lines");
            say($"The provider {Name} said {many} that cannot be used, the last one because of: {Printable(mistake.TrimEnd('.'))}.");
        }
    }

    private static async Task WriteAsync(Stream input, ChannelReader<byte[]> lines, CancellationToken over)
    {
        try
        {
            await foreach (byte[] line in lines.ReadAllAsync(over).ConfigureAwait(false))
            {
                await input.WriteAsync(line, over).ConfigureAwait(false);
                await input.FlushAsync(over).ConfigureAwait(false);
            }
        }
        catch (Exception problem) when (problem is OperationCanceledException or IOException or ObjectDisposedException)
        {
            // It reads no more; that it has ended is seen elsewhere.
        }
    }

    private async Task ComplainAsync(Stream error)
    {
        byte[] buffer = new byte[4096];
        var lines = new LineReader(LongestComplaint);
        try
        {
            for (int length; (length = await error.ReadAsync(buffer).ConfigureAwait(false)) > 0;)
            {
                lines.Add(buffer.AsSpan(0, length), (line, isTooLong) =>
                    say($"provider: {(isTooLong ? "(a line that is too long)" : Printable(Encoding.UTF8.GetString(line)))}"));
            }
        }
        catch (Exception problem) when (problem is IOException or ObjectDisposedException or OperationCanceledException)
        {
            // It has ended.
        }
    }

    // The engine takes news with every turn, so room comes soon; until then the program waits in its pipe.
    private async Task GiveAsync(ProgramNews item, CancellationToken over)
    {
        while (!over.IsCancellationRequested && !TryGive(item))
        {
            _wake();
            await Task.Delay(Pause, CancellationToken.None).ConfigureAwait(false);
        }

        _wake();
    }

    private bool TryGive(in ProgramNews item)
    {
        lock (_giving)
        {
            return news.TryGive(item);
        }
    }

    private async Task WaitAsync(TimeSpan time)
    {
        try
        {
            await Task.Delay(time, _stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // It is all over.
        }
    }

    // The first, the tenth, the hundredth: nobody is flooded, and nobody takes the millionth for the first.
    private static bool IsWorthSaying(long count)
    {
        while (count >= 10 && count % 10 == 0)
        {
            count /= 10;
        }

        return count == 1;
    }

    // The program's words go to a terminal perhaps.
    private static string Printable(string text) => string.Concat(text.Select(letter => char.IsControl(letter) ? ' ' : letter));

    private static TimeSpan TimeSpanOf(long nanoseconds) => TimeSpan.FromTicks(Math.Max(1, nanoseconds / TimeSpan.NanosecondsPerTick));
}

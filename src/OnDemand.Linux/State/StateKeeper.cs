using System.Globalization;
using System.Text;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Control;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Run;
using OnDemand.Linux.Service;

namespace OnDemand.Linux.State;

/// <summary>
/// Keeps what the next run needs on disk while this one works, off the packet path: the engine's events go through a ring to a thread that
/// appends them to the state file. When that has grown, or events were lost, the file is written anew from snapshots taken in slices. A
/// process that is killed loses no more than the last <see cref="Period"/>.
/// </summary>
internal sealed class StateKeeper : IAsyncDisposable
{
    /// <summary>How often events are written.</summary>
    public static readonly TimeSpan Period = TimeSpan.FromMilliseconds(50);

    private const int RingLength = 1 << 14;
    private const int Slice = 1024;
    private const long SmallestRewrite = 1 << 20;
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(10);
    private static readonly Duration ClockPeriod = Duration.FromSeconds(1);
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false);

    private readonly EventRing _ring = new(RingLength);

    // Kept, for they are large: made anew for every change of an address they would grow the heap until its oldest part is collected.
    private readonly AddressSnapshot[] _addresses = new AddressSnapshot[Slice];
    private readonly FlowSnapshot[] _flows = new FlowSnapshot[Slice];
    private readonly List<string> _lines = [];       // of what happened, still to be written
    private readonly CancellationTokenSource _stop = new();
    private readonly string _path;
    private readonly Action<string> _tell;
    private readonly SocketServices? _services;
    private StreamWriter? _file;
    private IDataplaneControl? _atRest;
    private bool _networkIsDue;                      // it has changed since it was written
    private bool _addressesAreDue;
    private Duration _ahead;                         // by which the run's time is ahead of the time since the system's start
    private Timestamp _clocked;                      // when that was written last, since the system's start
    private long _wholeLength;
    private bool _told;
    private Task _running = Task.CompletedTask;

    /// <summary>Makes a keeper; nothing is written yet.</summary>
    /// <param name="path">The state file. It and its directory are made if they are not there; others may not read it.</param>
    /// <param name="tell">Takes one sentence when the state cannot be written.</param>
    /// <param name="services">What sockets have got is kept too; null for nothing.</param>
    public StateKeeper(string path, Action<string> tell, SocketServices? services = null)
    {
        _path = path;
        _tell = tell;
        _services = services;
    }

    private bool IsAnythingDue =>
        !_ring.IsEmpty || _services is { HasChanges: true } || _networkIsDue || _addressesAreDue || _lines.Count > 0;

    private static Timestamp SinceBoot => new(BootTime.Instance.GetTimestamp());

    /// <summary>The state file in a state directory.</summary>
    /// <param name="directory">The directory.</param>
    /// <returns>Its path.</returns>
    public static string FileIn(string directory) => Path.Combine(directory, "state");

    /// <summary>Reads a state file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="scenario">Where the idle times are.</param>
    /// <param name="time">The machine's clocks, see <see cref="BootTime"/>; null for these.</param>
    /// <returns>The state; empty if there is no file. A file that is foreign or damaged is kept beside it, and named there.</returns>
    /// <exception cref="HostException">The file cannot be read.</exception>
    public static SavedState Load(string path, Scenario scenario, TimeProvider? time = null)
    {
        if (!File.Exists(path))
        {
            return new SavedState();
        }

        try
        {
            DataplaneOptions options = scenario.BuildOptions();
            var written = new Timestamp((File.GetLastWriteTimeUtc(path).Ticks - DateTime.UnixEpoch.Ticks) * 100);
            SavedState state = StateFormat.Read(
                WholeLines(path),
                written,
                protocol => protocol switch
                {
                    IpProtocol.Tcp => options.TcpEstablishedTimeout,
                    IpProtocol.Udp or IpProtocol.UdpLite => options.UdpTimeout,
                    IpProtocol.Icmpv6 => options.IcmpTimeout,
                    _ => options.OtherTimeout,
                },
                StateClock.Beginning(time ?? BootTime.Instance));
            state.SetAside = state.DamagedLines.Count > 0 ? SetAside(path) : null;
            return state;
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"The state of the last run cannot be read: {problem.Message} Make '{path}' readable, or remove it to start afresh.", problem);
        }
    }

    // A last line without its end was being written when the power went or the program was killed: it was never there.
    private static string[] WholeLines(string path)
    {
        string text = File.ReadAllText(path, Utf8);
        return text[..(text.LastIndexOf('\n') + 1)].Split('\n', StringSplitOptions.None)[..^1] is { Length: > 0 } lines ? lines : [text];
    }

    private static string SetAside(string path)
    {
        int number = 1;
        while (File.Exists(AsideName(path, number)))
        {
            number++;
        }

        File.Copy(path, AsideName(path, number));
        return AsideName(path, number);
    }

    private static string AsideName(string path, int number) => string.Create(CultureInfo.InvariantCulture, $"{path}.aside-{number}");

    /// <summary>Notes an event. Only for the engine's thread; nothing is allocated and nothing waited for.</summary>
    /// <param name="happened">What happened.</param>
    public void Note(in EngineEvent happened) => _ring.Add(happened);

    /// <summary>Begins to write, with everything that there is.</summary>
    /// <param name="control">The way to the engine.</param>
    /// <param name="atRest">The way to the engine when its loop has ended; null for none.</param>
    public void Start(IDataplaneControl control, IDataplaneControl? atRest = null)
    {
        _atRest = atRest;
        _running = Task.Factory.StartNew(
            () => Run(control, _stop.Token), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <summary>Writes what is left and closes the file. After the engine's loop.</summary>
    /// <returns>When that is done.</returns>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(false);
        await AppendRestAsync().ConfigureAwait(false);
        _stop.Dispose();
        if (_file is not null)
        {
            await _file.DisposeAsync().ConfigureAwait(false);
        }
    }

    // A thread of its own that sleeps: the pool's threads spin before they do, twenty times a second, on processors that carry packets.
    private void Run(IDataplaneControl control, CancellationToken stop)
    {
        bool whole = true;
        while (!stop.IsCancellationRequested)
        {
            TimeSpan wait = Period;
            try
            {
                whole |= _ring.TakeLost();
                if (whole || IsAnythingDue)
                {
                    WriteAsync(whole, control, stop).GetAwaiter().GetResult();
                    whole = false;
                }
            }
            catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
            {
                if (!_told)
                {
                    _tell($"The state cannot be kept, so connections will not outlive a crash: {problem.Message}");
                    _told = true;
                }

                whole = true;
                wait = Pause;
            }
            catch (OperationCanceledException)
            {
                break;
            }
            catch (InvalidOperationException)
            {
                // Too many commands wait; or the dataplane is shutting down, and this ends soon.
            }

            _ = stop.WaitHandle.WaitOne(wait);
        }
    }

    private async Task WriteAsync(bool whole, IDataplaneControl control, CancellationToken stop)
    {
        if (whole || _file is null || _file.BaseStream.Length > Math.Max(SmallestRewrite, 2 * _wholeLength))
        {
            await WriteWholeAsync(control, stop).ConfigureAwait(false);
        }

        await AppendAsync(control, stop).ConfigureAwait(false);
    }

    // Wherever this is cut, each flow and binding that is there has its address, and each address its prefix: so these come first.
    private async Task AppendAsync(IDataplaneControl control, CancellationToken stop)
    {
        while (_ring.TryTake(out EngineEvent happened))
        {
            Take(happened);
        }

        bool mustLast = TakeBindings() || _networkIsDue || _addressesAreDue;
        if (_networkIsDue)
        {
            await WriteNetworkAsync(_file!, control, stop).ConfigureAwait(false);
        }

        if (_networkIsDue || _addressesAreDue)
        {
            await WriteAddressesAsync(_file!, control, stop).ConfigureAwait(false);
        }

        (_networkIsDue, _addressesAreDue) = (false, false);
        if (_lines.Count > 0 && SinceBoot.Since(_clocked) >= ClockPeriod)
        {
            WriteClock(_file!);
        }

        WriteLines();
        await _file!.FlushAsync(stop).ConfigureAwait(false);
        if (mustLast)
        {
            RandomAccess.FlushToDisk(((FileStream)_file!.BaseStream).SafeFileHandle);   // must outlive a power cut; flows need not
        }
    }

    private bool TakeBindings()
    {
        bool any = false;
        while (_services is not null && _services.TryTakeChange(out BindingChange change))
        {
            _lines.Add(StateLine.Seal(change.Binding is { } binding
                ? StateFormat.Binding(SavedBinding.ThisBoot, binding) : StateFormat.Released(change.Cookie)));
            any = true;
        }

        return any;
    }

    // Flows were alive until then.
    private void WriteClock(StreamWriter file)
    {
        _clocked = SinceBoot;
        file.WriteLine(StateLine.Seal(StateFormat.Clock(StateClock.Of(_clocked.Add(_ahead), _clocked))));
    }

    private void WriteLines()
    {
        foreach (string line in _lines)
        {
            _file!.WriteLine(line);
        }

        _lines.Clear();
    }

    // The end of a run. A move of its last moments was answered, so the next run must know of it.
    private async Task AppendRestAsync()
    {
        if (_file is null)
        {
            return;
        }

        try
        {
            if (_atRest is not null)
            {
                await AppendAsync(_atRest, CancellationToken.None).ConfigureAwait(false);
                return;
            }
        }
        catch (InvalidOperationException)
        {
            // The loop never began.
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            _tell($"The last of the state could not be written: {problem.Message}");
            return;
        }

        AppendLines();
    }

    // As much as is known without the engine.
    private void AppendLines()
    {
        try
        {
            while (_ring.TryTake(out EngineEvent happened))
            {
                Take(happened);
            }

            _ = TakeBindings();
            WriteClock(_file!);
            WriteLines();
            _file!.Flush();
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            _tell($"The last of the state could not be written: {problem.Message}");
        }
    }

    private void Take(in EngineEvent happened)
    {
        switch (happened.Kind)
        {
            case EngineEventKind.FlowOpened or EngineEventKind.FlowReopened or EngineEventKind.FlowWentOver:
                _lines.Add(StateLine.Seal(StateFormat.Flow(
                    happened.Identity, happened.Address, happened.Decision, happened.Previous.IsUnspecified ? null : happened.Previous)));
                break;
            case EngineEventKind.FlowClosed or EngineEventKind.FlowStranded or EngineEventKind.FlowRemoved:
                _lines.Add(StateLine.Seal(StateFormat.Gone(happened.Identity)));
                break;
            case EngineEventKind.AddressMade or EngineEventKind.AddressRetired:
                _addressesAreDue = true;
                break;
            case EngineEventKind.Attached or EngineEventKind.Detached or EngineEventKind.PrefixAdded or EngineEventKind.PrefixDeprecated
                or EngineEventKind.PrefixPreferred or EngineEventKind.PrefixRenewed or EngineEventKind.WindowOpened or EngineEventKind.PrefixEnded:
                _networkIsDue = true;
                break;
            default:
                break;
        }
    }

    // A new file takes the old one's place only when it is whole.
    private async Task WriteWholeAsync(IDataplaneControl control, CancellationToken stop)
    {
        string next = _path + ".new";
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(_path))!);
        var options = new FileStreamOptions
        {
            Mode = FileMode.Create,
            Access = FileAccess.Write,
            Share = FileShare.Read,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        };
        var file = new StreamWriter(next, Utf8, options) { NewLine = "\n" };
        try
        {
            await file.WriteLineAsync(StateFormat.Header).ConfigureAwait(false);
            await WriteNetworkAsync(file, control, stop).ConfigureAwait(false);
            await WriteAddressesAsync(file, control, stop).ConfigureAwait(false);
            await WriteFlowsAsync(file, control, stop).ConfigureAwait(false);
            foreach (SocketBinding binding in _services?.List(null) ?? [])
            {
                await file.WriteLineAsync(StateLine.Seal(StateFormat.Binding(SavedBinding.ThisBoot, binding))).ConfigureAwait(false);
            }

            await file.FlushAsync(stop).ConfigureAwait(false);
            RandomAccess.FlushToDisk(((FileStream)file.BaseStream).SafeFileHandle);
            File.Move(next, _path, overwrite: true);
            FlushDirectory();
        }
        catch
        {
            try
            {
                await file.DisposeAsync().ConfigureAwait(false);
            }
            finally
            {
                File.Delete(next);
            }

            throw;
        }

        if (_file is not null)
        {
            await _file.DisposeAsync().ConfigureAwait(false);
        }

        _file = file;
        _wholeLength = file.BaseStream.Length;
        _told = false;
    }

    // Only then does the new name outlive a power cut (rename(2), fsync(2)).
    private void FlushDirectory()
    {
        string directory = Path.GetDirectoryName(Path.GetFullPath(_path))!;
        using FileDescriptor opened = Libc.Open(directory, Libc.CloseOnExec, 0);
        if (opened.IsInvalid || Libc.Synchronize(opened.Number) < 0)
        {
            throw new IOException($"'{directory}' cannot be written to disk: {new LinuxException("fsync", Libc.LastError).Message}.");
        }
    }

    private async Task WriteNetworkAsync(StreamWriter file, IDataplaneControl control, CancellationToken stop)
    {
        (string? attachment, PrefixSnapshot[] prefixes, _ahead) = await control.RunAsync(
            context =>
            {
                var found = new PrefixSnapshot[context.Engine.PrefixCount];
                int cursor = 0;
                return (context.Network.Current, found[..context.Engine.CopyPrefixes(ref cursor, found)], context.Now.Since(SinceBoot));
            },
            stop).ConfigureAwait(false);
        WriteClock(file);
        await file.WriteLineAsync(StateLine.Seal(StateFormat.Attachment(attachment))).ConfigureAwait(false);
        foreach (PrefixSnapshot prefix in prefixes)
        {
            await file.WriteLineAsync(StateLine.Seal(StateFormat.Prefix(prefix))).ConfigureAwait(false);
        }

        await file.WriteLineAsync(StateLine.Seal(StateFormat.NetworkIsWhole)).ConfigureAwait(false);
    }

    private async Task WriteAddressesAsync(StreamWriter file, IDataplaneControl control, CancellationToken stop)
    {
        for (int cursor = 0; cursor >= 0;)
        {
            int from = cursor;
            (int count, cursor) = await control.RunAsync(
                context =>
                {
                    int at = from;
                    int copied = context.Engine.CopyAddresses(ref at, _addresses);
                    return (copied, at);
                },
                stop).ConfigureAwait(false);
            for (int i = 0; i < count; i++)
            {
                await file.WriteLineAsync(StateLine.Seal(StateFormat.Address(_addresses[i]))).ConfigureAwait(false);
            }
        }
    }

    private async Task WriteFlowsAsync(StreamWriter file, IDataplaneControl control, CancellationToken stop)
    {
        for (int cursor = 0; cursor >= 0;)
        {
            int from = cursor;
            (int count, cursor) = await control.RunAsync(
                context =>
                {
                    int at = from;
                    int copied = context.Engine.CopyFlows(ref at, _flows);
                    return (copied, at);
                },
                stop).ConfigureAwait(false);
            for (int i = 0; i < count; i++)
            {
                FlowSnapshot flow = _flows[i];
                if (flow.State is not (FlowState.Closed or FlowState.Reset or FlowState.Stranded))
                {
                    string line = StateFormat.Flow(flow.Identity, flow.Address, flow.Decision, flow.OldAddress);
                    await file.WriteLineAsync(StateLine.Seal(line)).ConfigureAwait(false);
                }
            }
        }
    }
}

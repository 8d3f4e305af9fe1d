using System.Diagnostics;
using System.Runtime.CompilerServices;
using OnDemand.Captures.Files;
using OnDemand.Captures.Reports;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;

namespace OnDemand.Captures.Replay;

/// <summary>The files of one replay, and the loop that carries records from the input through the session to the outputs.</summary>
internal sealed class ReplayFiles : IAsyncDisposable
{
    private readonly int _mostFlows;
    private readonly CaptureWriter _network;
    private readonly CaptureWriter? _host;
    private readonly List<Task> _written = [];
    private readonly OrderedOutput _networkOrder;
    private readonly OrderedOutput? _hostOrder;
    private readonly Stream? _translationsFile;
    private readonly TranslationsJson? _translations;
    private ReplaySession? _session;
    private Timestamp _first;

    public ReplayFiles(ReplayOptions options, Func<string, Stream> create, CaptureReader reader)
    {
        CaptureFormat input = reader.Format;
        // Names are judged before any file is created, so that a wrong one costs nothing that was there.
        _mostFlows = options.MostFlows;
        CaptureFormat? format = ReplayRun.FormatOf(options.Output, input, options.Explain);
        CaptureFormat? hostFormat = options.HostOutput is null ? null : ReplayRun.FormatOf(options.HostOutput, input, options.Explain);
        _network = Writer(create(options.Output), format, options.Explain, reader.TryReadAhead);
        _networkOrder = new OrderedOutput(_network);
        if (options.HostOutput is { } host)
        {
            _host = Writer(create(host), hostFormat, changesLengths: true);
            _hostOrder = new OrderedOutput(_host);
        }

        if (options.Translations is { } translations)
        {
            _translationsFile = create(translations);
            _translations = new TranslationsJson(
                _translationsFile, options.TakenOutside ? TranslationDirection.In : TranslationDirection.Out);
        }
    }

    /// <summary>One sentence why an output could not be written as wanted; null if it could.</summary>
    public string? Failure => _network.Failure ?? _host?.Failure;

    public async Task CopyAsync(
        CaptureReader reader,
        Scenario scenario,
        ReplayOptions options,
        Stopwatch watch,
        Action<ReplayProgress>? progress,
        TimeSpan period,
        CancellationToken cancellationToken)
    {
        if (_host is null && !options.TakenOutside && !options.Explain)
        {
            _network.LendFrom(reader);   // nobody needs a packet any more once it is in the output
        }

        TimeSpan told = TimeSpan.Zero;
        bool open = true;
        while (open && Failure is null && await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
        {
            CopyBuffered(reader, scenario, options);
            open = await FlushAsync(cancellationToken).ConfigureAwait(false);
            if (progress is not null && watch.Elapsed - told > period)
            {
                told = watch.Elapsed;
                progress(new ReplayProgress(reader.Position, _session?.Counts.PacketsRead ?? 0, told));
            }
        }

        _session?.Finish();
        await _network.CompleteAsync(cancellationToken).ConfigureAwait(false);
        if (_host is not null)
        {
            await _host.CompleteAsync(cancellationToken).ConfigureAwait(false);
        }

        await Task.WhenAll(_written).ConfigureAwait(false);   // a full disk is told here
        _translations?.Dispose();
    }

    public ReplayReport Report(ReplayOptions options, Scenario scenario, TimeSpan elapsed)
    {
        var report = new ReplayReport
        {
            Input = options.Input,
            Scenario = options.Scenario,
            Output = options.Output,
            Seed = scenario.Seed,
            TakenOutside = options.TakenOutside,
            Elapsed = elapsed,
        };
        if (_session is not { } session)
        {
            return report;
        }

        Timestamp to = session.LastOutput > session.LastPacket ? session.LastOutput : session.LastPacket;
        return ReplayFindings.Add(
            report with { From = _first, To = to }, session.Counts, session.Ledger, session.Engine, _networkOrder.Packets, _hostOrder?.Packets ?? 0,
            _mostFlows);
    }

    public async ValueTask DisposeAsync()
    {
        await _network.DisposeAsync().ConfigureAwait(false);
        if (_host is not null)
        {
            await _host.DisposeAsync().ConfigureAwait(false);
        }

        _translations?.Dispose();
        if (_translationsFile is not null)
        {
            await _translationsFile.DisposeAsync().ConfigureAwait(false);
        }
    }

    private CaptureWriter Writer(Stream file, CaptureFormat? format, bool changesLengths, Func<bool>? meanwhile = null)
    {
        var behind = new WriteBehind(file, BackgroundPipes.PartLength, meanwhile);
        _written.Add(behind.Written);
        return CaptureWriter.Create(behind, new CaptureWriterOptions { Format = format, ChangesLengths = changesLengths });
    }

    // Everything that is buffered.
    private void CopyBuffered(CaptureReader reader, Scenario scenario, ReplayOptions options)
    {
        while (true)
        {
            if (_session is not null && Failure is null)
            {
                _session.TakeCommon(reader);
            }

            if (!reader.TryRead(out CaptureRecord record))
            {
                break;
            }

            Copy(record, scenario, options);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Copy(in CaptureRecord record, Scenario scenario, ReplayOptions options)
    {
        if (Failure is not null)
        {
            return;
        }

        if (record.Kind != CaptureRecordKind.Packet)
        {
            WriteOther(record);
            return;
        }

        if (_session is null)
        {
            _first = ReplaySession.TimeOf(record) ?? default;
            _session = new ReplaySession(
                scenario, options, _first, _networkOrder, _hostOrder, _translations is null ? null : AddTranslation);
        }

        _session.Packet(record);
    }

    private void WriteOther(in CaptureRecord record)
    {
        if (_session is not null)
        {
            _session.Other(record);
            return;
        }

        _networkOrder.Write(record, default, null, null);
        _hostOrder?.Write(record, default, null, null);
    }

    private async ValueTask<bool> FlushAsync(CancellationToken cancellationToken)
    {
        bool open = await _network.FlushAsync(cancellationToken).ConfigureAwait(false);
        if (_host is not null)
        {
            _ = await _host.FlushAsync(cancellationToken).ConfigureAwait(false);
        }

        return open;
    }

    private void AddTranslation(FlowRecord flow, Timestamp? until)
    {
        if (until <= flow.ClaimedSince)
        {
            return;   // no packet can have had it
        }

        var entry = new Translation(
            flow.Identity.Internal, flow.Address, flow.ClaimedSince, until, flow.Identity.Protocol, flow.Identity.LocalPort, flow.Identity.Remote, flow.Identity.RemotePort);
        _translations!.Add(entry);
        if (flow.HeaderDestination is { } first && first != flow.Identity.Remote)
        {
            _translations.Add(entry with { Peer = first });
        }
    }
}

using System.Diagnostics.Metrics;

namespace OnDemand.Linux.Control;

/// <summary>
/// The metrics as instruments of System.Diagnostics.Metrics, for dotnet-counters and every exporter of .NET. Whoever observes them gets
/// what was read last; a reading older than a second causes the next one, so that the engine is asked at most once a second and
/// an observer never waits for it.
/// </summary>
internal sealed class DataplaneMeter : IDisposable
{
    /// <summary>The meter's name.</summary>
    public const string Name = "OnDemand.Dataplane";

    private static readonly TimeSpan Age = TimeSpan.FromSeconds(1);

    private readonly EngineGate _gate;
    private readonly Meter _meter;
    private readonly Lock _lock = new();
    private readonly CancellationTokenSource _end = new();
    private DataplaneReading _last;
    private long _takenAt = Environment.TickCount64;
    private Task<DataplaneReading>? _next;

    private DataplaneMeter(EngineGate gate, DataplaneReading first)
    {
        _gate = gate;
        _last = first;
        _meter = new Meter(Name, typeof(DataplaneMeter).Assembly.GetName().Version?.ToString(3));
        foreach (Metric metric in Metrics.All)
        {
            _ = metric.IsCounter
                ? (Instrument)_meter.CreateObservableCounter(metric.Name, () => Observe(metric), metric.Unit, metric.Help)
                : _meter.CreateObservableGauge(metric.Name, () => Observe(metric), metric.Unit, metric.Help);
        }
    }

    /// <summary>Takes a first reading and makes the instruments.</summary>
    /// <param name="gate">The way to the engine.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The meter.</returns>
    public static async Task<DataplaneMeter> CreateAsync(EngineGate gate, CancellationToken cancellationToken) =>
        new(gate, await gate.RunAsync(DataplaneReading.Take, cancellationToken).ConfigureAwait(false));

    /// <inheritdoc/>
    public void Dispose()
    {
        _meter.Dispose();
        _end.Cancel();
        _end.Dispose();
    }

    // The reading that is under way, begun if the last one is too old.
    private Task<DataplaneReading>? Refresh()
    {
        lock (_lock)
        {
            if (_next is { IsCompleted: false })
            {
                return _next;
            }

            if (Environment.TickCount64 - _takenAt < Age.TotalMilliseconds || _end.IsCancellationRequested)
            {
                return null;
            }

            return _next = TakeAsync();
        }
    }

    private async Task<DataplaneReading> TakeAsync()
    {
        DataplaneReading reading = await _gate.RunAsync(DataplaneReading.Take, _end.Token).ConfigureAwait(false);
        lock (_lock)
        {
            _last = reading;
            _takenAt = Environment.TickCount64;
        }

        return reading;
    }

    private IEnumerable<Measurement<long>> Observe(Metric metric)
    {
        // Nobody waits for it here; what it failed of is seen by those who do.
        _ = Refresh()?.ContinueWith(static done => _ = done.Exception, TaskScheduler.Default);
        foreach (MetricSample sample in metric.Read(_last))
        {
            yield return metric.LabelName is null
                ? new Measurement<long>(sample.Value)
                : new Measurement<long>(sample.Value, new KeyValuePair<string, object?>(metric.LabelName, sample.Label));
        }
    }
}

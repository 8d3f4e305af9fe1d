using System.Collections.Concurrent;
using System.Diagnostics.Tracing;
using System.Globalization;
using Microsoft.Diagnostics.NETCore.Client;
using Microsoft.Diagnostics.Tracing;
using OnDemand.Linux.Control;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>The metrics of a running dataplane, read from outside of its process over EventPipe as dotnet-counters reads them.</summary>
public sealed class MetricsTests
{
    private static readonly (string, string) Forwarded = ("ondemand.forwarded", "reason=rewritten");
    private static readonly (string, string) Read = ("ondemand.tap.frames", "direction=read");
    private static readonly (string, string) Attached = ("ondemand.attached", "");
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Another_process_sees_packets_counted_and_what_it_sees_is_what_the_control_socket_says()
    {
        LabRig.Need("ping");
        await using LabRig rig = await LabRig.UpAsync();
        using var watch = new MeterWatch(rig.Lab.State.Dataplane!.Id, DataplaneMeter.Name);
        Assert.True(
            await SeesAsync(() => new[] { Forwarded, Read, Attached }.All(watch.Values.ContainsKey)), "It did not see the instruments.");
        Assert.Equal(1, watch.Values[Attached]);
        long forwarded = watch.Values[Forwarded];
        long read = watch.Values[Read];

        await rig.RunAsync(LabNodes.Host, "ping", "-c", "5", "-i", "0.2", "-W", "5", LabLinks.PeerAddress);

        Assert.True(
            await SeesAsync(() => watch.Values[Forwarded] >= forwarded + 10 && watch.Values[Read] >= read + 10),
            "Five questions and their answers were not counted.");
        using var client = new ControlClient(rig.Lab.Directory.Control);
        Assert.True(
            await LabRig.BecomesAsync(
                async () => (await client.CountersAsync(Cancellation)).Forwarded["rewritten"] == watch.Values[Forwarded],
                Limit),
            "The meter and the control socket differ.");
        await watch.EndAsync();
    }

    private static Task<bool> SeesAsync(Func<bool> condition) => LabRig.BecomesAsync(() => Task.FromResult(condition()), Limit);

    /// <summary>Listens to one meter of another process.</summary>
    private sealed class MeterWatch : IDisposable
    {
        private const string Provider = "System.Diagnostics.Metrics";
        private const long TimeSeriesValues = 2;

        private readonly EventPipeSession _session;
        private readonly Thread _reader;

        public MeterWatch(int process, string meter)
        {
            string session = Guid.NewGuid().ToString();
            Dictionary<string, string> arguments = new()
            {
                ["SessionId"] = session,
                ["ClientId"] = session,
                ["Metrics"] = meter,
                ["RefreshInterval"] = "1",
                ["MaxTimeSeries"] = "1000",
                ["MaxHistograms"] = "0",
            };
            _session = new DiagnosticsClient(process).StartEventPipeSession(
                [new EventPipeProvider(Provider, EventLevel.Informational, TimeSeriesValues, arguments)], requestRundown: false);
            _reader = new Thread(ReadEvents);
            _reader.Start();
        }

        /// <summary>The last value of each time series: by instrument and tags.</summary>
        public ConcurrentDictionary<(string Instrument, string Tags), long> Values { get; } = new();

        public async Task EndAsync()
        {
            await _session.StopAsync(Cancellation);
            _reader.Join();
        }

        public void Dispose() => _session.Dispose();

        private void ReadEvents()
        {
            using var source = new EventPipeEventSource(_session.EventStream);
            source.Dynamic.AddCallbackForProviderEvent(Provider, "CounterRateValuePublished", one => Take(one, "value"));
            source.Dynamic.AddCallbackForProviderEvent(Provider, "GaugeValuePublished", one => Take(one, "lastValue"));
            source.Process();
        }

        private void Take(TraceEvent one, string value) =>
            Values[((string)one.PayloadByName("instrumentName"), (string)one.PayloadByName("tags"))] =
                long.Parse((string)one.PayloadByName(value), CultureInfo.InvariantCulture);
    }
}

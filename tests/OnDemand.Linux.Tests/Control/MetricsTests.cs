using System.Diagnostics.Metrics;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Control;
using OnDemand.Linux.Run;
using Xunit;

namespace OnDemand.Linux.Tests.Control;

/// <summary>Metrics: one list, as instruments and as Prometheus text.</summary>
public sealed class MetricsTests
{
    [Fact]
    public async Task The_prometheus_text_says_what_was_counted()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        await scene.AttachAsync();
        await scene.Dataplane.SendAsync(IpProtocol.Udp, 1, 7, 1000);
        using HttpResponseMessage response = await scene.Http.GetAsync(new Uri("/metrics", UriKind.Relative),
            TestContext.Current.CancellationToken);

        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        List<PrometheusSample> samples = PrometheusParser.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));

        Assert.Equal(7, ValueOf(samples, "ondemand_packets_total", "type", "graceful-replacement"));
        Assert.Equal(7, ValueOf(samples, "ondemand_flows", "type", "graceful-replacement"));
        Assert.Equal(7 * 48, ValueOf(samples, "ondemand_octets_total", "type", "graceful-replacement"));
        Assert.Equal(7, ValueOf(samples, "ondemand_frames_total", "verdict", "forward"));
        Assert.Equal(7, ValueOf(samples, "ondemand_forwarded_total", "reason", "rewritten"));
        Assert.Equal(0, ValueOf(samples, "ondemand_dropped_total", "reason", "unsolicited"));
        Assert.Equal(3, ValueOf(samples, "ondemand_prefixes", "state", "preferred"));
        Assert.Equal(1, Assert.Single(samples, one => one.Name == "ondemand_moves_total").Value);
        Assert.Equal(1, Assert.Single(samples, one => one.Name == "ondemand_attached").Value);
    }

    [Fact]
    public async Task Every_reason_has_a_sample_even_before_it_happened()
    {
        await using ControlScene scene = await ControlScene.StartAsync();

        using var client = new ControlClient(scene.Path);
        List<PrometheusSample> samples = PrometheusParser.Parse(await client.MetricsAsync(TestContext.Current.CancellationToken));

        Assert.Equal(Enum.GetValues<DropReason>().Length - 1, samples.Count(one => one.Name == "ondemand_dropped_total"));
        Assert.Equal(Enum.GetValues<ForwardReason>().Length, samples.Count(one => one.Name == "ondemand_forwarded_total"));
        Assert.Equal(Enum.GetValues<VerdictKind>().Length, samples.Count(one => one.Name == "ondemand_frames_total"));
    }

    [Fact]
    public async Task What_is_counted_at_the_tap_has_samples_by_direction_and_by_reason()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        ShellCounters shell = scene.Dataplane.Shell;
        (shell.FramesRead, shell.FramesWritten, shell.OctetsRead, shell.OctetsWritten) = (11, 12, 13, 14);
        (shell.Superpackets, shell.Batches, shell.NeighborAnswers, shell.ReadErrors, shell.Commands) = (21, 22, 23, 24, 25);
        (shell.SuperpacketsMade, shell.SuperpacketsRefused, shell.FramesJoined, shell.RingBatches) = (26, 27, 28, 29);
        (shell.NotIpv6, shell.LinkScope) = (31, 32);
        (shell.ShortFrames, shell.TruncatedFrames, shell.Loops) = (41, 42, 43);
        (shell.WritesWithoutRoom, shell.WritesWhileDown, shell.WritesRefused) = (44, 45, 46);

        using var client = new ControlClient(scene.Path);
        List<PrometheusSample> samples = PrometheusParser.Parse(await client.MetricsAsync(TestContext.Current.CancellationToken));

        Assert.Equal((11, 12), (Frames("read"), Frames("written")));
        Assert.Equal(
            (13, 14),
            (ValueOf(samples, "ondemand_tap_octets_total", "direction", "read"),
                ValueOf(samples, "ondemand_tap_octets_total", "direction", "written")));
        string[] single = ["tap_superpackets", "tap_batches", "tap_neighbor_answers", "tap_read_errors", "commands", "tap_superpackets_made",
            "tap_superpackets_refused", "tap_frames_joined", "tap_ring_batches"];
        Assert.Equal([21, 22, 23, 24, 25, 26, 27, 28, 29], single.Select(name => Assert.Single(samples, one => one.Name == $"ondemand_{name}_total").Value));
        Assert.Equal([("not-ipv6", 31), ("link-scope", 32)], Reasons("ignored"));
        Assert.Equal(
            [("short", 41), ("truncated", 42), ("loop", 43), ("no-room", 44), ("tap-down", 45), ("refused-by-kernel", 46)],
            Reasons("lost"));

        double Frames(string direction) => ValueOf(samples, "ondemand_tap_frames_total", "direction", direction);

        IEnumerable<(string, double)> Reasons(string name) =>
            samples.Where(one => one.Name == $"ondemand_tap_{name}_total").Select(one => (one.Labels["reason"], one.Value));
    }

    [Fact]
    public void Every_metric_has_a_name_of_its_own_a_unit_and_a_sentence()
    {
        Assert.Equal(Metrics.All.Count, Metrics.All.Select(PrometheusText.NameOf).Distinct().Count());
        Assert.All(Metrics.All, metric =>
        {
            Assert.Matches("^ondemand(\\.[a-z_]+)+$", metric.Name);
            Assert.Matches("^\\{[a-z]+\\}$", metric.Unit);
            Assert.EndsWith(".", metric.Help, StringComparison.Ordinal);
        });
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("with \"quotes\" and \\ and \n")]
    [InlineData("\\n is not a line feed")]
    public void What_is_escaped_reads_back(string text) =>
        Assert.Equal(text, PrometheusParser.Unescape(PrometheusText.Escape(text, quoted: true)));

    [Fact]
    public async Task The_meter_can_be_listened_to_and_asks_the_engine_at_most_once_a_second()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        await scene.AttachAsync();
        await scene.Dataplane.SendAsync(IpProtocol.Udp, 1, 7, 1000);
        Dictionary<(string, string?), long> values = [];
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Meter.Name == DataplaneMeter.Name)
                {
                    self.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
        {
            (string, string?) key = (instrument.Name, tags.Length == 0 ? null : (string?)tags[0].Value);
            values[key] = Math.Max(value, values.GetValueOrDefault(key));   // meters of other tests may be listened to as well
        });
        listener.Start();
        int before = scene.Dataplane.Commands;
        for (int i = 0; i < 1000; i++)
        {
            listener.RecordObservableInstruments();
        }

        int asked = scene.Dataplane.Commands - before;
        while (values.GetValueOrDefault(("ondemand.packets", "graceful-replacement")) < 7)
        {
            await Task.Delay(50, TestContext.Current.CancellationToken);
            listener.RecordObservableInstruments();
        }

        Assert.InRange(asked, 0, 60);   // a thousand rounds of all instruments, in whatever seconds they took
        Assert.Equal(7, values[("ondemand.flows", "graceful-replacement")]);
        Assert.Equal(1, values[("ondemand.moves", null)]);
    }

    private static double ValueOf(List<PrometheusSample> samples, string name, string label, string value) =>
        Assert.Single(samples, one => one.Name == name && one.Labels[label] == value).Value;
}

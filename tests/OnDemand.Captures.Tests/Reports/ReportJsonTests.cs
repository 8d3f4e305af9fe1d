using System.Text;
using System.Text.Json;
using OnDemand.Captures.Reports;
using Xunit;

namespace OnDemand.Captures.Tests.Reports;

public class ReportJsonTests
{
    [Fact]
    public void The_report_has_its_documented_shape_in_its_documented_order()
    {
        using JsonDocument report = JsonDocument.Parse(Json(SampleReports.Move()));
        JsonElement root = report.RootElement;

        Assert.Equal(
            [
                "format", "input", "scenario", "output", "seed", "takenOutside", "from", "to", "totals", "verdicts", "dropReasons", "types",
                "verification", "moves", "windows", "prefixes", "flows", "flowsLeftOut",
            ],
            root.EnumerateObject().Select(property => property.Name));
        Assert.Equal(1, root.GetProperty("format").GetInt32());
        Assert.Equal("1700000012.000000000", root.GetProperty("to").GetString());
        Assert.Equal(12_345, root.GetProperty("totals").GetProperty("packetsRead").GetInt64());
        Assert.Equal("attach", root.GetProperty("moves")[1].GetProperty("kind").GetString());
        Assert.Equal("2001:db8:6a:1::/64", root.GetProperty("windows")[0].GetProperty("prefix").GetString());
        Assert.Equal("session-lasting", root.GetProperty("flows")[0].GetProperty("type").GetString());
        Assert.Equal("closing", root.GetProperty("prefixes")[1].GetProperty("states")[2].GetProperty("state").GetString());
        JsonElement flow = root.GetProperty("flows")[2];
        Assert.Equal(
            [
                "id", "protocol", "internal", "localPort", "remote", "remotePort", "inbound", "type", "decision", "first", "last", "packetsOut",
                "packetsIn", "octetsOut", "octetsIn", "dropped", "spans", "events",
            ],
            flow.EnumerateObject().Select(property => property.Name));
        Assert.Equal("went-over", flow.GetProperty("events")[1].GetProperty("what").GetString());
        Assert.Equal("1700000002.700000000", flow.GetProperty("spans")[1].GetProperty("from").GetString());
    }

    [Fact]
    public void How_long_it_took_does_not_change_the_report() =>
        Assert.Equal(Json(SampleReports.Move()), Json(SampleReports.Move() with { Elapsed = TimeSpan.FromSeconds(3) }));

    [Fact]
    public void What_was_written_can_be_read_back()
    {
        string written = Json(SampleReports.Move());

        ReplayReport? read = JsonSerializer.Deserialize(written, ReportJsonContext.Default.ReplayReport);

        Assert.Equal(written, Json(read!));
    }

    private static string Json(ReplayReport report)
    {
        using var output = new MemoryStream();
        ReportJson.Write(output, report);
        return Encoding.UTF8.GetString(output.ToArray());
    }
}

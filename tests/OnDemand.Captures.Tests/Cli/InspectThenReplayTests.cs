using System.Text.Json;
using OnDemand.Cli;
using Xunit;

namespace OnDemand.Captures.Tests.Cli;

public sealed class InspectThenReplayTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ondemand-start");

    public static TheoryData<string> Captures =>
        [.. Directory.GetFiles(Path.Combine(Repository.Root, "captures"), "input.pcap*", SearchOption.AllDirectories)
            .Select(path => Path.GetRelativePath(Repository.Root, path))];

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [MemberData(nameof(Captures))]
    public async Task The_scenario_that_inspect_writes_replays_without_a_drop(string capture)
    {
        string input = Path.Combine(Repository.Root, capture);
        string scenario = In("s.yaml");
        string report = In("r.json");

        Assert.Equal((0, string.Empty), await Run("inspect", input, "--write-scenario", scenario));
        Assert.Equal(
            (0, string.Empty), await Run("replay", input, "--scenario", scenario, "--output", In("out"), "--report", report, "--quiet"));

        using JsonDocument read = JsonDocument.Parse(await File.ReadAllBytesAsync(report, TestContext.Current.CancellationToken));
        JsonElement totals = read.RootElement.GetProperty("totals");
        Assert.Equal(0, totals.GetProperty("dropped").GetInt64());
        Assert.InRange(totals.GetProperty("rewritten").GetInt64(), 1, long.MaxValue);
    }

    private string In(string name) => Path.Combine(_folder.FullName, name);

    private static async Task<(int Status, string Error)> Run(params string[] arguments)
    {
        using var input = new MemoryStream();
        using var output = new MemoryStream();
        using var error = new StringWriter();
        int status = await CommandLine.RunAsync(arguments, new CommandStreams(input, output, error), ReplayJob.RunAsync);
        return (status, error.ToString());
    }
}

using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using Xunit;

namespace OnDemand.Captures.Tests.Scenarios;

public class RecordedScenarioTests
{
    public static TheoryData<string> Files =>
        [.. Directory.GetFiles(Path.Combine(Repository.Root, "captures"), "*.yaml", SearchOption.AllDirectories)
            .Select(path => Path.GetRelativePath(Repository.Root, path))];

    [Theory]
    [MemberData(nameof(Files))]
    public void Every_scenario_beside_a_capture_is_one_that_the_engine_takes(string path)
    {
        Scenario scenario = ScenarioReader.Load(Path.Combine(Repository.Root, path));

        Assert.NotEmpty(scenario.Network);
        Assert.Equal(0, new DataplaneEngine(scenario.BuildOptions(), default).FlowCount);
    }
}

using System.Text.Json;
using System.Text.Json.Nodes;
using OnDemand.Captures.Tests.Files;
using Xunit;

namespace OnDemand.Captures.Tests.Replay;

/// <summary>Gathers replays and has the oracle judge them in one go.</summary>
internal sealed class Judge : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("judge");
    private readonly List<string> _jobs = [];

    public int Count => _jobs.Count;

    public static void SkipUnlessThere() => Assert.SkipUnless(Shared.Oracles is not null, "../shared/oracles is not there.");

    public void Dispose() => _folder.Delete(recursive: true);

    /// <summary>Adds a replay to be judged.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="input">IN.</param>
    /// <param name="replay">What came of it.</param>
    /// <param name="strict">Whether every octet outside the packets must be what it was.</param>
    /// <param name="tshark">Whether tshark is asked too.</param>
    /// <param name="moves">Whether packets that are in one of the files only are left out.</param>
    public void Add(string name, byte[] input, ReplayOf replay, bool strict, bool tshark = false, bool moves = false)
    {
        string Save(string kind, byte[] octets)
        {
            string path = Path.Combine(_folder.FullName, $"{_jobs.Count}.{kind}");
            File.WriteAllBytes(path, octets);
            return path;
        }

        _jobs.Add(new JsonObject
        {
            ["name"] = name,
            ["orig"] = Save("in", input),
            ["new"] = Save("out", replay.Output),
            ["map"] = Save("json", replay.Translations),
            ["container"] = strict ? "strict" : "semantic",
            ["tshark"] = tshark,
            ["moves"] = moves,
        }.ToJsonString());
    }

    public async Task<IReadOnlyList<Judgment>> AskAsync()
    {
        string jobs = Path.Combine(_folder.FullName, "jobs");
        await File.WriteAllLinesAsync(jobs, _jobs);
        string driver = Path.Combine(Repository.Root, "tests", "OnDemand.Captures.Tests", "Oracles", "judge_replays.py");
        string? output = await Tool.RunAsync("python3", "-B", driver, Shared.Oracles!, jobs);
        Assert.SkipWhen(output is null, "python3 is not installed.");
        Judgment[] judgments = [.. output!.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Judgment.Read)];
        Assert.Equal(_jobs.Count, judgments.Length);
        return judgments;
    }
}

/// <summary>What the oracle said of one replay.</summary>
internal sealed record Judgment(string Name, bool Ok, IReadOnlyList<string> Violations, int Rewritten, int LeftOutOfInput, int LeftOutOfOutput)
{
    public static Judgment Read(string line)
    {
        using JsonDocument document = JsonDocument.Parse(line);
        JsonElement root = document.RootElement;
        JsonElement left = root.GetProperty("left_out");
        return new Judgment(
            root.GetProperty("name").GetString()!,
            root.GetProperty("ok").GetBoolean(),
            [.. root.GetProperty("violations").EnumerateArray().Select(violation => violation.GetString()!)],
            root.GetProperty("stats").TryGetProperty("rewritten", out JsonElement rewritten) ? rewritten.GetInt32() : 0,
            left[0].GetInt32(),
            left[1].GetInt32());
    }

    public override string ToString() => $"{Name}: {string.Join("; ", Violations)}";
}

using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Config;
using OnDemand.Linux.Providers;
using Xunit;

namespace OnDemand.Linux.Tests.Providers;

/// <summary>A provider with a shell script for its program, driven as the engine's thread drives it.</summary>
internal sealed class ProviderRig : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly string _place = Directory.CreateTempSubdirectory("ondemand-provider-").FullName;
    private readonly List<string> _said = [];
    private int _lastQuestion;

    /// <summary>Starts a provider.</summary>
    /// <param name="script">The program; what it writes to "$1" is <see cref="Log"/>.</param>
    /// <param name="timeout">The provider's timeout.</param>
    /// <param name="moves">Whether it may move the host.</param>
    /// <param name="asksAgain">After how long a request is put again first: long, so that a slow machine asks no oftener than a fast one.</param>
    /// <param name="program">The whole program's file instead; null for the script.</param>
    public ProviderRig(string script, string timeout = "10s", bool moves = false, string asksAgain = "10s", string? program = null)
    {
        string file = Path.Combine(_place, "program");
        LogFile = Path.Combine(_place, "log");
        File.WriteAllText(file, program ?? $"{script}\n");
        HostConfig config = HostConfigReader.Parse("host.yaml", Encoding.UTF8.GetBytes(
            $$"""
            seed: 1
            internal: [fd00:a::2]
            host:
              provider:
                command: {{(program is null ? "[/bin/sh, " : "[")}}"{{file}}", "{{LogFile}}"]
                timeout: {{timeout}}
                retry: {first: {{asksAgain}}, most: 10s}
                moves: {{(moves ? "true" : "false")}}
            """));
        Provider = new ScriptProvider(config.Host.Provider!, config.Scenario, config.Scenario.BuildOptions(), Say);
        Provider.Start(static () => { });
    }

    /// <summary>Where the program notes.</summary>
    public string LogFile { get; }

    public ScriptProvider Provider { get; }

    /// <summary>What came for the engine.</summary>
    public List<ProviderNews> News { get; } = [];

    /// <summary>What becomes of news in the engine; null if nothing does.</summary>
    public Action<ProviderNews>? Engine { get; set; }

    /// <summary>Sentences for the user.</summary>
    public string[] Said
    {
        get
        {
            lock (_said)
            {
                return [.. _said];
            }
        }
    }

    /// <summary>What the program noted.</summary>
    public string[] Log => File.Exists(LogFile) ? File.ReadAllLines(LogFile) : [];

    public static Timestamp Now => new(Stopwatch.GetTimestamp() * (Timestamp.NanosecondsPerSecond / Stopwatch.Frequency));

    public int Ask(AddressType type, double seconds = 20)
    {
        Timestamp now = Now;
        Provider.Ask(new PrefixRequest(++_lastQuestion, type, false), now.Add(Duration.FromMilliseconds((long)(seconds * 1000))), now);
        return _lastQuestion;
    }

    public void Turn()
    {
        for (Timestamp now = Now; Provider.Next <= now;)
        {
            if (Provider.TryTake(now, out ProviderNews news))
            {
                News.Add(news);
                Engine?.Invoke(news);
            }
        }
    }

    /// <summary>Turns until something is so.</summary>
    public async Task UntilAsync(Func<bool> condition)
    {
        for (long began = Stopwatch.GetTimestamp(); ; await Task.Delay(2, TestContext.Current.CancellationToken))
        {
            Turn();
            if (condition())
            {
                return;
            }

            Assert.True(
                Stopwatch.GetElapsedTime(began) < Limit,
                $"It does not come about. Said: {string.Join(" | ", Said)}. Noted: {string.Join(" | ", Log)}.");
        }
    }

    /// <summary>Tells the provider that a prefix is there, as the engine does when it takes it.</summary>
    public void Grant(int question, IpPrefix prefix) => Provider.Follow(
        new EngineEvent { Kind = EngineEventKind.NetworkGranted, Prefix = prefix, Number = (ulong)question, Flow = -1 }, null);

    public async ValueTask DisposeAsync()
    {
        await Provider.DisposeAsync();
        Directory.Delete(_place, recursive: true);
    }

    /// <summary>The number of the process, which the program has noted beside its log.</summary>
    public async Task<int> ProgramIdAsync() => int.Parse(
        await File.ReadAllTextAsync(LogFile + ".pid", TestContext.Current.CancellationToken), CultureInfo.InvariantCulture);

    public static JsonElement Parse(string line) => JsonDocument.Parse(line).RootElement;

    private void Say(string sentence)
    {
        lock (_said)
        {
            _said.Add(sentence);
        }
    }
}

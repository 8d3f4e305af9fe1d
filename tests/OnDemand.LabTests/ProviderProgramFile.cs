using System.Text.Json;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>
/// A provider for tests: a program that answers requests of a type as it is told (after a delay, several times, or never), passes on
/// what the test lets it say, notes every line that it gets, and dies with its first request if it is to.
/// </summary>
internal sealed class ProviderProgramFile : IDisposable
{
    private const string Program = """
        import json, os, sys, threading, time

        place = sys.argv[1]
        plan = json.load(open(place + "/plan"))
        lock = threading.Lock()

        def say(message):
            with lock:
                print(message, flush=True)

        def answer(number, delay, what):
            time.sleep(delay)
            say(json.dumps({"answer": number, **what}))

        def pass_on():
            done = 0
            while True:
                if os.path.exists(place + "/say"):
                    lines = open(place + "/say").read().splitlines()
                    for line in lines[done:]:
                        say(line)
                    done = len(lines)
                time.sleep(0.02)

        threading.Thread(target=pass_on, daemon=True).start()
        attached = None
        for line in sys.stdin:
            with open(place + "/log", "a") as log:
                log.write(line)
            message = json.loads(line)
            attached = message.get("attached", attached)
            if "request" not in message:
                continue
            if plan["dies"] and not os.path.exists(place + "/died"):
                open(place + "/died", "w").close()
                os._exit(9)
            answers = plan["answers"]
            for delay, what in answers.get(f"{attached} {message['type']}", answers.get(message["type"], [])):
                threading.Thread(target=answer, args=(message["request"], delay, what), daemon=True).start()
        """;

    // The table says which prefixes the lab's network has to give; the program says which of them it gives.
    private const string UsualScenario = """
        seed: 42
        internal: [fd00:db8::1]
        network:
          - {at: 0s, attach: ar1, prefixes: [{prefix: 2001:db8:f1::7/128, type: fixed}]}
        on-demand:
          session-lasting:
            - {answer: grant, prefix: 2001:db8:51:2::/64}
            - {answer: grant, prefix: 2001:db8:51:3::/64}
        timers: {answer: 3s}
        policy:
          default: legacy
          rules:
            - {remote-port: 7002, type: session-lasting}
            - {remote-port: 7003, type: nonpersistent}
            - {remote-port: 7004, type: graceful-replacement}
        """;

    private readonly string _place = Directory.CreateTempSubdirectory("ondemand-provider-").FullName;

    /// <summary>Makes the program's files.</summary>
    /// <param name="answers">By type a list of delays in seconds and answers, in JSON; "ar2 fixed" is of that type while the host is
    /// there.</param>
    /// <param name="dies">Whether it dies with its first request.</param>
    /// <param name="scenario">The scenario without its host; null for one that gives nothing but a Fixed address unasked.</param>
    public ProviderProgramFile(string answers, bool dies = false, string? scenario = null)
    {
        File.WriteAllText(Path.Combine(_place, "program.py"), Program);
        File.WriteAllText(Path.Combine(_place, "plan"), $$"""{"dies": {{(dies ? "true" : "false")}}, "answers": {{answers}}}""");
        Scenario = Path.Combine(_place, "scenario.yaml");

        File.WriteAllText(
            Scenario,
            $$"""
            {{scenario ?? UsualScenario}}
            host:
              provider:
                command: ["{{CommandRunner.Find("python3")}}", "{{_place}}/program.py", "{{_place}}"]
                retry: {first: 500ms, most: 2s}
            """);
    }

    /// <summary>A scenario of the lab whose host asks this program.</summary>
    public string Scenario { get; }

    /// <summary>What it was told.</summary>
    public JsonElement[] Log => !File.Exists(Path.Combine(_place, "log")) ? [] :
        [.. File.ReadAllLines(Path.Combine(_place, "log")).Select(line => JsonDocument.Parse(line).RootElement)];

    /// <summary>What it was told of one kind, in order.</summary>
    public JsonElement[] Told(string key) => [.. Log.Where(line => line.TryGetProperty(key, out _))];

    /// <summary>Lets it say something.</summary>
    /// <param name="line">It.</param>
    public void Say(string line) => File.AppendAllText(Path.Combine(_place, "say"), line + "\n");

    public void Dispose() => Directory.Delete(_place, recursive: true);
}

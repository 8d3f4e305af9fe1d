using OnDemand.Captures.Scenarios;
using OnDemand.Linux.Config;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Policy;

namespace OnDemand.Linux.Run;

/// <summary>
/// Reads the configuration of a running dataplane again. What its policy says of new flows (default, rules, inbound rules) is in force
/// at once, without touching those that are there; the rest of the file is that of the start. A file that is wrong in whatever part changes
/// nothing.
/// </summary>
/// <remarks>
/// Conditions on sockets keep their bits, see <see cref="ScenarioPolicy.Successor"/>, and sockets are judged by the new ones before the new rules
/// are in force. A flow whose socket is being asked for in that moment may be judged by the old ones.
/// </remarks>
/// <param name="path">The file.</param>
/// <param name="start">What it said at the start.</param>
/// <param name="host">The dataplane.</param>
/// <param name="judge">Judges sockets; null for nobody.</param>
/// <param name="say">Takes sentences for the user.</param>
internal sealed class PolicyReload(string path, HostConfig start, DataplaneHost host, SocketJudge? judge, Action<string> say) : IDisposable
{
    private static readonly string[] Taken = ["policy: default", "policy: rules", "policy: inbound"];

    private readonly SemaphoreSlim _one = new(1);
    private readonly List<(string Key, Action<HostConfig> Take)> _more = [];
    private ScenarioPolicy _policy = start.Scenario.Policy;

    /// <summary>Lets another part of the file be taken over too, when the whole file is right.</summary>
    /// <param name="key">The part, as in <c>host: rights</c>.</param>
    /// <param name="take">Takes it over. It may refuse with a <see cref="HostException"/>, then nothing is taken.</param>
    public void Add(string key, Action<HostConfig> take) => _more.Add((key, take));

    /// <summary>Reads the file and takes it over, or says why not. Never fails.</summary>
    /// <returns>Whether it was taken over.</returns>
    public async Task<bool> RunAsync()
    {
        await _one.WaitAsync().ConfigureAwait(false);
        try
        {
            HostConfig config = HostConfigReader.Load(path);
            ScenarioPolicy policy = _policy.Successor(config.Scenario.Policy);
            SocketTraits? traits = judge?.Resolve(config.Scenario with { Policy = policy });
            foreach ((_, Action<HostConfig> take) in _more)
            {
                take(config);
            }

            if (traits is not null)
            {
                judge!.Use(traits);
            }

            await host.SetPolicyAsync(policy).ConfigureAwait(false);
            _policy = policy;
            string[] left = [.. config.Outline.DifferencesFrom(start.Outline).Except(Taken).Except(_more.Select(more => more.Key))];
            say(left.Length == 0 ? $"The policy of {path} is in force."
                : $"The policy of {path} is in force; what else has changed ({string.Join(", ", left.Select(key => $"'{key}'"))}) needs a restart.");
            return true;
        }
        catch (Exception problem) when (
            problem is ScenarioException or HostException or IOException or UnauthorizedAccessException or InvalidOperationException)
        {
            say($"The policy stays as it is: {problem.Message.TrimEnd('.')}.");
            return false;
        }
        finally
        {
            _one.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _one.Dispose();
}

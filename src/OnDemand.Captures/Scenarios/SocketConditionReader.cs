using System.Globalization;
using System.Text;

namespace OnDemand.Captures.Scenarios;

/// <summary>Reads what rules demand of sockets, and keeps them from demanding more different things than there are bits.</summary>
/// <param name="fields">Reads single values.</param>
internal sealed class SocketConditionReader(ScenarioFields fields)
{
    private const int LongestPath = 4095;            // PATH_MAX less its terminating zero
    private const int LongestName = 255;
    private static readonly string[] KeyNames = ["user", "group", "program", "cgroup"];

    private readonly HashSet<SocketCondition> _distinct = [];

    /// <summary>The keys of a rule that demand something of the socket.</summary>
    public static ReadOnlySpan<string> Keys => KeyNames;

    /// <summary>Reads the condition of a rule.</summary>
    /// <param name="rule">The rule.</param>
    /// <returns>The condition; null if the rule demands nothing of the socket.</returns>
    public SocketCondition? Read(ScenarioMap rule)
    {
        if (!Array.Exists(KeyNames, rule.Has))
        {
            return null;
        }

        var condition = new SocketCondition
        {
            User = rule.Find("user") is { } user ? Name(user, "user") : null,
            Group = rule.Find("group") is { } group ? Name(group, "group") : null,
            Program = rule.Find("program") is { } program ? Program(program) : null,
            Cgroup = rule.Find("cgroup") is { } cgroup ? Cgroup(cgroup) : null,
            UserPlace = PlaceOf(rule.Find("user")),
            GroupPlace = PlaceOf(rule.Find("group")),
        };
        if (_distinct.Add(condition) && _distinct.Count > ScenarioPolicy.MaximumConditions)
        {
            throw fields.Wrong(
                rule.Key(Array.Find(KeyNames, rule.Has)!),
                string.Create(CultureInfo.InvariantCulture, $"a {_distinct.Count}th different condition on sockets"),
                string.Create(CultureInfo.InvariantCulture, $"at most {ScenarioPolicy.MaximumConditions} in one policy"));
        }

        return condition;
    }

    private static ScenarioPlace PlaceOf(ScenarioNode? node) => node is null ? default : new ScenarioPlace(node.Line, node.Column);

    // A number is written in one way, so that one user is not two.
    private string Name(ScenarioNode node, string what)
    {
        string expected = $"the name of a {what}, or a number from 0 to 4294967294";
        string name = fields.Text(node, expected);
        if (char.IsAsciiDigit(name[0]) && name.All(char.IsAsciiDigit))
        {
            return fields.Number(node, 0, uint.MaxValue - 1, expected).ToString(CultureInfo.InvariantCulture);
        }

        bool usable = name.Length <= LongestName && name[0] is not ('-' or '+')
            && !name.Any(static character => character is ':' or '/' or ',' || char.IsWhiteSpace(character) || char.IsControl(character));
        return usable ? name : throw fields.Wrong(node, node.Description, expected);
    }

    private string Program(ScenarioNode node)
    {
        const string expected = "an absolute path such as /usr/bin/ssh, /opt/*/bin/sync or /usr/lib/firefox/**";
        string path = fields.Text(node, expected);
        return IsAbsolute(path) && path[^1] != '/' && !path.Contains("***", StringComparison.Ordinal)
            ? path : throw fields.Wrong(node, node.Description, expected);
    }

    private string Cgroup(ScenarioNode node)
    {
        const string expected = "the path of a cgroup below the root of its hierarchy, such as /system.slice/backup.service";
        string path = fields.Text(node, expected);
        return IsAbsolute(path) && (path.Length == 1 || path[^1] != '/') ? path : throw fields.Wrong(node, node.Description, expected);
    }

    // The kernel never says a path in another way, so another would never match.
    private static bool IsAbsolute(string path) =>
        path[0] == '/' && Encoding.UTF8.GetByteCount(path) <= LongestPath && !path.Any(char.IsControl)
        && (path.Length == 1 || !path[1..].Split('/')[..^1].Any(static part => part.Length == 0))
        && !path.Split('/').Any(static part => part is "." or "..");
}

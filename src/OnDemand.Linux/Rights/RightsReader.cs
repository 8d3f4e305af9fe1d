using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Policy;

namespace OnDemand.Linux.Rights;

/// <summary>Reads the map <c>rights</c>. Users and groups are looked up at once, so that a wrong name is found where it stands.</summary>
/// <param name="fields">Reads single values.</param>
internal sealed class RightsReader(ScenarioFields fields)
{
    private const int MostRequests = 1_000_000;

    /// <summary>Reads it.</summary>
    /// <param name="node">The map.</param>
    /// <returns>The rights.</returns>
    /// <exception cref="ScenarioException">It is wrong.</exception>
    public RightsConfig Read(ScenarioNode node)
    {
        ScenarioMap map = fields.Map(node, "rights", "types", "quotas");
        return new RightsConfig
        {
            Types = map.Get("types", ReadTypes, new Dictionary<AddressType, TypeRights>()),
            Quotas = map.Get("quotas", ReadQuotas, new UserQuotas()),
        };
    }

    private Dictionary<AddressType, TypeRights> ReadTypes(ScenarioNode node)
    {
        Dictionary<AddressType, TypeRights> types = [];
        if (node is not MappingNode map)
        {
            return node.IsEmpty ? types : throw fields.Wrong(node, node.Description, "a map from types to who may have them");
        }

        foreach ((ScalarNode key, ScenarioNode value) in map.Entries)
        {
            if (!types.TryAdd(fields.Type(key), ReadType(value)))
            {
                throw fields.Wrong(key, $"{key.Description} a second time", "each type once");
            }
        }

        return types;
    }

    private TypeRights ReadType(ScenarioNode node)
    {
        ScenarioMap map = fields.Map(node, "rights to a type", "users", "groups", "programs");
        return new TypeRights(
            map.Get("users", list => ReadAccounts(list, "user", UserNames.UserOf), null),
            map.Get("groups", list => ReadAccounts(list, "group", UserNames.GroupOf), null),
            map.Get("programs", list => fields.List(list, "a list of programs", ReadProgram), null));
    }

    private HashSet<uint> ReadAccounts(ScenarioNode node, string what, Func<string, uint?> find) =>
    [
        .. fields.List(node, $"a list of {what}s", item =>
        {
            string expected = $"the name or number of a {what}";
            return find(fields.Text(item, expected)) ?? throw fields.Wrong(
                item, $"{item.Description}, which no {what} of this host is called", expected);
        }),
    ];

    private string ReadProgram(ScenarioNode node)
    {
        const string expected = "the absolute path of a program, such as /usr/bin/ssh";
        string path = fields.Text(node, expected);
        return path.StartsWith('/') && !path.Contains('\0', StringComparison.Ordinal)
            ? path
            : throw fields.Wrong(node, node.Description, expected);
    }

    private UserQuotas ReadQuotas(ScenarioNode node)
    {
        ScenarioMap map = fields.Map(node, "quotas", "addresses", "prefixes", "requests-per-minute");
        return new UserQuotas
        {
            Addresses = map.Maybe("addresses", one => ReadNumber(one, 0, int.MaxValue)),
            Prefixes = map.Maybe("prefixes", one => ReadNumber(one, 0, int.MaxValue)),
            RequestsPerMinute = map.Maybe("requests-per-minute", one => ReadNumber(one, 1, MostRequests)),
        };
    }

    private int ReadNumber(ScenarioNode node, ulong least, ulong most) =>
        (int)fields.Number(node, least, most, $"a whole number from {least} to {most}");
}

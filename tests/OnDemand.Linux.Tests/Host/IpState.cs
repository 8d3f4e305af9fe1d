using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using OnDemand.Linux.Tests.Netlink;

namespace OnDemand.Linux.Tests.Host;

/// <summary>The state of a namespace as ip(8) and sysctl(8) tell it: an independent judge of what netlink did.</summary>
internal static class IpState
{
    /// <summary>Addresses, routes, rules and settings of a namespace, once it has come to rest. Left out is what two equal TAPs differ in:
    /// MAC and link-local addresses.</summary>
    public static string Of(NetworkNamespace space)
    {
        // The kernel routes a new address to itself a moment after it has it, even one without duplicate address detection.
        var clock = Stopwatch.StartNew();
        string addresses;
        string routes;
        do
        {
            addresses = space.Shell("ip -j addr");
            routes = space.Shell("ip -j -6 route show table all");
        }
        while (!IsAtRest(addresses, routes) && clock.Elapsed < TimeSpan.FromSeconds(10));

        return string.Join('\n', [
            Plain(addresses),
            Plain(routes),
            Plain(space.Shell("ip -j -6 rule")),
            space.Shell("sysctl -a -r '^net.ipv6.conf.*(forwarding|accept_ra)$' | grep -v mc_forwarding"),
        ]);
    }

    private static bool IsAtRest(string addresses, string routes)
    {
        HashSet<string> local = [.. JsonNode.Parse(routes)!.AsArray()
            .Where(route => $"{route!["type"]}" == "local").Select(route => $"{route!["dst"]}")];
        return JsonNode.Parse(addresses)!.AsArray().SelectMany(link => link!["addr_info"]!.AsArray())
            .Where(address => $"{address!["family"]}" == "inet6" && $"{address["scope"]}" == "global")
            .All(address => address!["tentative"] is null && local.Contains($"{address["local"]}"));
    }

    private static string Plain(string json)
    {
        JsonArray objects = JsonNode.Parse(json)!.AsArray();
        foreach (JsonObject item in objects.OfType<JsonObject>())
        {
            item.Remove("address");    // MAC addresses are random
            item.Remove("qdisc");      // the kernel gives it when an interface is set up for the first time, for good
            if (item["addr_info"] is JsonArray addresses)
            {
                foreach (JsonNode? linkLocal in addresses.Where(address => $"{address!["scope"]}" == "link").ToList())
                {
                    addresses.Remove(linkLocal);
                }
            }
        }

        IEnumerable<string> lines = objects.Where(item => !$"{item!["dst"]}".StartsWith("fe80:", StringComparison.Ordinal))
            .Select(item => item!.ToJsonString(JsonSerializerOptions.Default));
        return string.Join('\n', lines.Order(StringComparer.Ordinal));
    }
}

using System.Text.Json;
using System.Text.Json.Nodes;
using OnDemand.Linux.Tests.Netlink;

namespace OnDemand.Linux.Tests.Host;

/// <summary>The state of a namespace as ip(8) and sysctl(8) tell it: an independent judge of what netlink did.</summary>
internal static class IpState
{
    /// <summary>Addresses, routes, rules and settings of a namespace. Left out is what two equal TAPs differ in: MAC and link-local addresses.</summary>
    public static string Of(NetworkNamespace space) => string.Join('\n', [
        Plain(space.Shell("ip -j addr")),
        Plain(space.Shell("ip -j -6 route show table all")),
        Plain(space.Shell("ip -j -6 rule")),
        space.Shell("sysctl -a -r '^net.ipv6.conf.*(forwarding|accept_ra)$' | grep -v mc_forwarding"),
    ]);

    private static string Plain(string json)
    {
        JsonArray objects = JsonNode.Parse(json)!.AsArray();
        foreach (JsonObject item in objects.OfType<JsonObject>())
        {
            item.Remove("address");    // MAC addresses are random
            item.Remove("qdisc");      // the kernel gives it when an interface is set up for the first time, for good
            if (item["addr_info"] is JsonArray addresses)
            {
                foreach (JsonNode linkLocal in addresses.Where(address => $"{address!["scope"]}" == "link").Select(address => address!).ToList())
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

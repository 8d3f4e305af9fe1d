using System.Globalization;
using OnDemand.Dataplane.Mobility;

namespace OnDemand.Linux.Lab;

/// <summary>One route of the lab's network to one of the host's prefixes.</summary>
/// <param name="Node">The node that has it.</param>
/// <param name="Prefix">The prefix.</param>
/// <param name="NextHop">The next hop and device as <c>ip route</c> takes it; null: the prefix is unreachable.</param>
/// <param name="Seconds">After how many seconds the kernel forgets it; 0 for never.</param>
internal readonly record struct LabRoute(string Node, string Prefix, string? NextHop, int Seconds)
{
    // Below every real route, so that the kernel answers 'unreachable' as soon as that one is gone or has expired.
    private const int RealMetric = 100;
    private const int UnreachableMetric = 1000;

    /// <summary>The <c>ip</c> command that makes it so.</summary>
    public string Replace => NextHop is null
        ? string.Create(CultureInfo.InvariantCulture, $"route replace unreachable {Prefix} metric {UnreachableMetric}")
        : string.Create(CultureInfo.InvariantCulture, $"route replace {Prefix} {NextHop} metric {RealMetric}{Expires}");

    /// <summary>The <c>ip</c> command that takes it away.</summary>
    public string Delete => NextHop is null
        ? string.Create(CultureInfo.InvariantCulture, $"route del unreachable {Prefix} metric {UnreachableMetric}")
        : string.Create(CultureInfo.InvariantCulture, $"route del {Prefix} metric {RealMetric}");

    private string Expires => Seconds > 0 ? string.Create(CultureInfo.InvariantCulture, $" expires {Seconds}") : string.Empty;
}

/// <summary>
/// The routes that a lab's network must have, as a function of its state.
/// <code>
///   Fixed, Session-Lasting   anchor → serving router → host                             moves with the host
///   Nonpersistent, untyped   anchor → router that gave it → host                        ends with the attachment
///   Graceful-Replacement     anchor → router that gave it → (serving router →) host     until its window ends
/// </code>
/// Below each lies an 'unreachable', so that what is gone is refused at the edge instead of going in circles over default routes.
/// The window is the kernel's own: a route that expires needs no process that takes it away.
/// </summary>
internal static class LabRoutes
{
    /// <summary>The routes for a state.</summary>
    /// <param name="state">The state.</param>
    /// <param name="now">The time.</param>
    /// <returns>The routes of all routers and the anchor.</returns>
    public static IReadOnlyList<LabRoute> For(LabState state, DateTimeOffset now)
    {
        List<LabRoute> routes = [];
        foreach (LabPrefix prefix in state.Prefixes)
        {
            if (prefix.FollowsHost)
            {
                AddFollowing(routes, prefix, state.Serving, now);
            }
            else
            {
                AddOwned(routes, prefix, state.Serving, now);
            }
        }

        return routes;
    }

    /// <summary>The commands that turn one set of routes into another, by node; a route that stays is not touched.</summary>
    /// <param name="before">The routes that are there.</param>
    /// <param name="after">The routes that shall be there.</param>
    /// <returns>Node and command, in an order that never leaves a prefix without a route that keeps one.</returns>
    public static IReadOnlyList<(string Node, string Command)> Changes(IReadOnlyList<LabRoute> before, IReadOnlyList<LabRoute> after)
    {
        HashSet<LabRoute> there = [.. before];
        HashSet<string> kept = [.. after.Select(route => route.Node + route.Delete)];
        return
        [
            .. after.Where(route => route.Seconds > 0 || !there.Contains(route)).Select(route => (route.Node, route.Replace)),
            .. before.Where(route => !kept.Contains(route.Node + route.Delete)).Select(route => (route.Node, route.Delete)),
        ];
    }

    private static void AddFollowing(List<LabRoute> routes, LabPrefix prefix, string? serving, DateTimeOffset now)
    {
        routes.Add(new LabRoute(LabNodes.Anchor, prefix.Prefix, null, 0));
        if (serving is not null && Left(prefix, now) is { } seconds)
        {
            routes.Add(new LabRoute(LabNodes.Anchor, prefix.Prefix, LabLinks.AnchorTo(serving), seconds));
            routes.Add(new LabRoute(serving, prefix.Prefix, LabLinks.RouterToHost, seconds));
        }
    }

    private static void AddOwned(List<LabRoute> routes, LabPrefix prefix, string? serving, DateTimeOffset now)
    {
        routes.Add(new LabRoute(LabNodes.Anchor, prefix.Prefix, LabLinks.AnchorTo(prefix.Router), 0));
        routes.Add(new LabRoute(prefix.Router, prefix.Prefix, null, 0));
        if (serving is null || Left(prefix, now) is not { } seconds)
        {
            return;
        }

        if (serving == prefix.Router)
        {
            routes.Add(new LabRoute(serving, prefix.Prefix, LabLinks.RouterToHost, seconds));
        }
        else if (prefix.Kind == AddressType.GracefulReplacement)
        {
            routes.Add(new LabRoute(prefix.Router, prefix.Prefix, LabLinks.RouterToRouter(serving), seconds));
            routes.Add(new LabRoute(serving, prefix.Prefix, LabLinks.RouterToHost, seconds));
        }
    }

    // Null: it has ended. 0: no end in sight. The kernel counts whole seconds. The network is the one that is late: the host counts from
    // when it hears of the window, which is after the routes are there, and what is under way to it then must still arrive.
    private static int? Left(LabPrefix prefix, DateTimeOffset now) =>
        prefix.Ends is not { } end ? 0 : end <= now ? null : (int)Math.Min(int.MaxValue, Math.Ceiling((end - now).TotalSeconds) + 1);
}

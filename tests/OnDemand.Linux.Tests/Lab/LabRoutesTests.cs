using OnDemand.Linux.Lab;
using Xunit;

namespace OnDemand.Linux.Tests.Lab;

public sealed class LabRoutesTests
{
    private const string Prefix = "2001:db8:1::/64";
    private const string Old = "ar1";
    private const string New = "ar2";

    private static readonly DateTimeOffset Now = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("fixed")]
    [InlineData("session-lasting")]
    public void An_address_that_lasts_is_routed_to_wherever_the_host_is(string type)
    {
        IReadOnlyList<LabRoute> routes = Routes(type, serving: New);

        Assert.Equal(
            [
                new LabRoute(LabNodes.Anchor, Prefix, null, 0),
                new LabRoute(LabNodes.Anchor, Prefix, LabLinks.AnchorTo(New), 0),
                new LabRoute(New, Prefix, LabLinks.RouterToHost, 0),
            ],
            routes);
    }

    [Fact]
    public void A_nonpersistent_address_is_unreachable_where_its_router_does_not_serve_the_host()
    {
        LabRoute[] always = [new(LabNodes.Anchor, Prefix, LabLinks.AnchorTo(Old), 0), new(Old, Prefix, null, 0)];

        Assert.Equal([.. always, new LabRoute(Old, Prefix, LabLinks.RouterToHost, 0)], Routes("nonpersistent", serving: Old));
        Assert.Equal(always, Routes("nonpersistent", serving: New));
        Assert.Equal(always, Routes("nonpersistent", serving: null));
    }

    [Fact]
    public void A_replaced_address_goes_through_its_old_router_to_the_new_one_until_its_window_ends() => Assert.Equal(
        [
            new LabRoute(LabNodes.Anchor, Prefix, LabLinks.AnchorTo(Old), 0),
            new LabRoute(Old, Prefix, null, 0),
            new LabRoute(Old, Prefix, LabLinks.RouterToRouter(New), 6),
            new LabRoute(New, Prefix, LabLinks.RouterToHost, 6),
        ],
        Routes("graceful-replacement", serving: New, ends: Now.AddSeconds(5)));

    // The host counts the window from when it hears of it, and the kernel whole seconds from when it has the route.
    [Theory]
    [InlineData(5000, 6)]
    [InlineData(4200, 6)]
    [InlineData(1, 2)]
    public void The_network_keeps_a_window_longer_than_the_host_by_a_second_at_least(int milliseconds, int seconds)
    {
        IReadOnlyList<LabRoute> routes = Routes("graceful-replacement", serving: New, ends: Now.AddMilliseconds(milliseconds));

        Assert.Equal([seconds, seconds], routes.Where(route => route.Seconds > 0).Select(route => route.Seconds));
    }

    [Theory]
    [InlineData("graceful-replacement")]
    [InlineData("session-lasting")]
    public void After_its_end_a_prefix_has_no_way_to_the_host(string type) => Assert.DoesNotContain(
        Routes(type, serving: New, ends: Now), route => route.NextHop == LabLinks.RouterToHost);

    [Fact]
    public void Routes_are_put_before_others_are_taken_away_and_one_that_expires_is_put_again()
    {
        LabRoute stays = new(LabNodes.Anchor, Prefix, null, 0);
        LabRoute window = new(Old, Prefix, LabLinks.RouterToHost, 5);
        LabRoute moved = new(LabNodes.Anchor, Prefix, LabLinks.AnchorTo(New), 0);
        LabRoute gone = new(New, "2001:db8:2::/64", LabLinks.RouterToHost, 0);

        IReadOnlyList<(string Node, string Command)> changes = LabRoutes.Changes(
            [stays, window, gone, moved with { NextHop = LabLinks.AnchorTo(Old) }], [stays, window, moved]);

        Assert.Equal([(Old, window.Replace), (LabNodes.Anchor, moved.Replace), (New, gone.Delete)], changes);
    }

    private static IReadOnlyList<LabRoute> Routes(string type, string? serving, DateTimeOffset? ends = null) => LabRoutes.For(
        new LabState
        {
            Name = "routes",
            Built = Now,
            Serving = serving,
            Prefixes = [new LabPrefix(Prefix, type, Old, ends, OnDemand: false)],
        },
        Now);
}

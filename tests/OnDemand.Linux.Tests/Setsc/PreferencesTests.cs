using Xunit;

namespace OnDemand.Linux.Tests.Setsc;

/// <summary>setsc_setsockopt(): the draft's flags and the older ones next to those of RFC 5014.</summary>
public sealed class PreferencesTests
{
    private const string OnNet = "0x10000", HomeAnchored = "0x20000", AccessAnchored = "0x40000", Unanchored = "0x80000";

    [Fact]
    public async Task On_net_holds_for_the_following_setsc_and_the_kernel_never_sees_it()
    {
        await using var server = new SetscServer(question => question.GrantAsync());
        Probe probe = await Probe.RunAsync(server.SocketPath, "preferences", "0x10001");

        Assert.Equal("0 0 kernel 401 ours 10401", probe["set0"]);
        Assert.True(Assert.Single(server.Questions).Json.GetProperty("on-net").GetBoolean());
    }

    [Fact]
    public async Task On_net_is_taken_back_by_setting_the_preferences_without_it()
    {
        await using var server = new SetscServer(question => question.GrantAsync());
        Probe probe = await Probe.RunAsync(server.SocketPath, "preferences", OnNet, "0x2");

        Assert.Equal("0 0 kernel 402 ours 402", probe["set1"]);
        Assert.False(Assert.Single(server.Questions).Json.GetProperty("on-net").GetBoolean());
    }

    [Theory]
    [InlineData("0x10003")]    // temporary and public
    [InlineData("0x10101")]
    [InlineData("0x10404")]    // home and care-of
    [InlineData("0x10808")]    // CGA and not
    [InlineData("0x60000")]    // two anchors
    [InlineData("0xe0000")]
    [InlineData("0x20404")]
    public async Task Contradictions_are_refused_and_change_nothing(string flags)
    {
        await using var server = new SetscServer(question => question.GrantAsync());
        Probe probe = await Probe.RunAsync(server.SocketPath, "preferences", "0x10002", flags);

        Assert.Equal("-1 22 kernel 402 ours 10402", probe["set1"]);
        Assert.True(Assert.Single(server.Questions).Json.GetProperty("on-net").GetBoolean());
    }

    [Theory]
    [InlineData(HomeAnchored, "fixed")]
    [InlineData(AccessAnchored, "session-lasting")]
    [InlineData(Unanchored, "nonpersistent")]
    public async Task The_older_names_are_requests_that_map_the_socket(string flags, string type)
    {
        await using var server = new SetscServer(question => question.GrantAsync());
        Probe probe = await Probe.RunAsync(server.SocketPath, "preferences", flags);

        Assert.StartsWith("0 0 ", probe["set0"], StringComparison.Ordinal);
        SetscQuestion first = server.Questions.First();
        Assert.Equal(type, first.Type);
        Assert.True(first.Json.GetProperty("map").GetBoolean());
        Assert.False(first.Json.GetProperty("on-net").GetBoolean());
    }

    [Fact]
    public async Task An_older_name_together_with_on_net_asks_for_a_new_prefix()
    {
        await using var server = new SetscServer(question => question.GrantAsync());
        await Probe.RunAsync(server.SocketPath, "preferences", "0x50000");

        Assert.True(server.Questions.First().Json.GetProperty("on-net").GetBoolean());
    }

    [Theory]
    [InlineData(409, "type-not-supported", 95)]
    [InlineData(502, "network-refused", 99)]
    [InlineData(403, "forbidden", 13)]
    public async Task A_request_that_fails_is_told_by_errno(int status, string problem, int error)
    {
        await using var server = new SetscServer(question => question.RefuseAsync(status, problem));
        Probe probe = await Probe.RunAsync(server.SocketPath, "preferences", "0x40001");

        Assert.Equal($"-1 {error} kernel 401 ours 401", probe["set0"]);
    }

    [Fact]
    public async Task A_descriptor_that_is_used_again_starts_without_flags_and_a_duplicate_keeps_them()
    {
        Probe probe = await Probe.RunAsync(null, "reuse");

        Assert.Equal("1", probe["first"]);
        Assert.Equal("1", probe["twin"]);
        Assert.Equal("same", probe["number"]);
        Assert.Equal("0", probe["second"]);
    }

    [Fact]
    public async Task Twenty_thousand_sockets_later_the_living_ones_are_remembered()
    {
        Probe probe = await Probe.RunCheckedAsync(null, "many", "20000");

        Assert.Equal("64", probe["kept"]);
    }
}

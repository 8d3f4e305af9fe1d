using System.Net;
using System.Runtime.Versioning;
using OnDemand.Linux.Host;
using OnDemand.Linux.Tests.Netlink;
using Xunit;

namespace OnDemand.Linux.Tests.Programs;

/// <summary>Where the kernel would keep from a socket what comes in for its typed address, it is given none to bind itself to.</summary>
[SupportedOSPlatform("linux")]
public sealed class NativeAddressTests
{
    [Theory]
    [InlineData(1, 1, 1, "net.ipv4.tcp_early_demux", "net.ipv4.udp_early_demux")]
    [InlineData(1, 1, 0, "net.ipv4.tcp_early_demux")]
    [InlineData(1, 0, 1, "net.ipv4.udp_early_demux")]
    [InlineData(1, 0, 0)]
    [InlineData(0, 1, 1)]                            // without the first the others have no effect
    public void The_settings_in_the_way_are_those_that_are_on(int all, int tcp, int udp, params string[] found)
    {
        using var space = new NetworkNamespace();
        space.Shell($"sysctl -qw net.ipv4.ip_early_demux={all} net.ipv4.tcp_early_demux={tcp} net.ipv4.udp_early_demux={udp}");

        (IReadOnlyList<string> Settings, string? Warning, string? Reason) said = space.Run(() =>
        {
            using var check = new NativeSocketCheck();
            return (ForwardingSettings.AgainstNativeSockets(), ForwardingSettings.Warning(), check.WhyNot());
        });

        Assert.Equal(found, said.Settings);
        Assert.Equal(found.Length > 0, said.Warning is not null);
        Assert.Equal(found.Length > 0, said.Reason is not null);
        Assert.All(found, setting => Assert.Contains($" {setting}=0", said.Warning, StringComparison.Ordinal));
    }

    [Fact]
    public void Who_asks_later_and_from_elsewhere_hears_what_is_so_then_where_the_check_was_made()
    {
        using var space = new NetworkNamespace();
        Set(1);
        using NativeSocketCheck check = space.Run(() => new NativeSocketCheck());
        Assert.Contains("for net.ipv4.tcp_early_demux and net.ipv4.udp_early_demux are on", check.WhyNot(), StringComparison.Ordinal);

        Set(0);
        Assert.Null(check.WhyNot());
        Set(1);
        Assert.NotNull(check.WhyNot());

        void Set(int each) => space.Shell($"sysctl -qw net.ipv4.ip_early_demux=1 net.ipv4.tcp_early_demux={each} net.ipv4.udp_early_demux={each}");
    }

    [Fact]
    public void The_warning_is_one_sentence_that_says_what_it_means_and_what_to_set()
    {
        using var space = new NetworkNamespace();
        space.Shell("sysctl -qw net.ipv4.ip_early_demux=1 net.ipv4.tcp_early_demux=1 net.ipv4.udp_early_demux=1");

        Assert.Equal(
            "With 'forwarding: check' net.ipv4.tcp_early_demux and net.ipv4.udp_early_demux are on, so sockets that bind themselves to a typed address "
            + "would hear nothing, and setsc() gives addresses only to sockets that are mapped: set them to 0 with 'sysctl -w "
            + "net.ipv4.tcp_early_demux=0 net.ipv4.udp_early_demux=0', or write 'forwarding: set' in the configuration.",
            space.Run(ForwardingSettings.Warning));
    }

    [Fact]
    public async Task A_socket_that_is_not_mapped_is_told_that_the_type_is_not_supported_until_nothing_is_in_the_way()
    {
        string? reason = "It would hear nothing.";
        await using ProgramScene scene = await ProgramScene.StartAsync(audits: true, whyNotNative: () => reason);

        (HttpStatusCode status, System.Text.Json.JsonElement body) = await scene.SetAsync("""{"cookie": "1007", "type": "fixed"}""");
        Assert.Equal(HttpStatusCode.Conflict, status);
        Assert.Equal("urn:ondemand:problem:type-not-supported", body.GetProperty("type").GetString());
        Assert.Equal(reason, body.GetProperty("detail").GetString());
        Assert.Equal(HttpStatusCode.Conflict, (await scene.SetAsync("""{"cookie": "1007", "preferences": "public"}""")).Status);
        Assert.Equal(0, scene.Services.Requests);

        Assert.Equal(HttpStatusCode.OK, (await scene.SetAsync("""{"cookie": "1007", "type": "fixed", "map": true}""")).Status);
        reason = null;
        Assert.Equal(HttpStatusCode.OK, (await scene.SetAsync("""{"cookie": "1007", "type": "fixed"}""")).Status);

        Assert.Equal(
            ["type-not-supported", "type-not-supported", "granted", "granted"],
            scene.ReadAudit().Select(entry => entry.GetProperty("result").GetString()));
    }
}

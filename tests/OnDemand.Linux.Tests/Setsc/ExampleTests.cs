using System.Diagnostics;
using System.Net.Sockets;
using Xunit;

namespace OnDemand.Linux.Tests.Setsc;

/// <summary>The shipped examples against a server of one connection; ::1 is granted by no dataplane, so a unique local address stands in.</summary>
public sealed class ExampleTests
{
    [Fact]
    public async Task The_drafts_example_tries_the_next_type_and_goes_on_without_one_at_last()
    {
        await using var server = new SetscServer(question => question.Type == "fixed"
            ? question.RefuseAsync(502, "network-refused")
            : question.RefuseAsync(409, "type-not-supported"));
        string[] lines = await RunAsync("session_client", server.SocketPath, SocketType.Stream, "graceful-replacement", "fixed", "nonsense");

        Assert.Equal("graceful-replacement: Addresses of this type are not offered here.", lines[0]);
        Assert.Equal("fixed: The network refused an address of this type, or did not answer in time.", lines[1]);
        Assert.Equal("nonsense: The address type is reserved, or an argument is wrong.", lines[2]);
        Assert.Equal("none: the host's ordinary address", lines[3]);
        Assert.Equal(["one", "two"], lines[4..]);
        Assert.Equal(["graceful-replacement", "fixed"], server.Questions.Select(question => question.Type));
        Assert.Equal(2, server.Questions.Select(question => question.Cookie).Distinct().Count());
    }

    [Fact]
    public async Task The_drafts_example_binds_to_the_address_it_was_granted_even_if_no_interface_has_it()
    {
        await using var server = new SetscServer(question => question.Type == "graceful-replacement"
            ? question.RefuseAsync(409, "type-not-supported")
            : question.GrantAsync("2001:db8:51:1::7"));
        using Process process = CPrograms.Start(
            CPrograms.Find("session_client"), server.SocketPath, "not-an-address.invalid", "7", "graceful-replacement", "session-lasting");
        process.StandardInput.Close();
        string output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);

        Assert.Equal("graceful-replacement: Addresses of this type are not offered here.\nsession-lasting: 2001:db8:51:1::7\n", output);
        Assert.Equal(1, process.ExitCode);   // bound, and then the server's name led nowhere
    }

    [Fact]
    public async Task The_mapped_example_keeps_its_socket_unbound_and_asks_on_net()
    {
        await using var server = new SetscServer(question => question.GrantAsync("2001:db8::9"));
        string[] lines = await RunAsync("mapped_client", server.SocketPath, SocketType.Dgram, "nonpersistent", "on-net");

        Assert.Equal(["nonpersistent: 2001:db8::9", "one", "two"], lines);
        SetscQuestion question = Assert.Single(server.Questions);
        Assert.True(question.Json.GetProperty("map").GetBoolean());
        Assert.True(question.Json.GetProperty("on-net").GetBoolean());
    }

    [Fact]
    public async Task The_mapped_example_goes_on_without_a_dataplane()
    {
        string[] lines = await RunAsync("mapped_client", null, SocketType.Dgram, "fixed");

        Assert.Equal(["fixed: No dataplane runs here.", "none: the host's ordinary address", "one", "two"], lines);
    }

    /// <summary>Runs an example that sends two lines to an echo server.</summary>
    private static async Task<string[]> RunAsync(string program, string? socket, SocketType type, params string[] arguments)
    {
        await using var echo = new EchoServer(type);
        using Process process = CPrograms.Start(CPrograms.Find(program), socket, ["::1", echo.Port, .. arguments]);
        await process.StandardInput.WriteAsync("one\ntwo\n");
        process.StandardInput.Close();
        string output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        string error = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal("", error);
        Assert.Equal(0, process.ExitCode);
        return output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}

using System.Net;
using System.Runtime.Versioning;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Rights;
using Xunit;

namespace OnDemand.Linux.Tests.Programs;

/// <summary>GET /v1/rights: whether a user may have a type, before anything is started that needs it.</summary>
[SupportedOSPlatform("linux")]
public sealed class RightResourceTests
{
    private static readonly RightsConfig Rights = new()
    {
        Types = new Dictionary<AddressType, TypeRights>
        {
            [AddressType.Fixed] = new(new HashSet<uint> { 1234 }, new HashSet<uint> { 77 }, ["/usr/bin/ssh"]),
        },
    };

    [Fact]
    public async Task A_user_hears_whether_why_not_and_of_which_programs_it_holds()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync(Rights);
        const string program = """print(*(ask("GET", "/v1/rights?type=" + t) for t in ("fixed", "session-lasting")), sep="\n")""";
        const string everybody = "(200, {'type': 'session-lasting', 'allowed': True})";

        Assert.Equal(
            $"(200, {{'type': 'fixed', 'allowed': True, 'programs': ['/usr/bin/ssh']}})\n{everybody}", await scene.RunAsync(1234, program));
        Assert.Equal(
            $"(200, {{'type': 'fixed', 'allowed': False, 'reason': 'User 65534 may not have fixed addresses on this host.'}})\n{everybody}",
            await scene.RunAsync(ProgramScene.Nobody, program));
        Assert.Equal(
            $"(200, {{'type': 'fixed', 'allowed': True, 'programs': ['/usr/bin/ssh']}})\n{everybody}",
            await scene.RunAsync(ProgramScene.Nobody, program, "--groups=77"));
        Assert.Equal($"(200, {{'type': 'fixed', 'allowed': True}})\n{everybody}", await scene.RunAsync(0, program));
    }

    [Theory]
    [InlineData("", "Found no type, expected the parameter 'type', one of fixed, session-lasting, nonpersistent, graceful-replacement.")]
    [InlineData("?type=untyped", "Found no type, expected the parameter 'type', one of fixed, session-lasting, nonpersistent, graceful-replacement.")]
    [InlineData("?type=fixd", "Found type 'fixd', expected one of fixed, session-lasting, nonpersistent, graceful-replacement, untyped.")]
    [InlineData("?user=0&type=fixed", "/v1/rights has no parameter 'user'.")]
    public async Task Any_other_question_is_invalid(string query, string sentence)
    {
        await using ProgramScene scene = await ProgramScene.StartAsync(Rights);

        (HttpStatusCode status, System.Text.Json.JsonElement body) = await scene.GetAsync($"/v1/rights{query}");

        Assert.Equal((HttpStatusCode.BadRequest, sentence), (status, body.GetProperty("detail").GetString()));
    }
}

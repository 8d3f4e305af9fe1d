using System.Runtime.Versioning;
using System.Text.Json;
using OnDemand.Linux.Control;
using OnDemand.Linux.Programs;
using OnDemand.Linux.Service;
using OnDemand.Linux.Tests.Control;
using Xunit;

namespace OnDemand.Linux.Tests.Programs;

/// <summary>The description of the resources against the resources.</summary>
[SupportedOSPlatform("linux")]
public sealed class OpenApiTests
{
    private static readonly JsonElement Document = JsonDocument.Parse(OpenApiDocument.Json).RootElement;

    [Fact]
    public async Task Both_sockets_serve_it()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();
        await using var dataplane = new FakeDataplane();
        string path = scene.Path + ".operator";
        await using ControlServer server = await ControlServer.StartAsync(
            dataplane, path, TestContext.Current.CancellationToken, scene.Requests);
        scene.Services.Bind(5, 1000);
        using var client = new ControlClient(path);

        Assert.Equal("3.1.0", (await scene.GetAsync("/openapi.json")).Body.GetProperty("openapi").GetString());
        Assert.Equal("5", Assert.Single((await client.BindingsAsync(TestContext.Current.CancellationToken)).Bindings).Cookie);
    }

    [Fact]
    public void Its_structure_is_that_of_openapi_and_every_reference_leads_somewhere()
    {
        Assert.Equal("3.1.0", Document.GetProperty("openapi").GetString());
        Assert.All(["title", "version"], key => Assert.NotEqual("", Document.GetProperty("info").GetProperty(key).GetString()));
        HashSet<string> operations = [];
        foreach (JsonProperty path in Document.GetProperty("paths").EnumerateObject())
        {
            Assert.StartsWith("/", path.Name, StringComparison.Ordinal);
            foreach (JsonProperty operation in path.Value.EnumerateObject().Where(one => one.Name != "parameters"))
            {
                Assert.Contains(operation.Name, (string[])["get", "post", "delete"]);
                Assert.True(operations.Add(operation.Value.GetProperty("operationId").GetString()!));
                Assert.All(operation.Value.GetProperty("responses").EnumerateObject(), response =>
                {
                    Assert.Matches("^[2-5][0-9][0-9]$", response.Name);
                    Assert.True(response.Value.TryGetProperty("$ref", out _) || response.Value.GetProperty("description").GetString() is { Length: > 0 });
                });
            }
        }

        HashSet<string> used = [.. References(Document)];
        Assert.All(used, reference => Assert.Equal(JsonValueKind.Object, Resolve(reference).ValueKind));
        IEnumerable<string> made = Document.GetProperty("components").EnumerateObject()
            .SelectMany(kind => kind.Value.EnumerateObject().Select(one => $"#/components/{kind.Name}/{one.Name}"));
        Assert.Equal(made.Order(StringComparer.Ordinal), used.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Every_resource_is_in_it_and_it_has_no_others()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();
        string[] resources = [.. Document.GetProperty("paths").EnumerateObject().Select(path => path.Name)];

        Assert.Equal(
            ["/v1/setsc", "/v1/bindings", "/v1/bindings/{cookie}", "/v1/watch", "/v1/rights", "/openapi.json"], resources);
        foreach (string resource in resources)
        {
            string[] methods = [.. Document.GetProperty("paths").GetProperty(resource).EnumerateObject()
                .Where(one => one.Name != "parameters").Select(one => one.Name.ToUpperInvariant()).Order(StringComparer.Ordinal)];
            using var request = new HttpRequestMessage(HttpMethod.Patch, resource.Replace("{cookie}", "5", StringComparison.Ordinal));
            using HttpResponseMessage refused = await scene.Http.SendAsync(request, TestContext.Current.CancellationToken);

            // A method that no resource has is told those that this one has.
            Assert.Equal(405, (int)refused.StatusCode);
            Assert.Equal(methods, refused.Content.Headers.Allow.Order(StringComparer.Ordinal));
        }
    }

    [Fact]
    public async Task Every_field_of_every_answer_is_in_it_and_it_has_no_others()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();
        JsonElement grant = (await scene.SetAsync("""{"cookie": "1007", "type": "fixed"}""")).Body;
        JsonElement bindings = (await scene.GetAsync("/v1/bindings")).Body;
        JsonElement problem = (await scene.GetAsync("/v1/bindings/5")).Body;
        JsonElement notice = JsonSerializer.SerializeToElement(
            BindingMaker.Notice(new BindingNotice(
                BindingNoticeKind.Deprecated, FakeServices.Now, scene.Services.Find(1007), OnDemand.Dataplane.Duration.FromSeconds(10))),
            JsonStyles.Compact.NoticeResource);

        AssertHas("Grant", grant);
        AssertHas("Bindings", bindings);
        AssertHas("Binding", bindings.GetProperty("bindings")[0]);
        AssertHas("Binding", (await scene.GetAsync("/v1/bindings/1007")).Body);
        AssertHas("Notice", notice);
        AssertHas("Binding", notice.GetProperty("binding"));
        AssertHas("Problem", problem);
        AssertHas("Right", JsonSerializer.SerializeToElement(
            new RightResource(OnDemand.Dataplane.Mobility.AddressType.Fixed, false, "No.", ["/bin/true"]), JsonStyles.Compact.RightResource));
    }

    [Fact]
    public async Task Every_key_of_a_request_is_understood_and_no_others_are()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();
        string[] keys = [.. Schema("SetscRequest").GetProperty("properties").EnumerateObject().Select(one => one.Name)];
        Dictionary<string, string> values = new()
        {
            ["type"] = "\"fixed\"",
            ["on-net"] = "true",
            ["map"] = "true",
            ["timeout"] = "1",
            ["preferences"] = "\"tmp\"",
        };

        (System.Net.HttpStatusCode status, _) = await scene.SetAsync(
            $$"""{"cookie": "1007", {{string.Join(", ", values.Select(one => $"\"{one.Key}\": {one.Value}"))}}}""");
        string? sentence = (await scene.SetAsync("""{"cookie": "1007", "zzz": 1}""")).Body.GetProperty("detail").GetString();

        Assert.Equal(System.Net.HttpStatusCode.OK, status);
        Assert.Equal(["fd", "cookie", "flow", .. values.Keys], keys);
        Assert.EndsWith($"expected one of {string.Join(", ", keys)}", sentence!.TrimEnd('.'), StringComparison.Ordinal);
    }

    [Fact]
    public void Every_kind_of_problem_and_notice_is_in_it_and_it_has_no_others()
    {
        string[] operators = [ProblemTypes.UnknownPrefix, ProblemTypes.Host];
        IEnumerable<string> problems = typeof(ProblemTypes).GetFields().Where(field => field.IsLiteral)
            .Select(field => (string)field.GetRawConstantValue()!).Except(operators);

        Assert.Equal(problems.Order(StringComparer.Ordinal), Words("Problem", "type").Order(StringComparer.Ordinal));
        Assert.Equal(Enum.GetValues<BindingNoticeKind>().Select(BindingMaker.NameOf), Words("Notice", "notice"));
    }

    private static IEnumerable<string> Words(string schema, string property) =>
        Schema(schema).GetProperty("properties").GetProperty(property).GetProperty("enum").EnumerateArray().Select(word => word.GetString()!);

    private static void AssertHas(string schema, JsonElement answer)
    {
        JsonElement properties = Schema(schema).GetProperty("properties");
        Assert.Equal(properties.EnumerateObject().Select(one => one.Name), answer.EnumerateObject().Select(one => one.Name));
        foreach (JsonProperty field in answer.EnumerateObject())
        {
            JsonElement described = properties.GetProperty(field.Name);
            described = described.TryGetProperty("$ref", out JsonElement reference) ? Resolve(reference.GetString()!) : described;
            JsonElement type = described.GetProperty("type");
            string[] types = type.ValueKind == JsonValueKind.Array ? [.. type.EnumerateArray().Select(one => one.GetString()!)] : [type.GetString()!];
            string kind = field.Value.ValueKind switch
            {
                JsonValueKind.True or JsonValueKind.False => "boolean",
                JsonValueKind.Number => types.Contains("integer") ? "integer" : "number",
                _ => field.Value.ValueKind.ToString().ToLowerInvariant(),
            };
            Assert.Contains(kind, types);
        }
    }

    private static JsonElement Schema(string name) => Resolve($"#/components/schemas/{name}");

    private static JsonElement Resolve(string reference) =>
        reference.Split('/').Skip(1).Aggregate(Document, (node, key) => node.GetProperty(key));

    private static IEnumerable<string> References(JsonElement node) => node.ValueKind switch
    {
        JsonValueKind.Object => node.EnumerateObject().SelectMany(one => one.NameEquals("$ref") ? [one.Value.GetString()!] : References(one.Value)),
        JsonValueKind.Array => node.EnumerateArray().SelectMany(References),
        _ => [],
    };
}

using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;

namespace OnDemand.Linux.Control;

/// <summary>The operator's resources.</summary>
/// <param name="control">The dataplane.</param>
/// <param name="gate">The way to the engine.</param>
internal sealed class ControlEndpoints(IDataplaneControl control, EngineGate gate)
{
    private const int DefaultLimit = 1000;
    private const int MostFlows = 1 << 28;

    private readonly int _mostPrefixes = control.Scenario.BuildOptions().MaximumPrefixes;

    /// <summary>Adds the resources to an application.</summary>
    /// <param name="application">The application.</param>
    public void Map(WebApplication application)
    {
        application.MapPost("/v1/attach", AttachAsync);
        application.MapPost("/v1/withdraw", WithdrawAsync);
        application.MapPost("/v1/detach", DetachAsync);
        application.MapGet("/v1/status", StatusAsync);
        application.MapGet("/v1/flows", FlowsAsync);
        application.MapGet("/v1/prefixes", PrefixesAsync);
        application.MapGet("/v1/counters", CountersAsync);
        application.MapGet("/metrics", MetricsAsync);
    }

    private async Task AttachAsync(HttpContext http)
    {
        AttachEvent move = new MoveReader(HttpBodies.RequestName, control.Scenario.Internal)
            .ReadAttach(await HttpBodies.ReadAsync(http).ConfigureAwait(false), _mostPrefixes);
        PrefixAdvertisement[] prefixes = [.. move.Prefixes];
        DataplaneReading reading = await gate.RunAsync(
            context =>
            {
                context.Network.Attach(move.Name, prefixes, move.Window, context.Now);
                return DataplaneReading.Take(context);
            },
            http.RequestAborted).ConfigureAwait(false);
        await HttpBodies.WriteAsync(http, ResourceMaker.Move(reading, prefixes), JsonStyles.Compact.MoveResource).ConfigureAwait(false);
    }

    private async Task WithdrawAsync(HttpContext http)
    {
        WithdrawEvent move = new MoveReader(HttpBodies.RequestName, control.Scenario.Internal).ReadWithdraw(await HttpBodies.ReadAsync(http).ConfigureAwait(false));
        DataplaneReading? reading = await gate.RunAsync(
            context => context.Network.Withdraw(move.Prefix, move.Window ?? Duration.Zero, context.Now)
                ? DataplaneReading.Take(context) : null,
            http.RequestAborted).ConfigureAwait(false);
        if (reading is null)
        {
            throw new ControlException(ProblemTypes.UnknownPrefix, 404, $"There is no prefix {move.Prefix} that could be withdrawn.");
        }

        await HttpBodies.WriteAsync(http, ResourceMaker.Move(reading, []), JsonStyles.Compact.MoveResource).ConfigureAwait(false);
    }

    private async Task DetachAsync(HttpContext http)
    {
        new MoveReader(HttpBodies.RequestName, []).ReadNothing(await HttpBodies.ReadAsync(http).ConfigureAwait(false));
        DataplaneReading reading = await gate.RunAsync(
            context =>
            {
                context.Network.Detach(context.Now);
                return DataplaneReading.Take(context);
            },
            http.RequestAborted).ConfigureAwait(false);
        await HttpBodies.WriteAsync(http, ResourceMaker.Move(reading, []), JsonStyles.Compact.MoveResource).ConfigureAwait(false);
    }

    private async Task StatusAsync(HttpContext http)
    {
        QueryValues.Check(http);
        DataplaneReading reading = await gate.RunAsync(DataplaneReading.Take, http.RequestAborted).ConfigureAwait(false);
        await HttpBodies.WriteAsync(http, ResourceMaker.Status(reading, control.Scenario), JsonStyles.Compact.StatusResource).ConfigureAwait(false);
    }

    private async Task PrefixesAsync(HttpContext http)
    {
        QueryValues.Check(http);
        DataplaneReading reading = await gate.RunAsync(DataplaneReading.Take, http.RequestAborted).ConfigureAwait(false);
        var resource = new PrefixesResource(reading.Time, ResourceMaker.Prefixes(reading));
        await HttpBodies.WriteAsync(http, resource, JsonStyles.Compact.PrefixesResource).ConfigureAwait(false);
    }

    private async Task CountersAsync(HttpContext http)
    {
        QueryValues.Check(http);
        DataplaneReading reading = await gate.RunAsync(DataplaneReading.Take, http.RequestAborted).ConfigureAwait(false);
        await HttpBodies.WriteAsync(http, ResourceMaker.Counters(reading), JsonStyles.Compact.CountersResource).ConfigureAwait(false);
    }

    private async Task MetricsAsync(HttpContext http)
    {
        QueryValues.Check(http);
        DataplaneReading reading = await gate.RunAsync(DataplaneReading.Take, http.RequestAborted).ConfigureAwait(false);
        http.Response.ContentType = PrometheusText.MediaType;
        byte[] text = Encoding.UTF8.GetBytes(PrometheusText.Write(reading));
        await http.Response.BodyWriter.WriteAsync(text, http.RequestAborted).ConfigureAwait(false);
    }

    // As long as the list may be, no more than a slice of it is ever in memory, and packets go on between two slices.
    private async Task FlowsAsync(HttpContext http)
    {
        QueryValues.Check(http, "type", "protocol", "limit");
        AddressType? type = QueryValues.Type(http, "type");
        byte? protocol = QueryValues.Protocol(http, "protocol");
        int left = QueryValues.Number(http, "limit", MostFlows) ?? DefaultLimit;
        int total = await gate.RunAsync(context => context.Engine.FlowCount, http.RequestAborted).ConfigureAwait(false);
        var readable = new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        var json = new Utf8JsonWriter(http.Response.BodyWriter, readable);
        await using (json.ConfigureAwait(false))
        {
            await gate.ReadAsync<FlowSnapshot>(
                static (DataplaneEngine engine, ref int cursor, Span<FlowSnapshot> rows) => engine.CopyFlows(ref cursor, rows),
                async (rows, time) =>
                {
                    Begin(http, json, time, total);
                    foreach (ref readonly FlowSnapshot flow in rows.Span)
                    {
                        if (left > 0 && (type is null || flow.Type == type) && (protocol is null || flow.Identity.Protocol == protocol))
                        {
                            JsonSerializer.Serialize(json, ResourceMaker.Flow(flow), JsonStyles.Compact.FlowResource);
                            left--;
                        }
                    }

                    await json.FlushAsync(http.RequestAborted).ConfigureAwait(false);
                    await http.Response.BodyWriter.FlushAsync(http.RequestAborted).ConfigureAwait(false);
                    return left > 0;
                },
                http.RequestAborted).ConfigureAwait(false);
            json.WriteEndArray();
            json.WriteEndObject();
        }
    }

    private static void Begin(HttpContext http, Utf8JsonWriter json, Timestamp time, int total)
    {
        if (!http.Response.HasStarted)
        {
            http.Response.ContentType = ProblemResponses.JsonType;
            json.WriteStartObject();
            json.WriteString("time", Captures.Reports.ReportText.Seconds(time));
            json.WriteNumber("total", total);
            json.WriteStartArray("flows");
        }
    }
}

using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Control;
using OnDemand.Linux.Service;

namespace OnDemand.Linux.Programs;

/// <summary>The resources of programs: what their sockets ask for, have and lose.</summary>
/// <param name="requests">What may be asked for.</param>
/// <param name="isForOperators">Whether whoever gets here may ask for all users' sockets.</param>
internal sealed class ProgramEndpoints(SocketRequests requests, bool isForOperators)
{
    /// <summary>The media type of notices: a line of JSON each.</summary>
    public const string LinesType = "application/x-ndjson";

    // Whoever watches sees that the dataplane is still there, and the dataplane that he is.
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(15);

    private static readonly byte[] EndOfLine = [(byte)'\n'];

    private CancellationToken _stopping = CancellationToken.None;

    /// <summary>Adds the resources to an application.</summary>
    /// <param name="application">The application.</param>
    public void Map(WebApplication application)
    {
        _stopping = application.Lifetime.ApplicationStopping;
        application.MapPost("/v1/setsc", SetAsync);
        application.MapGet("/v1/bindings", ListAsync);
        application.MapGet("/v1/bindings/{cookie}", FindAsync);
        application.MapDelete("/v1/bindings/{cookie}", ReleaseAsync);
        application.MapGet("/v1/watch", WatchAsync);
        application.MapGet("/v1/rights", TellRightAsync);
        application.MapGet("/openapi.json", OpenApiDocument.WriteAsync);
    }

    /// <summary>POST /v1/setsc.</summary>
    /// <param name="http">The request.</param>
    /// <returns>When it is answered.</returns>
    public async Task SetAsync(HttpContext http)
    {
        SetscOrder order = new SetscReader(HttpBodies.RequestName).Read(await HttpBodies.ReadAsync(http).ConfigureAwait(false));
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, _stopping);
        (SocketBinding Binding, Timestamp Now) granted;
        try
        {
            granted = await requests.SetAsync(AskerOf(http), order, ended.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!http.RequestAborted.IsCancellationRequested)
        {
            throw new ControlException(ProblemTypes.Unavailable, 503, "The dataplane is shutting down.");
        }

        await HttpBodies.WriteAsync(http, BindingMaker.Grant(granted.Binding, granted.Now), JsonStyles.Compact.GrantResource)
            .ConfigureAwait(false);
    }

    private async Task ListAsync(HttpContext http)
    {
        QueryValues.Check(http);
        Timestamp now = requests.Now;
        BindingResource[] bindings = [.. requests.List(AskerOf(http)).Select(binding => BindingMaker.Binding(binding, now))];
        await HttpBodies.WriteAsync(http, new BindingsResource(now, bindings), JsonStyles.Compact.BindingsResource).ConfigureAwait(false);
    }

    private async Task TellRightAsync(HttpContext http)
    {
        QueryValues.Check(http, "type");
        AddressType type = QueryValues.Type(http, "type") is { } one and not AddressType.None ? one : throw new ControlException(
            ProblemTypes.Invalid, 400, $"Found no type, expected the parameter 'type', one of {string.Join(", ", ScenarioFields.TypeNames)}.");
        await HttpBodies.WriteAsync(http, requests.RightTo(AskerOf(http), type), JsonStyles.Compact.RightResource).ConfigureAwait(false);
    }

    private async Task FindAsync(HttpContext http)
    {
        QueryValues.Check(http);
        SocketBinding binding = requests.Find(AskerOf(http), CookieOf(http));
        await HttpBodies.WriteAsync(http, BindingMaker.Binding(binding, requests.Now), JsonStyles.Compact.BindingResource)
            .ConfigureAwait(false);
    }

    private async Task ReleaseAsync(HttpContext http)
    {
        QueryValues.Check(http);
        await requests.ReleaseAsync(AskerOf(http), CookieOf(http), http.RequestAborted).ConfigureAwait(false);
        http.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    private async Task WatchAsync(HttpContext http)
    {
        QueryValues.Check(http);
        Asker asker = AskerOf(http);
        UserAccount account = requests.Accounts.Of(asker.Process.User);
        if (!asker.IsForAll && !account.TryWatch())
        {
            throw new ControlException(
                ProblemTypes.Quota, 429, $"User {asker.Process.User} may watch {UserAccount.MostWatches} times at once, and does.");
        }

        try
        {
            await WatchAsync(http, asker).ConfigureAwait(false);
        }
        finally
        {
            if (!asker.IsForAll)
            {
                account.EndWatch();
            }
        }
    }

    private async Task WatchAsync(HttpContext http, Asker asker)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, _stopping);
        IAsyncEnumerator<BindingNotice> notices = requests.WatchAsync(asker, ended.Token).GetAsyncEnumerator(ended.Token);
        await using (notices.ConfigureAwait(false))
        {
            // The watch is on before the answer begins: what happens after that is told.
            Task<bool> next = notices.MoveNextAsync().AsTask();
            try
            {
                http.Response.ContentType = LinesType;
                http.Response.Headers.CacheControl = "no-store";
                await WriteLineAsync(http, []).ConfigureAwait(false);
                while (await NextAsync(http, next, ended.Token).ConfigureAwait(false))
                {
                    NoticeResource notice = BindingMaker.Notice(notices.Current);
                    await WriteLineAsync(http, JsonSerializer.SerializeToUtf8Bytes(notice, JsonStyles.Compact.NoticeResource))
                        .ConfigureAwait(false);
                    next = notices.MoveNextAsync().AsTask();
                }
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                // The last line was whole; nothing more will come.
            }
            finally
            {
                // An enumerator may only be disposed of while it waits for nothing.
                await ended.CancelAsync().ConfigureAwait(false);
                await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    // An empty line whenever nothing has come for a while.
    private async Task<bool> NextAsync(HttpContext http, Task<bool> next, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                return await next.WaitAsync(Heartbeat, requests.Time, cancellationToken).ConfigureAwait(false);
            }
            catch (TimeoutException)
            {
                await WriteLineAsync(http, []).ConfigureAwait(false);
            }
        }
    }

    private static async Task WriteLineAsync(HttpContext http, byte[] line)
    {
        await http.Response.BodyWriter.WriteAsync((byte[])[.. line, .. EndOfLine], http.RequestAborted).ConfigureAwait(false);
    }

    private Asker AskerOf(HttpContext http) =>
        http.Features.Get<PeerProcess>() is { } process
            ? new Asker(process, isForOperators || process.User == 0)
            : throw new ControlException(ProblemTypes.Forbidden, 403, "The kernel does not say who asks.");

    private static ulong CookieOf(HttpContext http)
    {
        string? text = http.GetRouteValue("cookie") as string;
        return SetscReader.TryCookie(text, out ulong cookie)
            ? cookie
            : throw new ControlException(
                ProblemTypes.Invalid, 400, $"Found the cookie {ScalarNode.Quote(text ?? string.Empty)}, expected decimal digits.");
    }
}

using System.Text.Json;
using Microsoft.AspNetCore.Http;
using OnDemand.Captures.Scenarios;

namespace OnDemand.Linux.Control;

/// <summary>Whatever goes wrong with a request becomes a problem document (RFC 9457) with one sentence; nothing else of it is
/// told.</summary>
internal static class ProblemResponses
{
    /// <summary>The media type of resources.</summary>
    public const string JsonType = "application/json";

    /// <summary>The media type of problems.</summary>
    public const string ProblemType = "application/problem+json";

    /// <summary>Lets only operators in.</summary>
    /// <param name="http">The request.</param>
    /// <param name="next">The resources.</param>
    /// <returns>When it is answered.</returns>
    public static Task OperatorsOnly(HttpContext http, RequestDelegate next) =>
        http.Features.Get<PeerCredentials>() is { IsOperator: true }
            ? next(http)
            : throw new ControlException(
                ProblemTypes.Forbidden, 403, "Only root and the user that the dataplane runs as may use this socket.");

    /// <summary>Answers what the resources throw or leave open.</summary>
    /// <param name="http">The request.</param>
    /// <param name="next">The resources.</param>
    /// <returns>When it is answered.</returns>
    public static async Task Guard(HttpContext http, RequestDelegate next)
    {
        ControlException? problem = null;
        try
        {
            await next(http).ConfigureAwait(false);
            problem = http.Response.HasStarted || http.Response.StatusCode < 400 ? null : LeftOpen(http);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // The client is gone.
        }
        catch (Exception failed) when (failed is not OutOfMemoryException)
        {
            problem = Explain(failed);
        }

        if (problem is not null)
        {
            await AnswerAsync(http, problem.Problem).ConfigureAwait(false);
        }
    }

    private static ControlException Explain(Exception failed) => failed switch
    {
        ControlException known => known,
        ScenarioException wrong => new ControlException(ProblemTypes.Invalid, 400, wrong.Message),
        BadHttpRequestException { StatusCode: 413 } => new ControlException(ProblemTypes.Limit, 413, "The request is too long."),
        BadHttpRequestException { StatusCode: 408 } => new ControlException(ProblemTypes.Limit, 408, "The request came too slowly."),
        BadHttpRequestException bad => new ControlException(ProblemTypes.Invalid, bad.StatusCode, "The request is not well-formed HTTP."),
        HostException host => new ControlException(ProblemTypes.Host, 500, host.Message),
        _ => new ControlException(ProblemTypes.Internal, 500, $"A mistake in this program, please report it: {failed.GetType().Name}."),
    };

    private static ControlException LeftOpen(HttpContext http) => http.Response.StatusCode switch
    {
        405 => new ControlException(
            ProblemTypes.Resource, 405,
            $"{http.Request.Path} takes {http.Response.Headers.Allow}, not {ScalarNode.Quote(http.Request.Method)}."),
        404 => new ControlException(ProblemTypes.Resource, 404, $"There is no resource {ScalarNode.Quote(http.Request.Path.ToString())}."),
        _ => new ControlException(ProblemTypes.Invalid, http.Response.StatusCode, "The request cannot be answered."),
    };

    private static async Task AnswerAsync(HttpContext http, ControlProblem problem)
    {
        if (http.Response.HasStarted)
        {
            http.Abort();   // half a list is no answer, and its reader must notice
            return;
        }

        string? allow = http.Response.Headers.Allow;
        http.Response.Clear();
        http.Response.StatusCode = problem.Status;
        http.Response.ContentType = ProblemType;
        if (allow is not null)
        {
            http.Response.Headers.Allow = allow;
        }

        await JsonSerializer.SerializeAsync(http.Response.Body, problem, JsonStyles.Compact.ControlProblem, http.RequestAborted)
            .ConfigureAwait(false);
    }
}

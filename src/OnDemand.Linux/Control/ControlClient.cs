using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Programs;

namespace OnDemand.Linux.Control;

/// <summary>Talks to a running dataplane over its control socket.</summary>
internal sealed class ControlClient : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);

    private readonly string _path;
    private readonly string _hint;
    private readonly HttpClient _http;

    /// <summary>Makes a client; nothing is sent yet.</summary>
    /// <param name="socketPath">The control socket, or the programs'.</param>
    /// <param name="hint">How the user names it.</param>
    public ControlClient(string socketPath, string hint = "--control or ONDEMAND_CONTROL")
    {
        _path = socketPath;
        _hint = hint;
        SocketsHttpHandler? handler = new()
        {
            ConnectCallback = (_, cancellationToken) => ConnectAsync(socketPath, cancellationToken),
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            MaxConnectionsPerServer = 2,
        };
        try
        {
            _http = new HttpClient(handler, disposeHandler: true) { BaseAddress = new Uri("http://localhost/"), Timeout = Timeout.InfiniteTimeSpan };
            handler = null;
        }
        finally
        {
            handler?.Dispose();
        }
    }

    /// <summary>Moves the host.</summary>
    public Task<MoveResource> AttachAsync(AttachBody body, CancellationToken cancellationToken) =>
        PostAsync("v1/attach", JsonSerializer.SerializeToUtf8Bytes(body, ControlJson.Default.AttachBody), cancellationToken);

    /// <summary>Ends a prefix.</summary>
    public Task<MoveResource> WithdrawAsync(WithdrawBody body, CancellationToken cancellationToken) =>
        PostAsync("v1/withdraw", JsonSerializer.SerializeToUtf8Bytes(body, ControlJson.Default.WithdrawBody), cancellationToken);

    /// <summary>Detaches the host.</summary>
    public Task<MoveResource> DetachAsync(CancellationToken cancellationToken) => PostAsync("v1/detach", [], cancellationToken);

    /// <summary>The state of the whole.</summary>
    public Task<StatusResource> StatusAsync(CancellationToken cancellationToken) =>
        GetAsync("v1/status", ControlJson.Default.StatusResource, cancellationToken);

    /// <summary>The prefixes.</summary>
    public Task<PrefixesResource> PrefixesAsync(CancellationToken cancellationToken) =>
        GetAsync("v1/prefixes", ControlJson.Default.PrefixesResource, cancellationToken);

    /// <summary>What was counted.</summary>
    public Task<CountersResource> CountersAsync(CancellationToken cancellationToken) =>
        GetAsync("v1/counters", ControlJson.Default.CountersResource, cancellationToken);

    /// <summary>The flows.</summary>
    /// <param name="type">Only of this type; null for all.</param>
    /// <param name="protocol">Only of this protocol, by name or number; null for all.</param>
    /// <param name="limit">At most so many.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The flows.</returns>
    public Task<FlowsResource> FlowsAsync(AddressType? type, string? protocol, int limit, CancellationToken cancellationToken)
    {
        string query = type is { } only ? $"&type={AddressTypes.ToName(only)}" : string.Empty;
        query += protocol is null ? string.Empty : $"&protocol={Uri.EscapeDataString(protocol)}";
        return GetAsync($"v1/flows?limit={limit}{query}", ControlJson.Default.FlowsResource, cancellationToken);
    }

    /// <summary>Asks for an address for a socket.</summary>
    /// <param name="body">The request.</param>
    /// <param name="timeout">How long the network may take to give it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>What the socket has.</returns>
    public Task<GrantResource> SetscAsync(SetscBody body, TimeSpan timeout, CancellationToken cancellationToken) => ReadAsync(
        SendAsync(
            HttpMethod.Post, "v1/setsc", JsonSerializer.SerializeToUtf8Bytes(body, ControlJson.Default.SetscBody), cancellationToken,
            timeout + Patience),
        ControlJson.Default.GrantResource, cancellationToken);

    /// <summary>Whether the user may have a type.</summary>
    /// <param name="type">The type.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The right.</returns>
    public Task<RightResource> RightToAsync(AddressType type, CancellationToken cancellationToken) =>
        GetAsync($"v1/rights?type={AddressTypes.ToName(type)}", ControlJson.Default.RightResource, cancellationToken);

    /// <summary>What sockets have got.</summary>
    public Task<BindingsResource> BindingsAsync(CancellationToken cancellationToken) =>
        GetAsync("v1/bindings", ControlJson.Default.BindingsResource, cancellationToken);

    /// <summary>What becomes of bindings, until the dataplane ends.</summary>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>The notices.</returns>
    public async IAsyncEnumerable<NoticeResource> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using HttpResponseMessage response = await SendAsync(HttpMethod.Get, "v1/watch", null, cancellationToken).ConfigureAwait(false);
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false));
        while (await ReadLineAsync(lines, cancellationToken).ConfigureAwait(false) is { } line)
        {
            if (line.Length > 0)
            {
                yield return ReadNotice(line);
            }
        }
    }

    /// <summary>The metrics in Prometheus's text format.</summary>
    public async Task<string> MetricsAsync(CancellationToken cancellationToken)
    {
        using HttpResponseMessage response = await SendAsync(HttpMethod.Get, "metrics", null, cancellationToken).ConfigureAwait(false);
        return await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    private static async ValueTask<Stream> ConnectAsync(string path, CancellationToken cancellationToken)
    {
        Socket? socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            while (!await TryConnectAsync(socket, path, cancellationToken).ConfigureAwait(false))
            {
                await Task.Delay(Pause, cancellationToken).ConfigureAwait(false);
            }

            var stream = new NetworkStream(socket, ownsSocket: true);
            socket = null;
            return stream;
        }
        finally
        {
            socket?.Dispose();
        }
    }

    // False where many others are waiting to be accepted: connect(2) gives EAGAIN then instead of waiting.
    private static async Task<bool> TryConnectAsync(Socket socket, string path, CancellationToken cancellationToken)
    {
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (SocketException busy) when (busy.SocketErrorCode is SocketError.WouldBlock or SocketError.TryAgain)
        {
            return false;
        }
    }

    private Task<MoveResource> PostAsync(string resource, byte[] body, CancellationToken cancellationToken) =>
        ReadAsync(SendAsync(HttpMethod.Post, resource, body, cancellationToken), ControlJson.Default.MoveResource, cancellationToken);

    private Task<T> GetAsync<T>(string resource, JsonTypeInfo<T> type, CancellationToken cancellationToken) =>
        ReadAsync(SendAsync(HttpMethod.Get, resource, null, cancellationToken), type, cancellationToken);

    private async Task<T> ReadAsync<T>(Task<HttpResponseMessage> sending, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        using HttpResponseMessage response = await sending.ConfigureAwait(false);
        try
        {
            Stream body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
            return await JsonSerializer.DeserializeAsync(body, type, cancellationToken).ConfigureAwait(false) ?? throw Strange();
        }
        catch (JsonException)
        {
            throw Strange();
        }
        catch (Exception cut) when (cut is IOException or HttpRequestException)
        {
            throw new NoAnswerException($"The dataplane at '{_path}' broke off its answer.", cut);
        }
    }

    // Null at the end: whoever breaks off a watch has ended.
    private static async Task<string?> ReadLineAsync(StreamReader lines, CancellationToken cancellationToken)
    {
        try
        {
            return await lines.ReadLineAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception cut) when (cut is IOException or HttpRequestException)
        {
            return null;
        }
    }

    private NoticeResource ReadNotice(string line)
    {
        try
        {
            return JsonSerializer.Deserialize(line, ControlJson.Default.NoticeResource) ?? throw Strange();
        }
        catch (JsonException)
        {
            throw Strange();
        }
    }

    private async Task<HttpResponseMessage> SendAsync(
        HttpMethod method, string resource, byte[]? body, CancellationToken cancellationToken, TimeSpan? patience = null)
    {
        using var waiting = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        waiting.CancelAfter(patience ?? Patience);
        using var request = new HttpRequestMessage(method, resource);
        if (body is { Length: > 0 })
        {
            request.Content = new ByteArrayContent(body);
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        }

        HttpResponseMessage response;
        try
        {
            response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, waiting.Token).ConfigureAwait(false);
        }
        catch (HttpRequestException failed)
        {
            throw NoAnswer(failed);
        }
        catch (OperationCanceledException slow) when (!cancellationToken.IsCancellationRequested)
        {
            throw new NoAnswerException(
                $"The dataplane at '{_path}' did not answer within {(patience ?? Patience).TotalSeconds:0} seconds.", slow);
        }

        if (response.IsSuccessStatusCode)
        {
            return response;
        }

        using (response)
        {
            throw new ControlException(await ProblemOfAsync(response, cancellationToken).ConfigureAwait(false));
        }
    }

    private static async Task<ControlProblem> ProblemOfAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        int status = (int)response.StatusCode;
        try
        {
            byte[] body = await response.Content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false);
            if (JsonSerializer.Deserialize(body, ControlJson.Default.ControlProblem) is { Title: not null, Type: not null } problem)
            {
                return problem with { Status = status };
            }
        }
        catch (JsonException)
        {
            // Not one of ours.
        }

        return new ControlProblem(
            ProblemTypes.Internal, "A strange answer", status, $"The answer was HTTP status {status} without a reason.");
    }

    private NoAnswerException NoAnswer(HttpRequestException failed) => new(
        failed.InnerException switch
        {
            SocketException { SocketErrorCode: SocketError.AccessDenied } =>
                $"You may not use the control socket '{_path}'; only root and the user that runs the dataplane may.",
            SocketException or ArgumentException =>
                $"No dataplane answers at '{_path}'; start one with 'ondemand run', or name its socket with {_hint}.",
            _ => $"The dataplane at '{_path}' closed the connection without an answer.",
        },
        failed);

    private NoAnswerException Strange() => new($"What answers at '{_path}' is not a dataplane of this version.");
}

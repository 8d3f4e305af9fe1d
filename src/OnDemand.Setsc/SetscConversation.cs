using System.Net.Sockets;

namespace OnDemand.Setsc;

/// <summary>One question to the dataplane over a connection of its own, and one answer, by a deadline.</summary>
internal static class SetscConversation
{
    private const string DefaultPath = "/run/ondemand/od0.programs.sock";

    /// <summary>Octets of an answer's body, and of its headers in kibioctets; real answers have some 500 in all.</summary>
    private const int LongestBody = 65536, LongestHeaders = 16;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(1);

    /// <summary>Asks.</summary>
    /// <param name="request">The question.</param>
    /// <param name="path">The programs' socket; null for the usual one.</param>
    /// <param name="timeout">By when the answer must be here.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The answer, whatever it says.</returns>
    public static async Task<SetscAnswer> AskAsync(HttpRequestMessage request, string? path, TimeSpan timeout, CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(path))
        {
            path = Environment.GetEnvironmentVariable("ONDEMAND_PROGRAMS") is { Length: > 0 } set ? set : DefaultPath;
        }

        request.Headers.ConnectionClose = true;
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(timeout);
        using var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancel) => await ConnectAsync(path, cancel).ConfigureAwait(false),
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            MaxResponseHeadersLength = LongestHeaders
        };
        using var http = new HttpClient(handler, disposeHandler: false)
        {
            BaseAddress = new Uri("http://localhost/"),
            Timeout = Timeout.InfiniteTimeSpan,
            MaxResponseContentBufferSize = LongestBody
        };
        try
        {
            using HttpResponseMessage response = await http.SendAsync(request, deadline.Token).ConfigureAwait(false);
            byte[] body = await response.Content.ReadAsByteArrayAsync(deadline.Token).ConfigureAwait(false);
            return SetscAnswer.Read((int)response.StatusCode, response.Content.Headers.ContentType?.MediaType, body);
        }
        catch (OperationCanceledException end) when (!cancellationToken.IsCancellationRequested)
        {
            throw new SetscException(SetscError.Failed, end);
        }
        catch (HttpRequestException error)
        {
            throw new SetscException(ErrorOf(error), error);
        }
    }

    private static async Task<Stream> ConnectAsync(string path, CancellationToken cancellationToken)
    {
        Socket? socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            var place = new UnixDomainSocketEndPoint(path);
            while (!await TryConnectAsync(socket, place, cancellationToken).ConfigureAwait(false))
            {
                await Task.Delay(Pause, cancellationToken).ConfigureAwait(false);
            }

            var stream = new NetworkStream(socket, ownsSocket: true);
            socket = null;
            return stream;
        }
        catch (ArgumentException unfit)
        {
            // A path too long, or with a zero in it, is no socket's.
            throw new SetscException(SetscError.NoDataplane, unfit);
        }
        finally
        {
            socket?.Dispose();
        }
    }

    // False while more programs ask than the dataplane's queue holds: connect(2) gives EAGAIN then.
    private static async Task<bool> TryConnectAsync(Socket socket, UnixDomainSocketEndPoint place, CancellationToken cancellationToken)
    {
        try
        {
            await socket.ConnectAsync(place, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (SocketException busy) when (busy.SocketErrorCode is SocketError.WouldBlock or SocketError.TryAgain)
        {
            return false;
        }
        catch (SocketException error)
        {
            throw new SetscException(error.SocketErrorCode == SocketError.AccessDenied ? SetscError.Forbidden : SetscError.NoDataplane, error);
        }
    }

    private static SetscError ErrorOf(HttpRequestException error)
    {
        for (Exception? cause = error.InnerException; cause is not null; cause = cause.InnerException)
        {
            if (cause is SetscException connecting)
            {
                return connecting.Error;
            }

            if (cause is SocketException or HttpIOException { HttpRequestError: HttpRequestError.ResponseEnded })
            {
                return SetscError.ConversationLost;
            }
        }

        return error.HttpRequestError == HttpRequestError.ResponseEnded ? SetscError.ConversationLost : SetscError.Misunderstood;
    }
}

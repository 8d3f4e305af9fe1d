using System.Text;
using System.Text.Json;
using OnDemand.Linux.Control;

namespace OnDemand.Linux.Programs;

/// <summary>The programs' socket: everybody may connect, and gets what the kernel says he is and the configuration says he may.</summary>
internal static class ProgramServer
{
    private const int MostConnections = 1024;
    private const int LongestBody = 16 << 10;

    private static readonly byte[] TooMany = Refusal(new ControlProblem(
        ProblemTypes.Quota, ProblemTypes.TitleOf(ProblemTypes.Quota), 429,
        $"A user may have {UserAccount.MostConnections} connections open at once."));

    /// <summary>Starts a server.</summary>
    /// <param name="requests">What may be asked for.</param>
    /// <param name="socketPath">Where to listen; a socket that a dead process left there is replaced.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The server, listening; disposing it closes every connection and removes the socket.</returns>
    /// <exception cref="HostException">The socket cannot be made, or another server is alive there.</exception>
    public static Task<UnixHttpServer> StartAsync(SocketRequests requests, string socketPath, CancellationToken cancellationToken) =>
        UnixHttpServer.StartAsync(
            new UnixHttpSettings
            {
                Path = socketPath,
                IsForAll = true,
                MostConnections = MostConnections,
                LongestBody = LongestBody,
                Quota = QuotaOf(requests.Accounts),
                Map = new ProgramEndpoints(requests, isForOperators: false).Map,
            },
            cancellationToken);

    // One user's connections are counted, so that nobody keeps others out; root's only as all are.
    private static ConnectionQuota QuotaOf(UserAccounts accounts) => new(
        peer => peer.UserId == 0 || accounts.Of(peer.UserId).TryConnect(),
        peer =>
        {
            if (peer.UserId != 0)
            {
                accounts.Of(peer.UserId).Disconnect();
            }
        },
        TooMany);

    private static byte[] Refusal(ControlProblem problem)
    {
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(problem, JsonStyles.Compact.ControlProblem);
        return
        [
            .. Encoding.ASCII.GetBytes(
                $"HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nContent-Type: {ProblemResponses.ProblemType}\r\n"
                + $"Content-Length: {json.Length}\r\n\r\n"),
            .. json,
        ];
    }
}

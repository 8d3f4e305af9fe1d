using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace OnDemand.Setsc;

/// <summary>
/// <c>setsc()</c>, Set Service Continuity (RFC 8653, Appendix A), for .NET's sockets. The dataplane is asked over its programs' socket; it
/// knows the asking user and program from the kernel.
/// </summary>
public static class SocketServiceContinuity
{
    // <asm/socket.h>, <linux/in6.h>
    private const int SocketLevel = 1, CookieOption = 57, IPv6Level = 41, FreeBindOption = 78;

    private static readonly SetscOptions Usual = new();

    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(1);

    // How much earlier than we the dataplane gives up, so that its answer still arrives; a quarter of short timeouts.
    private static readonly TimeSpan LongestMargin = TimeSpan.FromMilliseconds(200);

    /// <summary>
    /// Gets an address of the given type for a socket that is not bound yet. The socket may then be bound to it, though it stands on no
    /// interface (IPV6_FREEBIND is set), and uses it only if it is: without a bind its RFC 5014 preferences go on to select the
    /// source address (draft-17 §5.4). With <see cref="SetscOptions.Map"/> no bind is needed.
    /// </summary>
    /// <example>
    /// A connection that survives moves, or an ordinary one where the network offers no such address:
    /// <code>
    /// using Socket socket = new(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
    /// try
    /// {
    ///     IPAddress source = await socket.SetServiceContinuityAsync(AddressType.SessionLasting);
    ///     socket.Bind(new IPEndPoint(source, 0));
    /// }
    /// catch (SetscException none) when (none.Error is SetscError.NotSupported or SetscError.Failed or SetscError.NoDataplane)
    /// {
    ///     Console.WriteLine($"{none.Message} Going on without.");
    /// }
    ///
    /// await socket.ConnectAsync(server);
    /// </code>
    /// </example>
    /// <param name="socket">An IPv6 socket.</param>
    /// <param name="type">What the address has to promise.</param>
    /// <param name="options">How to ask; null for a timeout of ten seconds and nothing else.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The address; exactly of the type asked for.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The type is reserved, or the timeout is not more than zero.</exception>
    /// <exception cref="ObjectDisposedException">The socket is closed.</exception>
    /// <exception cref="SetscException">No address; <see cref="SetscException.Error"/> says why.</exception>
    /// <exception cref="OperationCanceledException">Given up.</exception>
    public static async Task<IPAddress> SetServiceContinuityAsync(
        this Socket socket, AddressType type, SetscOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(socket);
        if (type is < AddressType.Fixed or > AddressType.GracefulReplacement)
        {
            throw new ArgumentOutOfRangeException(nameof(type), type, "This address type is reserved.");
        }

        options ??= Usual;
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(options.Timeout, TimeSpan.Zero, nameof(options));
        cancellationToken.ThrowIfCancellationRequested();
        using var held = new HeldSocket(socket);
        string cookie = Cookie(socket);
        TimeSpan timeout = options.Timeout < Longest ? options.Timeout : Longest;
        TimeSpan margin = timeout / 4 < LongestMargin ? timeout / 4 : LongestMargin;
        string body = string.Create(
            CultureInfo.InvariantCulture,
            $$"""{"fd":{{held.Descriptor}},"type":"{{SetscAnswer.NameOf(type)}}","on-net":{{Json(options.OnNet)}},"map":{{Json(options.Map)}},"timeout":{{Math.Max(0.001, (timeout - margin).TotalSeconds):0.000}}}""");
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/setsc")
        {
            Content = new StringContent(body, Encoding.UTF8, "application/json")
        };
        SetscAnswer answer = await SetscConversation.AskAsync(request, options.SocketPath, timeout, cancellationToken).ConfigureAwait(false);
        IPAddress address = answer.Granted(type, cookie);
        if (!options.Map)
        {
            socket.SetRawSocketOption(IPv6Level, FreeBindOption, BitConverter.GetBytes(1));
        }

        return address;
    }

    /// <summary>Gives back what <see cref="SetServiceContinuityAsync"/> got for this socket. Closing the socket does that too.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="options">Where to ask and for how long; null for the usual.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Ends when the dataplane has released the address.</returns>
    /// <exception cref="ObjectDisposedException">The socket is closed.</exception>
    /// <exception cref="SetscException">Not released; <see cref="SetscException.Error"/> says why.</exception>
    /// <exception cref="OperationCanceledException">Given up.</exception>
    public static async Task ReleaseServiceContinuityAsync(
        this Socket socket, SetscOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(socket);
        options ??= Usual;
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(options.Timeout, TimeSpan.Zero, nameof(options));
        cancellationToken.ThrowIfCancellationRequested();
        using var held = new HeldSocket(socket);
        using var request = new HttpRequestMessage(HttpMethod.Delete, "v1/bindings/" + Cookie(socket));
        TimeSpan timeout = options.Timeout < Longest ? options.Timeout : Longest;
        SetscAnswer answer = await SetscConversation.AskAsync(request, options.SocketPath, timeout, cancellationToken).ConfigureAwait(false);
        answer.Released();
    }

    private static string Json(bool value) => value ? "true" : "false";

    /// <summary>The kernel's name of the socket, unique for the life of the host.</summary>
    private static string Cookie(Socket socket)
    {
        if (socket.AddressFamily != AddressFamily.InterNetworkV6)
        {
            throw new SetscException(SetscError.NotIPv6);
        }

        Span<byte> cookie = stackalloc byte[sizeof(ulong)];
        try
        {
            _ = socket.GetRawSocketOption(SocketLevel, CookieOption, cookie);
        }
        catch (SocketException error)
        {
            throw new SetscException(SetscError.System, error);
        }

        return BitConverter.ToUInt64(cookie).ToString(CultureInfo.InvariantCulture);
    }
}

using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace OnDemand.Linux.Lab.Demo;

/// <summary>What both of the demo's programs know: ports, and what a download consists of.</summary>
internal static class DemoTraffic
{
    /// <summary>The first of the four ports for downloads: one for each type, in the order of RFC 8653 §3.2.</summary>
    public const int FirstTcpPort = 7001;

    /// <summary>The first of the four ports for questions.</summary>
    public const int FirstUdpPort = 9001;

    /// <summary>The types.</summary>
    public const int Types = 4;

    /// <summary>Octets of one piece of a download.</summary>
    public const int PieceLength = 16384;

    /// <summary>The time between two pieces, and between two questions.</summary>
    public static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(40);

    private const int WordLength = sizeof(ulong);

    /// <summary>The correspondent.</summary>
    public static IPAddress Peer { get; } = IPAddress.Parse(LabLinks.PeerAddress);

    /// <summary>Fills a piece of a download: every eight octets are their own position, so that what is lost or changed is seen.</summary>
    /// <param name="piece">The piece; whole words.</param>
    /// <param name="position">Where it begins.</param>
    public static void Fill(Span<byte> piece, long position)
    {
        for (int i = 0; i < piece.Length; i += WordLength)
        {
            BinaryPrimitives.WriteInt64BigEndian(piece[i..], position + i);
        }
    }

    /// <summary>Checks what arrived of a download.</summary>
    /// <param name="piece">What arrived; any length.</param>
    /// <param name="position">Where it begins in the download.</param>
    /// <returns>Whether it is what was sent.</returns>
    public static bool Matches(ReadOnlySpan<byte> piece, long position)
    {
        Span<byte> word = stackalloc byte[WordLength];
        for (int i = 0; i < piece.Length; i++)
        {
            long at = position + i;
            int inWord = (int)(at % WordLength);
            if (inWord == 0 || i == 0)
            {
                BinaryPrimitives.WriteInt64BigEndian(word, at - inWord);
            }

            if (piece[i] != word[inWord])
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Whether an error means that the connection is gone, rather than that something is wrong with us.</summary>
    /// <param name="error">The error.</param>
    /// <returns>Whether it does.</returns>
    public static bool IsEnd(SocketException error) => error.SocketErrorCode is SocketError.ConnectionReset or SocketError.ConnectionAborted
        or SocketError.Shutdown or SocketError.TimedOut or SocketError.HostUnreachable or SocketError.NetworkUnreachable;

    /// <summary>Completes when standard input ends: the demo that started us is gone, or wants us to stop.</summary>
    /// <param name="input">Standard input.</param>
    /// <returns>Completes then.</returns>
    public static async Task InputEndsAsync(Stream input)
    {
        byte[] nothing = new byte[16];
        while (await input.ReadAsync(nothing).ConfigureAwait(false) > 0)
        {
        }
    }
}

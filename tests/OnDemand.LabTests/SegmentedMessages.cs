using System.Net.Sockets;
using OnDemand.Linux.Lab.Demo;

namespace OnDemand.LabTests;

/// <summary>
/// Messages of 1 MiB over UDP. The kernel makes the datagrams: each call hands it as many as fit into 64 KiB (UDP_SEGMENT of udp(7)).
/// Octets say their own position, so what is lost, changed or out of order shows.
/// </summary>
internal static class SegmentedMessages
{
    /// <summary>Octets of a message.</summary>
    public const int Length = 1 << 20;

    /// <summary>Octets of a datagram's payload; the last one of a message is shorter.</summary>
    public const int Segment = 1400;

    /// <summary>Datagrams of a message.</summary>
    public const int Datagrams = (Length + Segment - 1) / Segment;

    private const int SegmentsInCall = 46;        // the most that fit into one IPv6 packet
    private const int SocketLevel = 1;
    private const int ForceReceiveBuffer = 33;    // SO_RCVBUFFORCE: net.core.rmem_max holds less than a message
    private const int UdpLevel = 17;
    private const int SegmentOption = 103;        // UDP_SEGMENT
    private const int GroOption = 104;            // UDP_GRO

    private const long MostUnderWay = 4 * Segment * SegmentsInCall;
    private static readonly TimeSpan Breath = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan InTime = TimeSpan.FromSeconds(20);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Prepares a socket to receive.</summary>
    /// <param name="together">Whether it takes several datagrams of equal length at once (UDP_GRO).</param>
    public static void Prepare(Socket socket, bool together)
    {
        socket.SetRawSocketOption(SocketLevel, ForceReceiveBuffer, BitConverter.GetBytes(8 * Length));
        socket.SetRawSocketOption(UdpLevel, GroOption, BitConverter.GetBytes(together ? 1 : 0));
    }

    /// <summary>
    /// Sends some messages and receives them whole. What is sent and not received yet is little, for neither a TAP nor a link's queue holds
    /// a whole message, and on a busy machine the kernel may look at them much later.
    /// </summary>
    /// <returns>The longest that came at once.</returns>
    public static async Task<int> TransferAsync(Socket from, Socket to, int messages)
    {
        var progress = new Progress();
        Task<int> receiving = ReceiveAsync(to, messages, progress);
        Task sending = SendAsync(from, messages, progress);
        await await Task.WhenAny(sending, receiving);            // what fails first says why
        await sending;
        return await receiving;
    }

    private static async Task SendAsync(Socket socket, int messages, Progress progress)
    {
        socket.SetRawSocketOption(UdpLevel, SegmentOption, BitConverter.GetBytes(Segment));
        byte[] message = new byte[Length];
        for (int number = 0; number < messages; number++)
        {
            long begin = (long)number * Length;
            DemoTraffic.Fill(message, begin);
            for (int at = 0; at < Length;)
            {
                int length = Math.Min(Segment * SegmentsInCall, Length - at);
                Assert.Equal(length, await socket.SendAsync(message.AsMemory(at, length), Cancellation));
                at += length;
                Assert.True(
                    await LabRig.BecomesAsync(() => Task.FromResult(begin + at - progress.Received <= MostUnderWay), InTime, Breath),
                    $"Of {begin + at} octets that were sent only {progress.Received} arrived.");
            }
        }
    }

    private static async Task<int> ReceiveAsync(Socket socket, int messages, Progress progress)
    {
        byte[] some = new byte[1 << 16];
        int longest = 0;
        for (long at = 0; at < (long)messages * Length; progress.Received = at)
        {
            int length = await socket.ReceiveAsync(some, Cancellation).AsTask().WaitAsync(InTime, Cancellation);
            Assert.True(length % Segment == 0 || (at + length) % Length == 0, $"{length} octets came at {at}.");
            Assert.True(DemoTraffic.Matches(some.AsSpan(0, length), at), $"What came at {at} belongs elsewhere, or is not what was sent.");
            longest = Math.Max(longest, length);
            at += length;
        }

        return longest;
    }

    private sealed class Progress
    {
        private long _received;

        public long Received
        {
            get => Volatile.Read(ref _received);
            set => Volatile.Write(ref _received, value);
        }
    }
}

using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace OnDemand.Linux.Tests.Setsc;

/// <summary>A dataplane's programs' socket that answers as the test says.</summary>
internal sealed partial class SetscServer : IAsyncDisposable
{
    private const int OpenByProcess = 434, GetDescriptor = 438;
    private const int SocketLevel = 1, PeerCredentials = 17, CookieOption = 57;

    private readonly string _directory = Directory.CreateTempSubdirectory("setsc-server-").FullName;
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly CancellationTokenSource _ending = new();
    private readonly Func<SetscQuestion, Task> _answer;
    private readonly Task _accepting;

    public SetscServer(Func<SetscQuestion, Task> answer, int backlog = 128)
    {
        _answer = answer;
        _listener.Bind(new UnixDomainSocketEndPoint(SocketPath));
        _listener.Listen(backlog);
        _accepting = Task.Run(AcceptAsync);
    }

    public string SocketPath => Path.Combine(_directory, "programs.sock");

    /// <summary>All that was asked so far.</summary>
    public ConcurrentQueue<SetscQuestion> Questions { get; } = new();

    /// <summary>What went wrong in the server itself: always empty in a good test.</summary>
    public ConcurrentQueue<Exception> Failures { get; } = new();

    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        _listener.Dispose();
        await _accepting;
        _ending.Dispose();
        Directory.Delete(_directory, true);
        if (Failures.TryPeek(out Exception? failure))
        {
            throw new InvalidOperationException("The test's server failed.", failure);
        }
    }

    /// <summary>The cookie of the socket that the descriptor in a question is at this moment, taken as the dataplane takes it.</summary>
    public static ulong CookieOf(Socket connection, string body)
    {
        int descriptor = JsonDocument.Parse(body).RootElement.GetProperty("fd").GetInt32();
        byte[] peer = new byte[12];
        _ = connection.GetRawSocketOption(SocketLevel, PeerCredentials, peer);
        nint process = Call(OpenByProcess, BitConverter.ToInt32(peer), 0, 0);
        nint taken = Call(GetDescriptor, process, descriptor, 0);
        int error = Marshal.GetLastPInvokeError();
        _ = Close((int)process);
        if (taken < 0)
        {
            throw new InvalidOperationException($"Descriptor {descriptor} could not be taken: errno {error}.");
        }

        // Not wrapped in a Socket of .NET: that would set options on what is the program's.
        Span<byte> cookie = stackalloc byte[8];
        int length = cookie.Length;
        int status = GetOption((int)taken, SocketLevel, CookieOption, ref MemoryMarshal.GetReference(cookie), ref length);
        _ = Close((int)taken);
        return status == 0 ? BitConverter.ToUInt64(cookie) : throw new InvalidOperationException("The descriptor is not a socket.");
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                Socket connection = await _listener.AcceptAsync(_ending.Token);
                _ = ServeAsync(connection);
            }
        }
        catch (Exception end) when (end is OperationCanceledException or SocketException or ObjectDisposedException)
        {
        }
    }

    private async Task ServeAsync(Socket connection)
    {
        using (connection)
        {
            try
            {
                SetscQuestion question = await ReadAsync(connection);
                Questions.Enqueue(question);
                await _answer(question);
            }
            catch (Exception failure) when (failure is not SocketException)
            {
                Failures.Enqueue(failure);
            }
            catch (SocketException)
            {
            }
        }
    }

    private static async Task<SetscQuestion> ReadAsync(Socket connection)
    {
        var text = new StringBuilder();
        byte[] octets = new byte[4096];
        while (true)
        {
            int got = await connection.ReceiveAsync(octets);
            text.Append(Encoding.ASCII.GetString(octets, 0, got));
            string so_far = text.ToString();
            int end = so_far.IndexOf("\r\n\r\n", StringComparison.Ordinal);
            if (end >= 0)
            {
                string head = so_far[..(end + 2)], body = so_far[(end + 4)..];
                Match length = LengthHeader().Match(head);
                if (!length.Success || body.Length >= int.Parse(length.Groups[1].Value, CultureInfo.InvariantCulture))
                {
                    return new SetscQuestion(head, body, body.Length == 0 ? 0 : CookieOf(connection, body), connection);
                }
            }

            if (got == 0)
            {
                throw new InvalidOperationException($"The question ended early: '{so_far}'.");
            }
        }
    }

    [GeneratedRegex("(?im)^Content-Length: ([0-9]+)\r?$")]
    private static partial Regex LengthHeader();

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint Call(nint number, nint first, nint second, nint third);

    [LibraryImport("libc", EntryPoint = "close")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "getsockopt")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int GetOption(int descriptor, int level, int name, ref byte value, ref int length);
}

using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Run;

namespace OnDemand.Linux.Control;

/// <summary>
/// Takes in the connections of a server on a Unix socket, on a thread of its own that does nothing else.
/// </summary>
/// <remarks>
/// The queue of connections that nobody has accepted yet is the same for all users: whoever fills it keeps others waiting, and has those
/// turned away who do not wait (EAGAIN of connect(2)). So it is emptied as fast as the kernel can, whatever the rest of the program has to
/// do, and what a user has too much of is closed at once, before it costs more than the call that accepts it.
/// </remarks>
internal sealed class UnixListener : IConnectionListener
{
    private const int Backlog = 512;
    private const int MostPending = 256;          // those that nobody serves yet; beyond that root waits too
    private const int NoSignal = 0x4000;          // MSG_NOSIGNAL
    private const int DoNotWait = 0x40;           // MSG_DONTWAIT
    private const int Pause = 10;                 // milliseconds, while there are no descriptors left

    private readonly Socket _socket;
    private readonly ConnectionQuota? _quota;
    // The server takes them on the thread that accepts, which is short (it starts a task for each), and saves every connection a change of
    // threads.
    private readonly Channel<Pending> _pending = Channel.CreateBounded<Pending>(
        new BoundedChannelOptions(MostPending) { SingleWriter = true, AllowSynchronousContinuations = true });

    private readonly SocketConnectionContextFactory _contexts = new(new SocketConnectionFactoryOptions(), NullLogger.Instance);
    private readonly CancellationTokenSource _stop = new();
    private readonly WakeUp _wakeUp = new();
    private readonly Thread _thread;
    private int _disposed;

    private UnixListener(EndPoint place, UnixHttpSettings settings)
    {
        _quota = settings.Quota;
        EndPoint = place;
        _socket = ControlSocket.Bind(settings.Path, settings.IsForAll);
        try
        {
            _socket.Blocking = false;
            _socket.Listen(Backlog);
        }
        catch
        {
            _socket.Dispose();
            throw;
        }

        _thread = new Thread(AcceptAll) { IsBackground = true, Name = "accept" };
        _thread.Start();
    }

    /// <inheritdoc/>
    public EndPoint EndPoint { get; }

    /// <inheritdoc/>
    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (await _pending.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
        {
            if (_pending.Reader.TryRead(out Pending next) && TryServe(next) is { } connection)
            {
                return connection;
            }
        }

        return null;
    }

    /// <inheritdoc/>
    public async ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        _wakeUp.Ring();
        await Task.Run(_thread.Join, CancellationToken.None).ConfigureAwait(false);
        _socket.Dispose();                        // and removes its file
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await UnbindAsync().ConfigureAwait(false);
        while (_pending.Reader.TryRead(out Pending unserved))
        {
            Drop(unserved);
        }

        _contexts.Dispose();
        _wakeUp.Dispose();
        _stop.Dispose();
    }

    private unsafe void AcceptAll()
    {
        Span<PollEntry> entries =
        [
            new PollEntry { Descriptor = (int)_socket.Handle, Wanted = Libc.PollIn },
            new PollEntry { Descriptor = _wakeUp.Descriptor, Wanted = Libc.PollIn },
        ];
        while (!_stop.IsCancellationRequested)
        {
            _ = Libc.Poll(entries, (nuint)entries.Length, null, 0);
            while (!_stop.IsCancellationRequested && TryAcceptOne())
            {
            }
        }

        _pending.Writer.Complete();
    }

    // Whether there may be more.
    private bool TryAcceptOne()
    {
        FileDescriptor accepted = Libc.Accept(_socket.SafeHandle, 0, 0, Libc.CloseOnExec);
        if (accepted.IsInvalid)
        {
            int error = Libc.LastError;
            accepted.Dispose();
            if (error is Errno.Emfile or Errno.Enfile or Errno.Enobufs or Errno.Enomem)
            {
                Thread.Sleep(Pause);
            }

            return error != Errno.Eagain;
        }

        if (PeerCredentials.TryOf(accepted) is not { } peer)
        {
            accepted.Dispose();
        }
        else if (_quota is not null && !_quota.TryEnter(peer))
        {
            _ = Libc.SendTo(accepted, _quota.Refusal, (nuint)_quota.Refusal.Length, NoSignal | DoNotWait, default, 0);
            accepted.Dispose();
        }
        else
        {
            HandOver(new Pending(accepted, peer));
        }

        return true;
    }

    private void HandOver(Pending pending)
    {
        try
        {
            while (!_pending.Writer.TryWrite(pending))
            {
                _ = _pending.Writer.WaitToWriteAsync(_stop.Token).AsTask().GetAwaiter().GetResult();
            }
        }
        catch (OperationCanceledException)
        {
            Drop(pending);
        }
    }

    private void Drop(Pending pending)
    {
        pending.Accepted.Dispose();
        _quota?.Leave(pending.Peer);
    }

    // Null if the socket is of no use any more: the server would end if it were told so by an exception.
    private ConnectionContext? TryServe(Pending pending)
    {
        SafeSocketHandle? handle = new(pending.Accepted.Number, ownsHandle: true);
        pending.Accepted.SetHandleAsInvalid();
        Socket? socket = null;
        try
        {
            socket = new Socket(handle);
            handle = null;
            ConnectionContext connection = _contexts.Create(socket);
            socket = null;
            return _quota is null ? connection : new CountedConnection(connection, () => _quota.Leave(pending.Peer));
        }
        catch (SocketException)
        {
            _quota?.Leave(pending.Peer);
            return null;
        }
        finally
        {
            socket?.Dispose();
            handle?.Dispose();
        }
    }

    private readonly record struct Pending(FileDescriptor Accepted, PeerCredentials Peer);

    /// <summary>Makes the listener of a server's one socket.</summary>
    /// <param name="settings">How the server is to be.</param>
    internal sealed class Factory(UnixHttpSettings settings) : IConnectionListenerFactory
    {
        private readonly Func<EndPoint, IConnectionListener> _listen = endpoint => new UnixListener(endpoint, settings);

        /// <inheritdoc/>
        public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
            ValueTask.FromResult(_listen(endpoint));
    }
}

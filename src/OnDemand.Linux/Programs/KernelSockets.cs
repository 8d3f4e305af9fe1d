using OnDemand.Linux.Service;
using OnDemand.Linux.Sockets;

namespace OnDemand.Linux.Programs;

/// <summary>Asks the kernel, of the network namespace of the thread that makes this. Flows have a door of their own, for the look-up of a
/// cookie has to go through all sockets.</summary>
internal sealed class KernelSockets : ISocketLookup, IDisposable
{
    private readonly Lock _flowLock = new();
    private readonly Lock _cookieLock = new();
    private readonly SocketDiag _flows;
    private readonly SocketDiag _all;

    /// <summary>Opens it.</summary>
    /// <exception cref="HostException">The kernel cannot tell of sockets.</exception>
    public KernelSockets()
    {
        _flows = SocketDiag.Open();
        try
        {
            _all = SocketDiag.Open();
        }
        catch
        {
            _flows.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public SocketOwnerInfo? ByCookie(ulong cookie)
    {
        SocketOwnerInfo? found = null;
        lock (_cookieLock)
        {
            foreach (SocketProtocol protocol in (ReadOnlySpan<SocketProtocol>)[SocketProtocol.Tcp, SocketProtocol.Udp])
            {
                _all.Dump(protocol, SocketStates.OfPrograms, (in SocketRecord record) =>
                {
                    if (record.Cookie == cookie)
                    {
                        found = OwnerOf(record);
                    }
                });
            }
        }

        return found;
    }

    /// <inheritdoc/>
    public SocketOwnerInfo? ByFlow(SocketQuery flow)
    {
        lock (_flowLock)
        {
            return _flows.TryFind(flow, out SocketRecord record) ? OwnerOf(record) : null;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _flows.Dispose();
        _all.Dispose();
    }

    // Where no program has it, the user says nothing.
    private static SocketOwnerInfo? OwnerOf(in SocketRecord record) =>
        record.HasProgram ? new SocketOwnerInfo(record.Cookie, record.Uid) { Place = new SocketPlace(default, record.Inode) } : null;
}

using System.Net.Sockets;

namespace OnDemand.Setsc;

/// <summary>Keeps a socket's descriptor from being closed, and its number from being another's, while the dataplane takes it.</summary>
internal readonly struct HeldSocket : IDisposable
{
    private readonly SafeSocketHandle _handle;

    public HeldSocket(Socket socket)
    {
        bool held = false;
        _handle = socket.SafeHandle;
        _handle.DangerousAddRef(ref held);   // throws ObjectDisposedException for a closed one
        Descriptor = (int)_handle.DangerousGetHandle();
    }

    public int Descriptor { get; }

    public void Dispose() => _handle.DangerousRelease();
}

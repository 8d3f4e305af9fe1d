using System.ComponentModel;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace OnDemand.Setsc;

/// <summary>
/// A duplicate of a socket's descriptor, for as long as the dataplane may take it: whoever closes the socket meanwhile, and opens another
/// of the same number, cannot make us ask for the wrong one.
/// </summary>
internal sealed partial class HeldSocket : IDisposable
{
    private const int DuplicateCloseOnExec = 1030;   // F_DUPFD_CLOEXEC, <linux/fcntl.h>

    private readonly SafeFileHandle _duplicate;

    public HeldSocket(Socket socket)
    {
        ObjectDisposedException.ThrowIf(socket.SafeHandle.IsClosed, socket);
        int duplicate = Control(socket.SafeHandle, DuplicateCloseOnExec, 0);
        if (duplicate < 0)
        {
            throw new SetscException(SetscError.System, new Win32Exception(Marshal.GetLastPInvokeError()));
        }

        Descriptor = duplicate;
        _duplicate = new SafeFileHandle(duplicate, ownsHandle: true);
    }

    public int Descriptor { get; }

    public void Dispose() => _duplicate.Dispose();

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Control(SafeHandle descriptor, int command, nint argument);
}

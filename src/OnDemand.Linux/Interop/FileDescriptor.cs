using Microsoft.Win32.SafeHandles;

namespace OnDemand.Linux.Interop;

/// <summary>An open file descriptor; closed when disposed.</summary>
internal sealed class FileDescriptor : SafeHandleMinusOneIsInvalid
{
    /// <summary>Makes an empty one, for the marshaller.</summary>
    public FileDescriptor()
        : base(ownsHandle: true)
    {
    }

    // The C library gives an int: its -1 is not the -1 of a wider register.
    /// <inheritdoc/>
    public override bool IsInvalid => (int)handle < 0;

    /// <summary>Its number. Only for calls that are made while the descriptor is certainly open.</summary>
    public int Number => (int)handle;

    /// <inheritdoc/>
    protected override bool ReleaseHandle() => Libc.Close((int)handle) == 0;
}

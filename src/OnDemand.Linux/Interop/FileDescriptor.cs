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

    /// <summary>Takes over a descriptor that a call has given as a number.</summary>
    /// <param name="number">The number; below 0 for none.</param>
    /// <returns>It.</returns>
    public static FileDescriptor Own(int number)
    {
        FileDescriptor descriptor = new();
        descriptor.SetHandle(number);
        return descriptor;
    }

    // The C library gives an int: its -1 is not the -1 of a wider register.
    /// <inheritdoc/>
    public override bool IsInvalid => (int)handle < 0;

    /// <summary>Its number. Only for calls that are made while the descriptor is certainly open.</summary>
    public int Number => (int)handle;

    /// <inheritdoc/>
    protected override bool ReleaseHandle() => Libc.Close((int)handle) == 0;
}

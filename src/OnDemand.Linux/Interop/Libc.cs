using System.Runtime.InteropServices;

namespace OnDemand.Linux.Interop;

/// <summary>The calls of the C library that this program makes, each declared once and by its manual page.</summary>
internal static partial class Libc
{
    private const string Library = "libc";

    /// <summary>The error of the last call that was declared with SetLastError, see errno(3).</summary>
    public static int LastError => Marshal.GetLastPInvokeError();

    /// <summary>close(2).</summary>
    [LibraryImport(Library, EntryPoint = "close")]
    public static partial int Close(int descriptor);

    /// <summary>geteuid(2): 0 is root.</summary>
    [LibraryImport(Library, EntryPoint = "geteuid")]
    public static partial uint GetEffectiveUserId();
}

using System.Runtime.InteropServices;

namespace OnDemand.Linux.Interop;

/// <summary>A system call failed.</summary>
public sealed class LinuxException : IOException
{
    /// <summary>Makes an exception without a known error.</summary>
    public LinuxException()
        : this("a system call", 0)
    {
    }

    /// <summary>Makes an exception without a known error.</summary>
    /// <param name="message">What failed.</param>
    public LinuxException(string message)
        : base(message)
    {
    }

    /// <summary>Makes an exception without a known error.</summary>
    /// <param name="message">What failed.</param>
    /// <param name="innerException">Why.</param>
    public LinuxException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>Makes an exception of a failed call.</summary>
    /// <param name="call">The call and what it was for, as in <c>ioctl TUNSETIFF od0</c>.</param>
    /// <param name="error">Its errno.</param>
    public LinuxException(string call, int error)
        : base($"{call}: {Marshal.GetPInvokeErrorMessage(error)}")
    {
        Call = call;
        Error = error;
    }

    /// <summary>The call that failed.</summary>
    public string Call { get; } = string.Empty;

    /// <summary>Its errno, see errno(3); 0 if there is none.</summary>
    public int Error { get; }
}

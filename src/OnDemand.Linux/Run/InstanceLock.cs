using System.Globalization;
using System.Text;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Run;

/// <summary>
/// Keeps a second dataplane from starting with the same control socket: a lock on a file beside it, which the kernel gives up when the
/// process is gone, however it went. The file itself stays, for removing it would let two processes lock two files of one name.
/// </summary>
internal sealed class InstanceLock : IDisposable
{
    private const uint OnlyOwner = 0x180;            // 0600
    private const int OwnerLength = 12;

    private readonly FileDescriptor _file;

    private InstanceLock(FileDescriptor file) => _file = file;

    /// <summary>The lock's file.</summary>
    /// <param name="socketPath">The control socket.</param>
    /// <returns>The path.</returns>
    public static string PathFor(string socketPath) => socketPath + ".lock";

    /// <summary>The file where the host's network notes how it was before.</summary>
    /// <param name="socketPath">The control socket.</param>
    /// <returns>The path.</returns>
    public static string NotesFor(string socketPath) => socketPath + ".notes";

    /// <summary>Takes the lock; makes the directory if it is not there.</summary>
    /// <param name="socketPath">The control socket.</param>
    /// <param name="tap">The TAP, for the message.</param>
    /// <returns>The lock, held until it is disposed.</returns>
    /// <exception cref="HostException">Another process has it, or the file cannot be made.</exception>
    public static InstanceLock Take(string socketPath, string tap)
    {
        string path = PathFor(socketPath);
        MakeDirectory(Path.GetDirectoryName(path)!);
        FileDescriptor file = Libc.Open(path, Libc.ReadWrite | Libc.Create | Libc.CloseOnExec, OnlyOwner);
        try
        {
            if (file.IsInvalid)
            {
                string error = new LinuxException($"open {path}", Libc.LastError).Message;
                throw new HostException($"{error}; choose another path under 'host: control'.");
            }

            if (Libc.Lock(file.Number, Libc.LockExclusive | Libc.LockNonBlocking) < 0)
            {
                throw new HostException(
                    $"Another ondemand{Owner(file)} runs already for {tap} with the control socket {socketPath}: stop it, or choose "
                    + "another 'tap' and 'control' under 'host'.");
            }

            string process = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
            byte[] owner = Encoding.ASCII.GetBytes(process.PadRight(OwnerLength - 1) + "\n");
            _ = Libc.Write(file.Number, owner, owner.Length);
            return new InstanceLock(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private static void MakeDirectory(string path)
    {
        try
        {
            Directory.CreateDirectory(path);
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            throw new HostException(
                $"The directory {path} cannot be made: start ondemand as root, or choose another path under 'host: control'.", problem);
        }
    }

    // Read through the descriptor that is open already: the runtime would want a lock of its own.
    private static string Owner(FileDescriptor file)
    {
        Span<byte> octets = stackalloc byte[OwnerLength];
        nint length = Libc.Read(file.Number, octets, octets.Length);
        string text = Encoding.ASCII.GetString(octets[..(int)Math.Max(0, length)]).Trim();
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int process)
            ? string.Create(CultureInfo.InvariantCulture, $" (process {process})") : string.Empty;
    }
}

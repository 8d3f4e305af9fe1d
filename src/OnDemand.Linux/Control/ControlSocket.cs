using System.Net.Sockets;
using System.Text;
using Microsoft.Win32.SafeHandles;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Control;

/// <summary>The Unix socket of a server: made so that nobody but its owner can ever reach it, in the place of one that a dead process
/// left.</summary>
internal static class ControlSocket
{
    /// <summary>Where sockets are unless the user says otherwise.</summary>
    public const string DefaultDirectory = "/run/ondemand";

    /// <summary>The socket of the TAP that is made unless the user says otherwise.</summary>
    public const string DefaultPath = $"{DefaultDirectory}/od0{Extension}";

    private const string Extension = ".sock";
    private const string ProgramsExtension = ".programs.sock";
    private const UnixFileMode OwnersOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode Others = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    private const int LongestPath = 107;   // sun_path less its terminator, unix(7)
    private const int TypeMask = 0xf000;   // S_IFMT, inode(7)
    private const int SocketFile = 0xc000; // S_IFSOCK

    /// <summary>The socket of a TAP unless the user says otherwise.</summary>
    /// <param name="tap">The TAP.</param>
    /// <returns>Its path.</returns>
    public static string DefaultFor(string tap) => $"{DefaultDirectory}/{tap}{Extension}";

    /// <summary>The programs' socket unless the user says otherwise: beside the operator's.</summary>
    /// <param name="control">The path of the operator's socket.</param>
    /// <returns>Its path.</returns>
    public static string ForProgramsBeside(string control) =>
        (control.EndsWith(Extension, StringComparison.Ordinal) ? control[..^Extension.Length] : control) + ProgramsExtension;

    /// <summary>The sockets in a directory at which somebody answers, or which the user may not try.</summary>
    /// <param name="directory">The directory; it need not exist.</param>
    /// <param name="forPrograms">Whether those for programs are meant rather than those for operators.</param>
    /// <returns>Their paths, in order.</returns>
    public static IReadOnlyList<string> FindAlive(string directory, bool forPrograms = false)
    {
        try
        {
            return
            [
                .. Directory.EnumerateFileSystemEntries(directory, "*" + Extension)
                    .Where(path => path.EndsWith(ProgramsExtension, StringComparison.Ordinal) == forPrograms)
                    .Where(IsAlive).Order(StringComparer.Ordinal),
            ];
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>The TAPs whose dataplanes answer in the usual place, or may not be tried.</summary>
    /// <returns>Their names, in order.</returns>
    public static IReadOnlyList<string> FindTaps() =>
    [
        .. FindAlive(DefaultDirectory).Select(path => Path.GetFileNameWithoutExtension(path))
            .Where(static name => !name.EndsWith(".programs", StringComparison.Ordinal)),
    ];

    /// <summary>Makes sure that a socket can be bound at a path: its directory is there, and what a dead process left is gone.</summary>
    /// <param name="path">The path.</param>
    /// <exception cref="HostException">It cannot: another server is alive there, something else is there, or the path cannot be
    /// used.</exception>
    public static void Prepare(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            throw new HostException("The control socket needs Linux.");
        }

        if (Encoding.UTF8.GetByteCount(path) > LongestPath)
        {
            throw new HostException($"The path of the control socket '{path}' is longer than {LongestPath} octets; choose a shorter one.");
        }

        try
        {
            if (Path.GetDirectoryName(Path.GetFullPath(path)) is { Length: > 0 } directory && !Directory.Exists(directory))
            {
                Directory.CreateDirectory(
                    directory,
                    UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead
                    | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
            }

            RemoveStale(path);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new HostException(
                $"The control socket '{path}' cannot be made: {refused.Message.TrimEnd('.')}; choose another path.", refused);
        }
    }

    /// <summary>Binds a socket that only its owner may connect to, unless told otherwise.</summary>
    /// <param name="path">The path.</param>
    /// <param name="forAll">Whether everybody may connect.</param>
    /// <returns>The socket, bound and not yet listening.</returns>
    public static Socket Bind(string path, bool forAll = false)
    {
        if (OperatingSystem.IsWindows())
        {
            throw new HostException("The control socket needs Linux.");
        }

        UnixFileMode mode = forAll ? OwnersOnly | Others : OwnersOnly;
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            // The mode of the socket itself becomes that of its file, so there is no moment at which the file is open to others
            // (unix_bind).
            using (var handle = new SafeFileHandle(socket.Handle, ownsHandle: false))
            {
                File.SetUnixFileMode(handle, mode);
            }

            socket.Bind(new UnixDomainSocketEndPoint(path));
            File.SetUnixFileMode(path, mode);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static void RemoveStale(string path)
    {
        Span<byte> status = stackalloc byte[Libc.StatusLength];
        if (Libc.GetStatus(Libc.WorkingDirectory, path, Libc.DoNotFollow, Libc.StatusType, status) != 0)
        {
            return;   // nothing there; whatever else is wrong, binding says
        }

        int mode = BitConverter.ToUInt16(status[Libc.StatusModeOffset..]);
        if ((mode & TypeMask) != SocketFile)
        {
            throw new HostException(
                $"'{path}' is there and is not a socket, so it is left alone; choose another path for the control socket.");
        }

        if (IsAlive(path))
        {
            throw new HostException($"Another dataplane answers at '{path}'; stop it, or choose another path for the control socket.");
        }

        File.Delete(path);
    }

    private static bool IsAlive(string path)
    {
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException refused)
        {
            return refused.SocketErrorCode != SocketError.ConnectionRefused;   // whoever may not connect cannot say that nobody is there
        }
    }
}

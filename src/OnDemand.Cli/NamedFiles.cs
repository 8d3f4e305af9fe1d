using System.Globalization;
using OnDemand.Captures.Replay;
using OnDemand.Linux.Interop;

namespace OnDemand.Cli;

/// <summary>
/// The files that the user named, looked at before anything is read or written: nothing is done, and nothing overwritten, if one of them
/// cannot be what it is named for.
/// </summary>
internal static class NamedFiles
{
    private const int Input = 0;
    private const int Output = 1;

    /// <summary>Checks them.</summary>
    /// <param name="files">What each is for, its path (null or empty if it was not named; <c>-</c> for a standard stream), and whether it
    /// is written.</param>
    /// <exception cref="UsageException">Two are the same file: the second would overwrite the first, or the input while it is being read.
    /// Or one that is written is a directory, or has none to be in.</exception>
    public static void Check(ReadOnlySpan<(string Name, string? Path, bool IsWritten)> files)
    {
        Dictionary<string, string> users = new(StringComparer.Ordinal);
        foreach ((string name, string? path, bool isWritten) in files)
        {
            if (string.IsNullOrEmpty(path))
            {
                continue;
            }

            string key = KeyOf(path, isWritten);
            if (!users.TryAdd(key, name))
            {
                throw new UsageException(
                    $"{users[key]} and {name} are both {(path == ReplayOptions.StandardStream ? StreamOf(isWritten) : $"'{path}'")}; give each its own.");
            }
        }

        foreach ((string name, string? path, bool isWritten) in files)
        {
            if (isWritten && !string.IsNullOrEmpty(path) && path != ReplayOptions.StandardStream)
            {
                CheckPlace(name, path);
            }
        }
    }

    private static void CheckPlace(string name, string path)
    {
        if (Directory.Exists(path))
        {
            throw new UsageException($"The {name} '{path}' is a directory, expected a file.");
        }

        if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } place && !Directory.Exists(place))
        {
            throw new UsageException($"There is no directory '{place}' for the {name} '{path}'.");
        }
    }

    // Of a file that is there its identity, so that a link to it is told to be the same, and so is a standard stream that the shell has led
    // to it; of one that is to be made its directory's and its name.
    private static string KeyOf(string path, bool isWritten)
    {
        FileIdentity file;
        bool isRegular;
        if (path == ReplayOptions.StandardStream)
        {
            return FileIdentity.TryGet(isWritten ? Output : Input, out file, out isRegular) && isRegular ? TextOf(file) : StreamOf(isWritten);
        }

        string full = Path.GetFullPath(path);
        return FileIdentity.TryGet(full, out file, out isRegular) ? isRegular ? TextOf(file) : full
            : Path.GetDirectoryName(full) is { } place && FileIdentity.TryGet(place, out file) ? $"{TextOf(file)}/{Path.GetFileName(full)}" : full;
    }

    private static string StreamOf(bool isWritten) => isWritten ? "standard output" : "standard input";

    private static string TextOf(FileIdentity file) => string.Create(CultureInfo.InvariantCulture, $"{file.Device:x}:{file.Inode:x}");
}

using OnDemand.Captures.Recording;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Recording;

/// <summary>
/// The file of a recording. It has whole steps only and never more octets than its limit: the record that says why it ends has its room
/// kept free, and when the disk has none, the last steps make room for it.
/// </summary>
internal sealed class RecordingFile : IDisposable
{
    /// <summary>Octets that are kept for the record of the end.</summary>
    public const int EndLength = 128;

    private const UnixFileMode OnlyOwner = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly FileStream _file;
    private readonly long _limit;
    private long _length;            // whole steps

    /// <summary>Creates the file, for its owner only: it holds traffic, and the secrets that addresses are made of.</summary>
    /// <param name="path">The file; one that is there is overwritten.</param>
    /// <param name="limit">The longest that it may become.</param>
    /// <exception cref="HostException">It cannot be created.</exception>
    public RecordingFile(string path, long limit)
    {
        _limit = limit;
        try
        {
            var create = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, Share = FileShare.Read, BufferSize = 0 };
            if (!OperatingSystem.IsWindows())
            {
                create.UnixCreateMode = OnlyOwner;
            }

            _file = new FileStream(path, create);
            if (!OperatingSystem.IsWindows() && !IsDevice(path))
            {
                File.SetUnixFileMode(_file.SafeFileHandle, OnlyOwner);   // of a file that was there
            }
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"The recording cannot be written: {problem.Message.TrimEnd('.')}.", problem);
        }
    }

    /// <summary>Octets in the file.</summary>
    public long Length => _length;

    /// <summary>Writes steps; when not all of them may be in the file, as many as may.</summary>
    /// <param name="steps">The steps.</param>
    /// <param name="ends">Where each of them ends.</param>
    /// <returns>Null, or the word for why the recording has to end.</returns>
    public string? TryWrite(ReadOnlySpan<byte> steps, IReadOnlyList<int> ends)
    {
        long room = _limit - EndLength - _length;
        if (steps.Length <= room)
        {
            return Put(steps) ? null : ControlText.EndByDisk;
        }

        int fits = ends.LastOrDefault(end => end <= room);
        return Put(steps[..fits]) ? ControlText.EndByLimit : ControlText.EndByDisk;
    }

    /// <summary>Writes the end.</summary>
    /// <param name="end">The last record, at most <see cref="EndLength"/> octets.</param>
    /// <returns>Whether it could be written; else the file ends with its last whole step.</returns>
    public bool TryEnd(ReadOnlySpan<byte> end) => Put(end);

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    // Whose mode is everybody's.
    private static bool IsDevice(string path)
    {
        string full = Path.GetFullPath(path);
        return full.StartsWith("/dev/", StringComparison.Ordinal) && !full.StartsWith("/dev/shm/", StringComparison.Ordinal);
    }

    private bool Put(ReadOnlySpan<byte> octets)
    {
        try
        {
            RandomAccess.Write(_file.SafeFileHandle, octets, _length);
            _length += octets.Length;
            return true;
        }
        catch (IOException)
        {
            Truncate();
            return false;
        }
    }

    private void Truncate()
    {
        try
        {
            RandomAccess.SetLength(_file.SafeFileHandle, _length);
        }
        catch (IOException)
        {
            // Then the replay says that the recording is cut, and does everything before.
        }
    }
}

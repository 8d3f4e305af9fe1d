using System.Globalization;
using Microsoft.Win32.SafeHandles;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Audit;

/// <summary>A file of lines that never grows beyond a size: before it would, it becomes <c>file.1</c>, that <c>file.2</c>, and the last
/// one goes. Belongs to one thread at a time.</summary>
internal sealed class RotatedFile : IDisposable
{
    private const uint OwnerOnly = 0x180;    // 0600

    private readonly AuditSettings _settings;
    private SafeFileHandle _handle;
    private long _length;

    /// <summary>Opens the file, or makes it; only its owner may read it.</summary>
    /// <param name="settings">Which, and how long.</param>
    /// <exception cref="IOException">It cannot be opened.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be opened.</exception>
    public RotatedFile(AuditSettings settings)
    {
        _settings = settings;
        Directory.CreateDirectory(Path.GetDirectoryName(settings.File)!);
        _handle = Open();
        _length = RandomAccess.GetLength(_handle);
        EndLastLine();
    }

    /// <summary>Writes whole lines.</summary>
    /// <param name="lines">The lines; a single one may be longer than the file.</param>
    /// <exception cref="IOException">They cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The next file may not be made.</exception>
    public void Write(ReadOnlySpan<byte> lines)
    {
        if (_length > 0 && _length + lines.Length > _settings.Size)
        {
            Rotate();
        }

        try
        {
            RandomAccess.Write(_handle, lines, _length);
        }
        catch (IOException)
        {
            RandomAccess.SetLength(_handle, _length);    // what a full disk took of them is no line, and would spoil the next one
            throw;
        }

        _length += lines.Length;
    }

    /// <inheritdoc/>
    public void Dispose() => _handle.Dispose();

    // The power may have gone in the middle of one.
    private void EndLastLine()
    {
        Span<byte> last = stackalloc byte[1];
        if (_length > 0 && RandomAccess.Read(_handle, last, _length - 1) == 1 && last[0] != (byte)'\n')
        {
            RandomAccess.Write(_handle, "\n"u8, _length);
            _length++;
        }
    }

    private void Rotate()
    {
        for (int number = _settings.Keep; number > 0; number--)
        {
            string older = NameOf(number);
            string newer = NameOf(number - 1);
            if (File.Exists(newer))
            {
                File.Move(newer, older, overwrite: true);
            }
        }

        if (_settings.Keep == 0)
        {
            File.Delete(_settings.File);
        }

        SafeFileHandle full = _handle;
        _handle = Open();
        full.Dispose();
        _length = RandomAccess.GetLength(_handle);
    }

    private string NameOf(int number) =>
        number == 0 ? _settings.File : string.Create(CultureInfo.InvariantCulture, $"{_settings.File}.{number}");

    private SafeFileHandle Open()
    {
        using FileDescriptor descriptor = Libc.Open(
            _settings.File, Libc.ReadWrite | Libc.Create | Libc.CloseOnExec, OwnerOnly);
        if (descriptor.IsInvalid)
        {
            throw new LinuxException($"open {_settings.File}", Libc.LastError);
        }

        var handle = new SafeFileHandle(descriptor.Number, ownsHandle: true);
        descriptor.SetHandleAsInvalid();
        return handle;
    }
}

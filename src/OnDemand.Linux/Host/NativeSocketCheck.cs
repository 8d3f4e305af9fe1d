using System.Text;
using Microsoft.Win32.SafeHandles;

namespace OnDemand.Linux.Host;

/// <summary>
/// Says for each socket that asks whether the kernel would keep from it what comes in for a typed address of its own. The settings' files,
/// those of the network namespace in which this is made, stay open: a program waits for the answer, and opening them takes longer than
/// reading them.
/// </summary>
internal sealed class NativeSocketCheck : IDisposable
{
    private readonly Dictionary<string, SafeFileHandle> _files = [];

    /// <summary>Opens the settings that there are.</summary>
    public NativeSocketCheck()
    {
        foreach (string path in ForwardingSettings.OfNativeSockets)
        {
            try
            {
                _files.Add(path, File.OpenHandle(path));
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // A kernel without it.
            }
        }
    }

    /// <summary>Why a socket cannot be given an address to bind itself to, now. For any thread.</summary>
    /// <returns>A sentence; null if it can.</returns>
    public string? WhyNot() => ForwardingSettings.WhyNotNative(TryRead);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (SafeFileHandle file in _files.Values)
        {
            file.Dispose();
        }
    }

    // From the beginning each time, the kernel gives what is so at that moment.
    private string? TryRead(string path)
    {
        Span<byte> room = stackalloc byte[16];
        return _files.TryGetValue(path, out SafeFileHandle? file) ? Encoding.ASCII.GetString(room[..RandomAccess.Read(file, room, 0)]).Trim() : null;
    }
}

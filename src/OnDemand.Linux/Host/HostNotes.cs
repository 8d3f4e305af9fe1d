using System.Globalization;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Host;

/// <summary>
/// What the kernel cannot tell us later: how settings were before we changed them, and addresses that we made where addresses carry no
/// protocol number. Kept in a small file, so that the next start knows it after a crash; notes of another boot or of another network
/// namespace are not ours and are dropped.
/// </summary>
internal sealed class HostNotes
{
    private const string BootFile = "/proc/sys/kernel/random/boot_id";
    private const string NamespaceLink = "/proc/thread-self/ns/net";

    private readonly string? _path;
    private readonly string _here;

    /// <summary>Reads the notes of an earlier run, if there are any.</summary>
    /// <param name="path">The file; null to keep notes in memory only.</param>
    public HostNotes(string? path)
    {
        _path = path;
        _here = $"here {File.ReadAllText(BootFile).Trim()} {new FileInfo(NamespaceLink).LinkTarget}";
        if (path is not null && File.Exists(path))
        {
            Read(File.ReadAllLines(path));
        }
    }

    /// <summary>Settings to put back, in this order.</summary>
    public List<SettingNote> Settings { get; } = [];

    /// <summary>Addresses we made.</summary>
    public HashSet<IpAddress> Addresses { get; } = [];

    /// <summary>How the TAP was; null if it is not known or has not been changed.</summary>
    public LinkNote? Link { get; set; }

    /// <summary>Writes the notes. To be called before what they tell of is done.</summary>
    /// <exception cref="HostException">The file cannot be written.</exception>
    public void Save()
    {
        if (_path is null)
        {
            return;
        }

        List<string> lines = [_here];
        lines.AddRange(Settings.Select(note => $"setting {note.Path} {note.Before} {note.Expected}"));
        lines.AddRange(Addresses.Select(address => $"address {address}"));
        if (Link is LinkNote link)
        {
            lines.Add(string.Create(CultureInfo.InvariantCulture, $"link {link.Index} {link.Mtu} {link.Flags}"));
        }

        try
        {
            string draft = _path + ".new";
            File.WriteAllLines(draft, lines);
            File.Move(draft, _path, overwrite: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"Cannot note in '{_path}' how the host was before: {exception.Message}", exception);
        }
    }

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        Settings.Clear();
        Addresses.Clear();
        Link = null;
        try
        {
            File.Delete(_path ?? string.Empty);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            // Without a file there is nothing to delete, and what cannot be deleted tells the next run of things that are as they were.
        }
    }

    private void Read(string[] lines)
    {
        if (lines.Length == 0 || lines[0] != _here)
        {
            return;
        }

        foreach (string[] words in lines.Select(line => line.Split(' ')))
        {
            switch (words)
            {
                case ["setting", string path, string before, string expected] when SettingNote.IsOurs(path):
                    Settings.Add(new SettingNote(path, before, expected));
                    break;
                case ["address", string text] when IpAddress.TryParse(text, out IpAddress address):
                    Addresses.Add(address);
                    break;
                case ["link", string index, string mtu, string flags]
                    when int.TryParse(index, Plain, out int number) && int.TryParse(mtu, Plain, out int octets)
                        && uint.TryParse(flags, Plain, out uint bits):
                    Link = new LinkNote(number, octets, bits);
                    break;
            }
        }
    }

    private static CultureInfo Plain => CultureInfo.InvariantCulture;
}

/// <summary>A setting under /proc/sys/net/ipv6/conf, or one of the two for sockets.</summary>
/// <param name="Path">Its file.</param>
/// <param name="Before">What to put back.</param>
/// <param name="Expected">What it must be at that moment; anything else was set by somebody since, and stays.</param>
internal readonly record struct SettingNote(string Path, string Before, string Expected)
{
    /// <summary>The directory of all such settings.</summary>
    public const string Directory = "/proc/sys/net/ipv6/conf/";

    /// <summary>Whether a file is one that this program may write.</summary>
    /// <param name="path">The file.</param>
    /// <returns>Whether it is.</returns>
    public static bool IsOurs(string path) => path is "/proc/sys/net/ipv4/tcp_early_demux" or "/proc/sys/net/ipv4/udp_early_demux"
        || (path.StartsWith(Directory, StringComparison.Ordinal)
        && !path.Contains("..", StringComparison.Ordinal)
        && (path.EndsWith("/forwarding", StringComparison.Ordinal) || path.EndsWith("/accept_ra", StringComparison.Ordinal)));
}

/// <summary>How an interface was.</summary>
/// <param name="Index">Its index.</param>
/// <param name="Mtu">Its longest packet.</param>
/// <param name="Flags">Its flags.</param>
internal readonly record struct LinkNote(int Index, int Mtu, uint Flags);

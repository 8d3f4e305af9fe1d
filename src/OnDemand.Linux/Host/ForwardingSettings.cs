namespace OnDemand.Linux.Host;

/// <summary>
/// IPv6 forwarding of the calling thread's network namespace (/proc/sys/net shows each thread its own). Turning it on does more than its
/// name says: the kernel writes the same into every interface and stops listening to router advertisements where accept_ra is 1.
/// </summary>
internal static class ForwardingSettings
{
    private const string All = SettingNote.Directory + "all/forwarding";

    // The kernel looks for the socket of a packet before it routes it, and then refuses to forward what belongs to a socket of its own
    // (ip6_forward); packets to sockets that are bound to typed addresses must first go through the TAP. For IPv6 too.
    private static readonly string[] EarlyDemultiplexing =
        ["/proc/sys/net/ipv4/tcp_early_demux", "/proc/sys/net/ipv4/udp_early_demux"];

    // Off, the two above have no effect.
    private const string AnyEarlyDemultiplexing = "/proc/sys/net/ipv4/ip_early_demux";

    /// <summary>The settings that <see cref="WhyNotNative"/> goes by.</summary>
    internal static IEnumerable<string> OfNativeSockets => EarlyDemultiplexing.Append(AnyEarlyDemultiplexing);

    /// <summary>Looks whether forwarding is on.</summary>
    /// <exception cref="HostException">It is off, or there is no IPv6.</exception>
    public static void Check()
    {
        if (!IsOn())
        {
            throw new HostException(
                "IPv6 forwarding is off: turn it on with 'sysctl -w net.ipv6.conf.all.forwarding=1', "
                + "or write 'forwarding: set' in the configuration.");
        }
    }

    /// <summary>What keeps packets from sockets that are bound to typed addresses, now.</summary>
    /// <returns>The settings that are on and must be off for them, as sysctl(8) writes them; empty if there is none.</returns>
    public static IReadOnlyList<string> AgainstNativeSockets() => AgainstNativeSockets(TryRead);

    /// <summary>What whoever runs a dataplane must know where the settings of the host are only checked.</summary>
    /// <returns>A sentence; null if there is nothing to say.</returns>
    public static string? Warning() => AgainstNativeSockets() is { Count: > 0 } settings
        ? $"With 'forwarding: check' {Names(settings)} on, so sockets that bind themselves to a typed address would hear nothing, and setsc() "
            + $"gives addresses only to sockets that are mapped: set {(settings.Count == 1 ? "it" : "them")} to 0 with 'sysctl -w "
            + $"{string.Join(' ', settings.Select(setting => $"{setting}=0"))}', or write 'forwarding: set' in the configuration."
        : null;

    /// <summary>Why a socket cannot be given an address to bind itself to.</summary>
    /// <param name="read">Reads one of <see cref="OfNativeSockets"/>; null if it is not there.</param>
    /// <returns>A sentence; null if it can.</returns>
    internal static string? WhyNotNative(Func<string, string?> read) => AgainstNativeSockets(read) is { Count: > 0 } settings
        ? $"This host's kernel would keep from the socket what comes in for such an address, for {Names(settings)} on; ask with 'map', so that "
            + "the dataplane puts the address into the socket's packets."
        : null;

    private static IReadOnlyList<string> AgainstNativeSockets(Func<string, string?> read) => read(AnyEarlyDemultiplexing) == "0"
        ? [] : [.. EarlyDemultiplexing.Where(path => read(path) == "1").Select(path => $"net.ipv4.{Path.GetFileName(path)}")];

    private static string Names(IReadOnlyList<string> settings) => $"{string.Join(" and ", settings)} {(settings.Count == 1 ? "is" : "are")}";

    /// <summary>Turns forwarding on, if it is off, and the early look for sockets off, if it is on.</summary>
    /// <param name="uplinks">Interfaces that go on listening to router advertisements.</param>
    /// <param name="notes">Where to note how it was; saved before anything is changed.</param>
    /// <exception cref="HostException">It cannot be done.</exception>
    public static void Set(IEnumerable<string> uplinks, HostNotes notes)
    {
        if (!IsOn())
        {
            notes.Settings.Clear();
            TurnOn(uplinks, notes);
        }

        List<string> early = [.. EarlyDemultiplexing.Where(path => TryRead(path) == "1")];
        if (early.Count > 0)
        {
            notes.Settings.AddRange(early.Select(path => new SettingNote(path, "1", "0")));
            notes.Save();
            early.ForEach(path => Write(path, "0"));
        }
    }

    private static void TurnOn(IEnumerable<string> uplinks, HostNotes notes)
    {
        notes.Settings.Add(new SettingNote(All, "0", "1"));
        foreach (string directory in Directory.GetDirectories(SettingNote.Directory))
        {
            // Putting "all" back to 0 puts each interface to 0; those that had 1 get it back.
            string forwarding = Path.Combine(directory, "forwarding");
            if (forwarding != All && TryRead(forwarding) == "1")
            {
                notes.Settings.Add(new SettingNote(forwarding, "1", "0"));
            }
        }

        IEnumerable<string> uplinkSettings = uplinks.Select(name => $"{SettingNote.Directory}{name}/accept_ra");
        List<string> listening = [.. uplinkSettings.Where(path => TryRead(path) == "1")];
        notes.Settings.AddRange(listening.Select(path => new SettingNote(path, "1", "2")));
        notes.Save();
        foreach (string path in listening)
        {
            Write(path, "2");
        }

        Write(All, "1");
    }

    /// <summary>Puts settings back that nobody has changed since.</summary>
    /// <param name="notes">How they were.</param>
    /// <exception cref="HostException">It cannot be done.</exception>
    public static void Restore(HostNotes notes)
    {
        foreach (SettingNote note in notes.Settings)
        {
            if (TryRead(note.Path) == note.Expected)
            {
                Write(note.Path, note.Before);
            }
        }
    }

    /// <summary>Whether forwarding is on.</summary>
    /// <returns>Whether it is.</returns>
    /// <exception cref="HostException">There is no IPv6.</exception>
    public static bool IsOn() =>
        TryRead(All) is string value
            ? value != "0"
            : throw new HostException("This kernel has no IPv6, or /proc is not mounted: the dataplane needs both.");

    private static string? TryRead(string path)
    {
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;    // the interface has gone
        }
    }

    private static void Write(string path, string value)
    {
        try
        {
            File.WriteAllText(path, value);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            // The interface has gone, and its settings with it.
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"Cannot write {value} to {path}: run as root, and with /proc/sys writable.", exception);
        }
    }
}

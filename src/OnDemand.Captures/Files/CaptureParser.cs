namespace OnDemand.Captures.Files;

/// <summary>Cuts a window of octets into records. It holds what earlier records said (byte order, interfaces), and no octet of
/// them.</summary>
internal abstract class CaptureParser(CaptureReaderOptions options)
{
    private readonly List<CaptureInterface> _interfaces = [];

    /// <summary>The format of the file.</summary>
    public abstract CaptureFormat Format { get; }

    /// <summary>The interfaces described so far, over all sections.</summary>
    public IReadOnlyList<CaptureInterface> Interfaces => _interfaces;

    /// <summary>The damage that stopped <see cref="Parse"/>; null while there is none.</summary>
    public CaptureDamage? Damage { get; private set; }

    /// <summary>The limits the caller set.</summary>
    protected CaptureReaderOptions Options { get; } = options;

    /// <summary>How many interfaces were described so far.</summary>
    protected int InterfaceCount => _interfaces.Count;

    /// <summary>How many octets the window must hold, as far as it can be told, before <see cref="Parse"/> gets any further.</summary>
    /// <param name="window">What was read and not yet parsed.</param>
    public abstract int Measure(ReadOnlySpan<byte> window);

    /// <summary>Takes one record off the front of a window.</summary>
    /// <param name="window">What was read and not yet parsed.</param>
    /// <param name="offset">Where the window begins in the file.</param>
    /// <param name="record">The record.</param>
    /// <returns>The record's length; 0 when octets are missing or there is <see cref="Damage"/>.</returns>
    public abstract int Parse(ReadOnlySpan<byte> window, long offset, out CaptureRecord record);

    /// <summary>Whether the front of a window is a packet's, as far as can be told from its first octets; then <see cref="Parse"/> changes
    /// nothing but <see cref="Damage"/>.</summary>
    /// <param name="window">What was read and not yet parsed.</param>
    public abstract bool IsAtPacket(ReadOnlySpan<byte> window);

    /// <summary>Forgets damage that was found ahead of its turn.</summary>
    public void ForgetDamage() => Damage = null;

    /// <summary>Judges the end of the file.</summary>
    /// <param name="window">What is left and is no whole record.</param>
    /// <param name="offset">Where the window begins in the file.</param>
    /// <returns>The damage; null when the file ends where a record ends.</returns>
    public abstract CaptureDamage? JudgeEnd(ReadOnlySpan<byte> window, long offset);

    /// <summary>Remembers damage.</summary>
    /// <returns>0, for <see cref="Parse"/> to return.</returns>
    protected int Stop(CaptureDamage damage)
    {
        Damage = damage;
        return 0;
    }

    protected void AddInterface(CaptureInterface description) => _interfaces.Add(description);

    protected CaptureInterface GetInterface(int index) => _interfaces[index];
}

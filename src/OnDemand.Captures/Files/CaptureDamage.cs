namespace OnDemand.Captures.Files;

/// <summary>Why the rest of a capture file cannot be read. Everything before <see cref="Offset"/> was delivered.</summary>
/// <param name="Offset">Where the damaged file header, record or block begins, in octets from the start of the file.</param>
/// <param name="Description">One sentence that names the place and what was expected there.</param>
public sealed record CaptureDamage(long Offset, string Description)
{
    /// <inheritdoc/>
    public override string ToString() => Description;
}

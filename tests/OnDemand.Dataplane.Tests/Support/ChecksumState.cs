namespace OnDemand.Dataplane.Tests.Support;

/// <summary>What stands in a built frame's checksum field.</summary>
public enum ChecksumState
{
    /// <summary>The right sum.</summary>
    Right,

    /// <summary>A wrong one.</summary>
    Wrong,

    /// <summary>Zero; UDP's "none".</summary>
    Absent,

    /// <summary>The sum of the pseudo-header, not complemented: the rest is left to a device.</summary>
    Partial,
}

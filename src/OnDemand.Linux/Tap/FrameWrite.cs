namespace OnDemand.Linux.Tap;

/// <summary>One frame among many that go to the kernel together.</summary>
internal struct FrameWrite
{
    /// <summary>Its first part in the table of parts.</summary>
    public int First;

    /// <summary>How many parts it has, one behind the other.</summary>
    public int Count;

    /// <summary>Afterwards: octets written, or the negative errno.</summary>
    public int Result;
}

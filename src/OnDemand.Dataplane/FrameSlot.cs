namespace OnDemand.Dataplane;

/// <summary>One frame of a batch: where it lies in the batch's buffer, and what becomes of it.</summary>
public struct FrameSlot
{
    /// <summary>Where the frame begins in the buffer.</summary>
    public int Offset;

    /// <summary>Its length in octets.</summary>
    public int Length;

    /// <summary>Whether it comes from the network.</summary>
    public bool Inbound;

    /// <summary>What the caller knows of it; the network offset is from the frame's beginning.</summary>
    public FrameInfo Info;

    /// <summary>The engine's word on it, after the call.</summary>
    public Verdict Verdict;
}

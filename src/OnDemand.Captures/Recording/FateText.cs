namespace OnDemand.Captures.Recording;

/// <summary>Says in a comment that a frame which the engine gave out was not written, and why.</summary>
internal static class FateText
{
    private static readonly (RecordedFate Fate, string Text)[] Texts =
    [
        (RecordedFate.Loop, "not written: it would come straight back"),
        (RecordedFate.LinkScope, "not written: it is for this link only"),
        (RecordedFate.Refused, "not written: the kernel refused it"),
    ];

    /// <summary>The words.</summary>
    /// <param name="fate">What became of the frame; not written.</param>
    /// <returns>The words.</returns>
    public static string Of(RecordedFate fate) => Array.Find(Texts, known => known.Fate == fate).Text;

    /// <summary>Reads what became of a frame out of its comment.</summary>
    /// <param name="comment">The comment.</param>
    /// <returns>What became of it.</returns>
    public static RecordedFate Read(string comment)
    {
        foreach ((RecordedFate fate, string text) in Texts)
        {
            if (comment.Contains(text, StringComparison.Ordinal))
            {
                return fate;
            }
        }

        return RecordedFate.Written;
    }
}

namespace OnDemand.Captures.Scenarios;

/// <summary>Finds the name that a writer most likely meant.</summary>
internal static class NearestName
{
    // Longer words are nobody's misspelling of ours, and would only cost time.
    private const int LongestWord = 40;

    /// <summary>The known name with the smallest edit distance, if it is near enough to be a misspelling.</summary>
    /// <param name="word">What was written.</param>
    /// <param name="known">The known names.</param>
    /// <returns>The name; null when none is near.</returns>
    public static string? Of(string word, IEnumerable<string> known)
    {
        if (word.Length is 0 or > LongestWord)
        {
            return null;
        }

        string? nearest = null;
        int best = Math.Min(word.Length, Math.Max(2, word.Length / 2) + 1);   // at least one letter must be right
        foreach (string name in known)
        {
            int distance = Distance(word, name);
            if (distance < best)
            {
                best = distance;
                nearest = name;
            }
        }

        return nearest;
    }

    /// <summary>The Levenshtein distance: insertions, deletions and replacements of one character; case does not count.</summary>
    /// <param name="left">A word.</param>
    /// <param name="right">Another word.</param>
    /// <returns>The number of changes.</returns>
    public static int Distance(string left, string right)
    {
        int[] row = new int[right.Length + 1];
        for (int column = 0; column <= right.Length; column++)
        {
            row[column] = column;
        }

        for (int i = 1; i <= left.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= right.Length; j++)
            {
                int above = row[j];
                bool same = char.ToUpperInvariant(left[i - 1]) == char.ToUpperInvariant(right[j - 1]);
                row[j] = Math.Min(Math.Min(row[j - 1], above) + 1, diagonal + (same ? 0 : 1));
                diagonal = above;
            }
        }

        return row[right.Length];
    }
}

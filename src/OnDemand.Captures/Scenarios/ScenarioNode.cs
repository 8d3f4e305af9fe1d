namespace OnDemand.Captures.Scenarios;

/// <summary>A node of the scenario's YAML tree with its place in the file.</summary>
/// <param name="Line">The line, counted from 1.</param>
/// <param name="Column">The column, counted from 1.</param>
internal abstract record ScenarioNode(int Line, int Column)
{
    /// <summary>What a reader would call this node, for "found …".</summary>
    public abstract string Description { get; }

    /// <summary>Whether nothing stands here, as after <c>sockets:</c> when every entry is commented out.</summary>
    public virtual bool IsEmpty => false;
}

/// <summary>A word, number or quoted text.</summary>
internal sealed record ScalarNode(int Line, int Column, string Text, bool IsPlain) : ScenarioNode(Line, Column)
{
    /// <inheritdoc/>
    public override string Description => IsEmpty ? "nothing" : Quote(Text);

    /// <inheritdoc/>
    public override bool IsEmpty => IsPlain && Text.Length == 0;

    // A sentence stays a sentence whatever the file holds: short, one line, nothing that a terminal would obey.
    internal static string Quote(string text)
    {
        const int longest = 60;
        Span<char> shown = stackalloc char[Math.Min(text.Length, longest)];
        for (int i = 0; i < shown.Length; i++)
        {
            shown[i] = char.IsControl(text[i]) || char.IsSurrogate(text[i]) ? '\uFFFD' : text[i];
        }

        return text.Length > longest ? $"'{shown}…'" : $"'{shown}'";
    }
}

/// <summary>A list.</summary>
internal sealed record SequenceNode(int Line, int Column, IReadOnlyList<ScenarioNode> Items) : ScenarioNode(Line, Column)
{
    /// <inheritdoc/>
    public override string Description => "a list";
}

/// <summary>A map; its keys are unique scalars, in the order of the file.</summary>
internal sealed record MappingNode(int Line, int Column, IReadOnlyList<KeyValuePair<ScalarNode, ScenarioNode>> Entries)
    : ScenarioNode(Line, Column)
{
    /// <inheritdoc/>
    public override string Description => "a map";
}

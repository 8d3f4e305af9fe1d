namespace OnDemand.Dataplane.Selection;

/// <summary>What policy says of a flow, and which rule says it.</summary>
/// <param name="RuleIndex">The rule, counted from 0, or <see cref="Default"/>.</param>
/// <param name="Outcome">What the flow gets.</param>
public readonly record struct PolicyMatch(int RuleIndex, PolicyOutcome Outcome)
{
    /// <summary>The index that stands for the default: no rule matched.</summary>
    public const int Default = -1;
}

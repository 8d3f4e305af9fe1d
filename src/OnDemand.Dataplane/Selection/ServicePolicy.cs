using OnDemand.Dataplane.Mobility;

namespace OnDemand.Dataplane.Selection;

/// <summary>
/// What flows get that did not ask for themselves, and which unsolicited flows may come in. First match wins. Immutable; asking allocates
/// nothing.
/// </summary>
public sealed class ServicePolicy
{
    /// <summary>The most rules of either kind: every new flow may be held against all of them.</summary>
    public const int MaximumRules = 4096;

    private readonly PolicyRule[] _rules;
    private readonly InboundRule[] _inbound;

    /// <summary>Makes a policy.</summary>
    /// <param name="rules">The rules, first match first; at most <see cref="MaximumRules"/>.</param>
    /// <param name="inbound">The rules for unsolicited inbound flows; at most <see cref="MaximumRules"/>.</param>
    /// <param name="defaultOutcome">What a flow gets that no rule matches: <see cref="PolicyOutcome.Legacy"/> or a type.</param>
    /// <exception cref="ArgumentException">
    /// There are too many rules, an inbound rule names no existing type, or the default pins a prefix.
    /// </exception>
    public ServicePolicy(ReadOnlySpan<PolicyRule> rules, ReadOnlySpan<InboundRule> inbound, PolicyOutcome defaultOutcome)
    {
        ThrowIfTooMany(rules.Length, nameof(rules));
        ThrowIfTooMany(inbound.Length, nameof(inbound));
        foreach (ref readonly InboundRule rule in inbound)
        {
            if (rule.Type != AddressType.None && !AddressTypes.IsDefined(rule.Type))
            {
                throw new ArgumentException($"An inbound rule opens type {(byte)rule.Type}, which does not exist.", nameof(inbound));
            }
        }

        if (defaultOutcome.Prefix is not null)
        {
            throw new ArgumentException("The default is legacy or a type; only a rule can pin a prefix.", nameof(defaultOutcome));
        }

        _rules = rules.ToArray();
        _inbound = inbound.ToArray();
        DefaultOutcome = defaultOutcome;
    }

    /// <summary>
    /// A policy without rules whose default is legacy: nothing is asked of the network, and only Fixed addresses are reachable.
    /// </summary>
    public static ServicePolicy Empty { get; } = new([], [], PolicyOutcome.Legacy);

    /// <summary>What a flow gets that no rule matches.</summary>
    public PolicyOutcome DefaultOutcome { get; }

    /// <summary>The rules, first match first.</summary>
    public ReadOnlySpan<PolicyRule> Rules => _rules;

    /// <summary>The rules for unsolicited inbound flows.</summary>
    public ReadOnlySpan<InboundRule> Inbound => _inbound;

    /// <summary>What a new flow gets.</summary>
    /// <param name="facts">The flow.</param>
    /// <returns>The first rule that matches and its outcome, or <see cref="PolicyMatch.Default"/> and the default.</returns>
    public PolicyMatch Match(in FlowFacts facts)
    {
        for (int index = 0; index < _rules.Length; index++)
        {
            ref readonly PolicyRule rule = ref _rules[index];
            if (rule.Matches(facts))
            {
                return new PolicyMatch(index, rule.Outcome);
            }
        }

        return new PolicyMatch(PolicyMatch.Default, DefaultOutcome);
    }

    /// <summary>
    /// Whether an unsolicited flow may come in: a Fixed address is reachable by itself (RFC 8653 §3.2), every other needs a rule.
    /// </summary>
    /// <param name="type">The type of the address it comes to; <see cref="AddressType.None"/> for an address without one.</param>
    /// <param name="facts">The flow.</param>
    /// <param name="ruleIndex">The inbound rule that lets it in, counted from 0; -1 if no rule was needed or none matches.</param>
    /// <returns>Whether it may.</returns>
    public bool AllowsInbound(AddressType type, in FlowFacts facts, out int ruleIndex)
    {
        ruleIndex = -1;
        if (type == AddressType.Fixed)
        {
            return true;
        }

        for (int index = 0; index < _inbound.Length; index++)
        {
            if (_inbound[index].Matches(type, facts))
            {
                ruleIndex = index;
                return true;
            }
        }

        return false;
    }

    private static void ThrowIfTooMany(int count, string parameter)
    {
        if (count > MaximumRules)
        {
            throw new ArgumentException($"A policy has at most {MaximumRules} rules of a kind; {count} were given.", parameter);
        }
    }
}

using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <content>
/// Which address a socket gets: the type is decided first (request, policy rule, default), then RFC 6724 chooses among the addresses of
/// that type, and the choice is kept as the socket's binding, whatever its peers.
/// </content>
public sealed partial class DataplaneEngine
{
    private const ushort RequestOutcomes = 0x8000;   // outcomes from here on are socket requests
    private const int MaximumOutcomes = 4 * ServicePolicy.MaximumRules;

    private readonly SourceAddressSelection _selection;
    private readonly SourceCandidate[] _candidates;
    private readonly int[] _candidateAddresses;
    private readonly List<PolicyOutcome> _outcomes = [];
    private ServicePolicy _policy = ServicePolicy.Empty;
    private ushort[] _outcomeOfRule = [];
    private ushort _defaultOutcome;

    /// <summary>Takes a new policy; existing bindings and flows are untouched. Not for the packet path: it allocates.</summary>
    /// <param name="policy">The policy.</param>
    public void SetPolicy(ServicePolicy policy)
    {
        ArgumentNullException.ThrowIfNull(policy);
        _ = OutcomeNumber(PolicyOutcome.Legacy);
        for (AddressType type = AddressType.Fixed; type <= AddressType.GracefulReplacement; type++)
        {
            _ = OutcomeNumber(PolicyOutcome.OfType(type));   // flows that came in may need them later, on the packet path
            _ = OutcomeNumber(PolicyOutcome.OfType(type, onNet: true));
        }

        foreach (AddressPreferences preferences in AddressPreferenceRules.Effective)
        {
            _ = OutcomeNumber(PolicyOutcome.LegacyPreferring(preferences));
        }

        ushort[] outcomes = new ushort[policy.Rules.Length];
        for (int i = 0; i < outcomes.Length; i++)
        {
            outcomes[i] = OutcomeNumber(policy.Rules[i].Outcome);
        }

        _defaultOutcome = OutcomeNumber(policy.DefaultOutcome);
        _outcomeOfRule = outcomes;
        _policy = policy;
    }

    // Equal outcomes have one number for ever, so that a reload does not tear sockets from their bindings.
    private ushort OutcomeNumber(in PolicyOutcome outcome)
    {
        int number = _outcomes.IndexOf(outcome);
        if (number < 0)
        {
            if (_outcomes.Count == MaximumOutcomes)
            {
                throw new InvalidOperationException($"More than {MaximumOutcomes} different outcomes of policy in the life of one engine.");
            }

            number = _outcomes.Count;
            _outcomes.Add(outcome);
        }

        return (ushort)number;
    }

    private PolicyOutcome OutcomeOf(ushort number) => number >= RequestOutcomes ? _requests[number - RequestOutcomes].Outcome : _outcomes[number];

    // The address of a new flow. What its socket asked for itself comes first, then the command it runs under, then policy. Sockets that
    // the kernel has named share nothing with others of the same port. socket: the place of what was said of it, or -1.
    private SourceChoice Acquire(in FlowFacts flow, int host, ulong tail, int socket, Timestamp now)
    {
        SocketAnswer said = socket >= 0 ? _pendingSockets![socket].Answer : default;
        ulong named = said.Cookie != 0 ? SocketTail(said.Cookie) : 0;
        FlowFacts facts = flow with { Traits = said.Traits };
        int request = named != 0 ? FindMappedRequest(named) : -1;
        request = request >= 0 ? request : FindRequest(tail);
        Decision decision;
        ushort outcome;
        if (request >= 0)
        {
            outcome = (ushort)(RequestOutcomes + request);
            decision = new Decision(DecisionOrigin.SocketRequest, _requests[request].Outcome.Type, default, -1, default);
        }
        else if (AddressTypes.IsDefined(said.Type))
        {
            outcome = OutcomeNumber(PolicyOutcome.OfType(said.Type, said.OnNet));
            decision = new Decision(DecisionOrigin.Command, said.Type, default, -1, default);
        }
        else
        {
            PolicyMatch match = _policy.Match(facts);
            outcome = match.RuleIndex >= 0 ? _outcomeOfRule[match.RuleIndex] : _defaultOutcome;
            DecisionOrigin origin = match.RuleIndex >= 0 ? DecisionOrigin.PolicyRule
                : match.Outcome.IsLegacy ? DecisionOrigin.Legacy : DecisionOrigin.DefaultType;
            decision = new Decision(origin, match.Outcome.Type, default, (short)match.RuleIndex, default);
            if (said.Preferences != AddressPreferences.None && match.Outcome == PolicyOutcome.Legacy)
            {
                outcome = OutcomeNumber(PolicyOutcome.LegacyPreferring(AddressPreferenceRules.EffectOf(said.Preferences)));
            }
        }

        return AcquireFor(outcome, decision, facts.Remote, host, named != 0 ? named : tail, mayAsk: true, now);
    }

    private SourceChoice AcquireFor(
        ushort outcome, Decision decision, IpAddress destination, int host, ulong tail, bool mayAsk, Timestamp now)
    {
        ulong key = BindingTable.KeyOf(tail, outcome);
        int binding = _bindings.Find(key);
        if (binding >= 0 && IsForNewFlows(_bindings[binding].Address))
        {
            decision = _bindings[binding].Decision;
            return new SourceChoice
            {
                Address = _bindings[binding].Address,
                Binding = binding,
                Decision = decision with { Remarks = decision.Remarks | DecisionRemarks.SameSocket },
            };
        }

        if (binding < 0 && _bindings.IsFull)
        {
            return new SourceChoice { Result = ChoiceResult.NoBinding, Decision = decision, Binding = -1 };
        }

        SourceChoice choice = Select(OutcomeOf(outcome), outcome, decision, destination, host, mayAsk, now);
        if (choice.Result != ChoiceResult.Chosen)
        {
            return choice;
        }

        if (binding < 0)
        {
            binding = _bindings.Add(key);
            CountRequestBinding(outcome, 1);
        }
        else
        {
            MoveHold(_bindings[binding].Request, choice.Address, now);
            LeaveAddress(_bindings[binding].Address);
        }

        _bindings[binding].Address = choice.Address;
        _bindings[binding].Decision = choice.Decision;
        _addresses.Typed(choice.Address).Users++;
        choice.Binding = binding;
        return choice;
    }

    // A flow without a connection whose address has ended or is being replaced: its socket's new address.
    private SourceChoice Rebind(ReadOnlySpan<byte> frame, in Prepared prepared, ref FlowEntry entry, bool mayAsk, Timestamp now)
    {
        if (entry.Binding >= 0)
        {
            ref Binding binding = ref _bindings[entry.Binding];
            return AcquireFor((ushort)binding.Key, binding.Decision, entry.Remote, entry.Host, binding.Key, mayAsk, now);
        }

        AddressType type = _addresses.Typed(entry.Address).Type;
        PolicyOutcome outcome = type == AddressType.None ? PolicyOutcome.Legacy : PolicyOutcome.OfType(type);
        var decision = new Decision(DecisionOrigin.Inbound, type, default, -1, default);
        return AcquireFor(OutcomeNumber(outcome), decision, entry.Remote, entry.Host, entry.Tail, mayAsk, now);
    }

    private bool IsForNewFlows(int address) => _prefixes[_addresses.Typed(address).Prefix].State is PrefixState.Preferred or PrefixState.Deprecated;

    private SourceChoice Select(
        in PolicyOutcome outcome, ushort number, Decision decision, IpAddress destination, int host, bool mayAsk, Timestamp now)
    {
        int count = 0;
        bool full = false;
        bool serving = outcome.OnNet && outcome.Type != AddressType.None;
        long only = number >= RequestOutcomes ? _requests[number - RequestOutcomes].Granted : -1;
        bool fresh = number >= RequestOutcomes && serving && _options.OnNet == OnNetReading.RequestNew;
        foreach (int id in _prefixes.InOrder)
        {
            ref PrefixEntry prefix = ref _prefixes[id];
            if (prefix.State is not (PrefixState.Preferred or PrefixState.Deprecated)
                || (outcome.Type != AddressType.None && prefix.Type != outcome.Type)
                || (serving && prefix.Attachment != _attachment)
                || (fresh && prefix.Order != only))
            {
                continue;
            }

            int address;
            if (outcome.Prefix is { } pinned)
            {
                address = prefix.Prefix == pinned ? AddressIn(id, host, now, ref full)
                    : pinned.IsSingleAddress && prefix.Prefix.Contains(pinned.Address) ? Adopt(id, host, pinned.Address, now, ref full)
                    : -1;
            }
            else
            {
                address = AddressIn(id, host, now, ref full);
            }

            if (address >= 0)
            {
                _candidates[count] = CandidateOf(address, prefix);
                _candidateAddresses[count++] = address;
            }
        }

        if (count == 0)
        {
            return WithoutCandidate(outcome, number, decision, host, full, mayAsk, now);
        }

        bool nextHop = outcome.IsLegacy || _options.PreferRoute || (serving && _options.OnNet == OnNetReading.PreferServing);
        AddressPreferences preferences = outcome.Type == AddressType.None ? outcome.Preferences : AddressPreferences.None;
        int winner = _selection.Select(
            _candidates.AsSpan(0, count), new SelectionQuery(destination, 1, preferences, nextHop), out SelectionRule rule);
        if (winner < 0)
        {
            return WithoutCandidate(outcome, number, decision, host, full, mayAsk, now);
        }

        int chosen = _candidateAddresses[winner];
        DecisionRemarks remarks = outcome.Prefix is null ? DecisionRemarks.None : DecisionRemarks.Pinned;
        remarks |= outcome.OnNet ? DecisionRemarks.OnNet : DecisionRemarks.None;
        remarks |= _prefixes[_addresses.Typed(chosen).Prefix].OnDemand ? DecisionRemarks.Requested : DecisionRemarks.None;
        return new SourceChoice
        {
            Address = chosen,
            Binding = -1,
            Decision = decision with { Rule = rule, Remarks = remarks },
        };
    }

    private SourceCandidate CandidateOf(int address, in PrefixEntry prefix)
    {
        ref TypedAddress typed = ref _addresses.Typed(address);
        return new SourceCandidate(typed.External, prefix.Prefix.Length)
        {
            InterfaceIndex = 1,
            Deprecated = prefix.State == PrefixState.Deprecated,
            Home = prefix.Home,
            Temporary = prefix.Type != AddressType.Fixed && !typed.Exact,
            PrefersTemporary = true,
            AdvertisedByNextHop = prefix.Attachment == _attachment,
        };
    }

    // RFC 8653 §3.4: a type that is not there is asked for; §4.2: without a type nothing is asked for.
    private SourceChoice WithoutCandidate(
        in PolicyOutcome outcome, ushort number, Decision decision, int host, bool full, bool mayAsk, Timestamp now)
    {
        var choice = new SourceChoice { Decision = decision, Binding = -1, Question = -1 };
        if (full)
        {
            choice.Result = ChoiceResult.NoAddress;
        }
        else if (outcome.Type == AddressType.None || outcome.Prefix is not null || !mayAsk || !_attached)
        {
            choice.Result = ChoiceResult.NoSource;
        }
        else
        {
            int request = number >= RequestOutcomes && outcome.OnNet ? number - RequestOutcomes : -1;
            choice.Question = Ask(outcome.Type, outcome.OnNet, request, host, now);
            choice.Result = choice.Question >= 0 ? ChoiceResult.Ask : ChoiceResult.Refused;
        }

        return choice;
    }
}

using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Tests.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Model;

// The type first, then RFC 6724 among what is left.
internal sealed partial class ReferenceDataplane
{
    private const int HostInterface = 1;

    private ModelDecision Decide(in FlowFacts facts) =>
        RequestOf(facts.Protocol, facts.Internal, facts.LocalPort) is ModelRequest request
            ? new ModelDecision(request.Outcome, request.Token)
            : new ModelDecision(_policy.Match(facts).Outcome);

    private ModelRequest? RequestOf(byte protocol, IpAddress internalAddress, ushort localPort) =>
        _requests.Find(request => request.Protocol == protocol && request.LocalPort == localPort && request.Named == internalAddress)
        ?? _requests.Find(request => request.Protocol == protocol && request.LocalPort == localPort && request.Named.IsUnspecified);

    private ModelAddress? Choose(PolicyOutcome outcome, IpAddress internalAddress, IpAddress destination, Timestamp now)
    {
        List<ModelAddress> addresses = [];
        List<SourceCandidate> candidates = [];
        foreach (ModelPrefix prefix in _prefixes.Where(prefix => prefix.IsForNewSockets && IsAllowed(prefix, outcome)))
        {
            if (AddressOf(prefix, internalAddress, now) is ModelAddress address)
            {
                addresses.Add(address);
                candidates.Add(new SourceCandidate(address.External ?? Stand(prefix), prefix.Prefix.Length)
                {
                    InterfaceIndex = HostInterface,
                    Deprecated = prefix.State == PrefixState.Deprecated,
                    Home = prefix.Home,
                    AdvertisedByNextHop = prefix.Attachment == _attachment,
                    Temporary = prefix.Type != AddressType.Fixed && !prefix.Prefix.IsSingleAddress,
                });
            }
        }

        bool nextHop = outcome.IsLegacy || _options.PreferRoute || (outcome.OnNet && _options.OnNet == OnNetReading.PreferServing);
        (int index, _) = NaiveSourceSelection.Select(
            candidates, new SelectionQuery(destination, HostInterface, outcome.IsLegacy ? outcome.Preferences : default, nextHop));
        return index < 0 ? null : Renewed(addresses[index], now);
    }

    private bool IsAllowed(ModelPrefix prefix, PolicyOutcome outcome)
    {
        if (outcome.Prefix is IpPrefix pinned)
        {
            return prefix.Prefix == pinned;
        }

        return (outcome.Type == AddressType.None || prefix.Type == outcome.Type)
            && (!outcome.OnNet || prefix.Attachment == _attachment);
    }

    // Stands for an address not yet seen; no rule looks past the prefix's length but rule 1, and what nobody has seen is nobody's
    // destination.
    private static IpAddress Stand(ModelPrefix prefix) => new(prefix.Prefix.Address.High, prefix.Prefix.Address.Low | 0xfeed);

    private ModelAddress? AddressOf(ModelPrefix prefix, IpAddress internalAddress, Timestamp now)
    {
        if (prefix.Current.TryGetValue(internalAddress, out ModelAddress? address))
        {
            return address;
        }

        bool single = prefix.Prefix.IsSingleAddress;
        if (single && prefix.Current.Count > 0)
        {
            return null;
        }

        // RFC 7217: a Fixed prefix that comes back brings the same address again.
        IpAddress? before = prefix.Type == AddressType.Fixed
            ? _addresses.Find(other => other.Prefix.Prefix == prefix.Prefix && other.Internal == internalAddress
                && other.Type == AddressType.Fixed && other.External is not null)?.External
            : null;
        address = new ModelAddress
        {
            Prefix = prefix,
            Internal = internalAddress,
            Since = now,
            IsExact = single,
            IsShown = single,
            External = single ? prefix.Prefix.Address : before,
        };
        prefix.Current.Add(internalAddress, address);
        _addresses.Add(address);
        return address;
    }

    // RFC 8653 §5: by age or by octets sent.
    private ModelAddress Renewed(ModelAddress address, Timestamp now)
    {
        RenewalLimit limit = address.Type switch
        {
            AddressType.Nonpersistent => _options.NonpersistentRenewal,
            AddressType.GracefulReplacement => _options.GracefulRenewal,
            AddressType.SessionLasting => _options.SessionLastingRenewal,
            _ => RenewalLimit.Never,
        };
        bool due = limit.After < now.Since(address.Since) || (limit.Bytes > 0 && address.OctetsOut >= limit.Bytes);
        if (!due || address.IsExact)
        {
            return address;
        }

        address.IsRetired = true;
        address.Prefix.Current.Remove(address.Internal);
        return AddressOf(address.Prefix, address.Internal, now)!;
    }

    /// <summary>Asks the network, or says why not. A socket that asks with ON_NET has a question of its own; others join.</summary>
    private DropReason Ask(ModelDecision decision, IpAddress internalAddress, out ModelQuestion? question, Timestamp now)
    {
        question = null;
        PolicyOutcome outcome = decision.Outcome;
        if (outcome.Type == AddressType.None)
        {
            return DropReason.NoSource;
        }

        ulong? owner = outcome.OnNet ? decision.Request : null;
        question = _questions.Find(question => question.Type == outcome.Type && question.OnNet == outcome.OnNet && question.Owner == owner);
        if (question is not null)
        {
            question.Hosts.Add(internalAddress);
            return DropReason.None;
        }

        if (_questions.Count >= _options.MaximumNetworkRequests || _unsupported.Contains(outcome.Type)
            || (_refusedUntil.TryGetValue(outcome.Type, out Timestamp until) && now < until))
        {
            return DropReason.Refused;
        }

        question = new ModelQuestion
        {
            Type = outcome.Type,
            OnNet = outcome.OnNet,
            Deadline = now.Add(_options.NetworkAnswerTimeout),
            Owner = owner
        };
        question.Hosts.Add(internalAddress);
        _questions.Add(question);
        Questions.Add(new PrefixRequest(-1, outcome.Type, outcome.OnNet));
        return DropReason.None;
    }

    /// <summary>Takes over the address that the engine shows, or says what is wrong with it.</summary>
    private void Adopt(ModelAddress address, IpAddress shown)
    {
        address.IsShown = true;
        if (address.External is not null)
        {
            return;   // what was shown is compared as part of the frame
        }

        ModelMismatchException.If(!address.Prefix.Prefix.Contains(shown), $"{shown} is not in {address.Prefix.Prefix} ({address.Type})");
        ModelMismatchException.If(IsInternal(shown), $"the internal address {shown} leaves the host");
        ModelAddress? taken = _addresses.Find(other => other.External == shown);
        // RFC 7217: the same again
        bool again = taken is not null && address.Type == AddressType.Fixed && taken.Internal == address.Internal;
        ModelMismatchException.If(taken is not null && !again, $"{shown} was already the address of another");
        ModelMismatchException.If(MustBeNeutral(address) && !AreNeutral(shown, address.Internal),
            $"{shown} is not neutral to {address.Internal}");
        address.External = shown;
    }

    private bool MustBeNeutral(ModelAddress address) => (_options.NeutralTypes & (1 << (int)address.Type)) != 0 && !address.IsExact;

    // One address in 65,536 is neutral by chance.
    private bool IsNeutral(ModelAddress address, byte[]? shown = null, FrameInfo info = default)
    {
        if (address.External is IpAddress known)
        {
            return AreNeutral(known, address.Internal);
        }

        IpAddress source = shown is null ? default : IpAddress.Read(shown.AsSpan(info.NetworkOffset + 8));
        return address.Prefix.Prefix.Contains(source) ? AreNeutral(source, address.Internal) : MustBeNeutral(address);
    }

    private static bool AreNeutral(IpAddress one, IpAddress other) =>
        Support.NaiveChecksum.Sum(Octets(one)) % 0xffff == Support.NaiveChecksum.Sum(Octets(other)) % 0xffff;

    private static byte[] Octets(IpAddress address)
    {
        byte[] octets = new byte[IpAddress.Length];
        address.Write(octets);
        return octets;
    }
}

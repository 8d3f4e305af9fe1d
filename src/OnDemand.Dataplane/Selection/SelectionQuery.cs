using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Selection;

/// <summary>What a source address is sought for.</summary>
/// <param name="Destination">Where the packet goes.</param>
/// <param name="OutgoingInterface">
/// The interface it leaves by, as in <see cref="SourceCandidate.InterfaceIndex"/>. That there is a route is for the caller to know.
/// </param>
/// <param name="Preferences">What the socket prefers; the caller has checked that it does not contradict itself.</param>
/// <param name="UseNextHop">Whether to ask rule 5.5: the caller has chosen a next hop and knows which prefixes it advertised.</param>
public readonly record struct SelectionQuery(
    IpAddress Destination,
    int OutgoingInterface,
    AddressPreferences Preferences = AddressPreferences.None,
    bool UseNextHop = false);

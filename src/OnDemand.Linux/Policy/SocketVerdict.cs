using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;

namespace OnDemand.Linux.Policy;

/// <summary>What this host says of a socket.</summary>
/// <param name="Traits">Which conditions of the policy it meets, see <see cref="PolicyRule.Traits"/>.</param>
/// <param name="Type">The type of the command that it runs under (<c>ondemand exec</c>); none if it runs under none.</param>
/// <param name="OnNet">Whether the command asks for it with ON_NET.</param>
internal readonly record struct SocketVerdict(ulong Traits, AddressType Type, bool OnNet);

using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Run;

/// <summary>
/// The prefixes that the kernel routes into the TAP now. A frame that is written back with a destination among them would come straight
/// out of the TAP again, until its Hop Limit is used up.
/// </summary>
internal sealed class RoutedPrefixes
{
    private readonly List<IpPrefix> _prefixes = [];

    /// <summary>Adds a prefix.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <returns>Whether it was not there.</returns>
    public bool Add(IpPrefix prefix)
    {
        if (_prefixes.Contains(prefix))
        {
            return false;
        }

        _prefixes.Add(prefix);
        return true;
    }

    /// <summary>Removes a prefix.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <returns>Whether it was there.</returns>
    public bool Remove(IpPrefix prefix) => _prefixes.Remove(prefix);

    /// <summary>Whether an address is routed into the TAP.</summary>
    /// <param name="address">The address.</param>
    /// <returns>Whether it is.</returns>
    public bool Contains(IpAddress address)
    {
        for (int i = 0; i < _prefixes.Count; i++)
        {
            if (_prefixes[i].Contains(address))
            {
                return true;
            }
        }

        return false;
    }
}

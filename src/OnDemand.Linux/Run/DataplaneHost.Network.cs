using System.Globalization;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Host;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Tap;

namespace OnDemand.Linux.Run;

/// <content>
/// The host's network while the dataplane runs: routes of typed prefixes, and what somebody else does to interfaces, addresses and rules. What
/// the kernel refuses then is said, and the flows that there are go on.
/// </content>
internal sealed partial class DataplaneHost
{
    private void AddRoute(IpPrefix prefix)
    {
        try
        {
            _network.AddPrefixRoute(prefix);
        }
        catch (Exception problem) when (problem is HostException or LinuxException)
        {
            _say($"{prefix} has no route into {_settings.Tap}, so nothing will come back to it: {problem.Message}");
        }
    }

    private void RemoveRoute(IpPrefix prefix)
    {
        try
        {
            _network.RemovePrefixRoute(prefix);
        }
        catch (Exception problem) when (problem is HostException or LinuxException)
        {
            _say($"{prefix} is over, but its route into {_settings.Tap} stays until the end: {problem.Message}");
        }
    }

    private void FollowHost(Timestamp now)
    {
        _device.RefreshHardwareAddress();
        foreach (IFrameDevice queue in _otherQueues)
        {
            queue.RefreshHardwareAddress();
        }

        while (_network.TryTakeEvent(out HostEvent happened))
        {
            switch (happened.Kind)
            {
                case HostEventKind.TapGone:
                    _tapGone = true;
                    break;
                case HostEventKind.TapDown:
                    _repairAt = Timestamp.Never;
                    _tapDown = true;
                    _say($"The TAP {happened.Name} is down: nothing passes until it is up again.");
                    break;
                case HostEventKind.TapUp:
                    _tapDown = false;
                    Repair($"The TAP {happened.Name} is up again");
                    break;
                case HostEventKind.TapMtuChanged or HostEventKind.UplinkMtuChanged:
                    SayMtu(happened);
                    break;
                case HostEventKind.UplinkDown when happened.Mtu is > 0 and < HostPlan.SmallestMtu:
                    SayMtu(happened);
                    break;
                case HostEventKind.UplinkDown:
                    _say($"The uplink {happened.Name} is gone or down; flows wait for it.");
                    break;
                case HostEventKind.UplinkUp:
                    _say($"The uplink {happened.Name} is up.");
                    break;
                default:
                    _disturbed = happened.Name;
                    _repairAt = _tapDown ? Timestamp.Never : now.Add(RepairDelay);
                    break;
            }
        }
    }

    // With a smaller one the kernel takes IPv6 off the interface. The TAP's is ours to put right; an uplink is its owner's.
    private void SayMtu(in HostEvent happened)
    {
        string what = happened.Kind == HostEventKind.TapMtuChanged ? happened.Name : $"the uplink {happened.Name}";
        string then = happened.Mtu >= HostPlan.SmallestMtu ? string.Empty
            : happened.Kind == HostEventKind.TapMtuChanged ? $", less than IPv6 needs: it is set back to {_settings.Mtu}"
            : ", less than IPv6 needs: flows wait until it is raised and the uplink has its address and routes again";
        _say(string.Create(CultureInfo.InvariantCulture, $"The MTU of {what} is {happened.Mtu} now{then}."));
    }

    private void Repair(string what)
    {
        _repairAt = Timestamp.Never;
        try
        {
            _network.Apply();
            _say($"{what}; addresses, rules and routes are as they must be.");
        }
        catch (Exception problem) when (problem is HostException or LinuxException)
        {
            _say($"{what}, but its network cannot be put right: {problem.Message}");
        }
    }
}

using System.Runtime.InteropServices;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Netlink;

/// <content>Rules.</content>
internal sealed partial class RouteNetlink
{
    /// <summary>RTM_DELRULE.</summary>
    internal const ushort DeleteRuleType = 33;

    private const ushort NewRule = 32;
    private const ushort GetRule = 34;
    private const int RuleHeaderLength = 12;
    private const ushort RuleTo = 1;
    private const ushort RuleFrom = 2;
    private const ushort RuleIncoming = 3;
    private const ushort RulePreference = 6;
    private const ushort RuleSuppressPrefixLength = 14;
    private const ushort RuleTable = 15;
    private const ushort RulePadding = 18;
    private const ushort RuleProtocol = 21;
    private const uint PermanentFlag = 0x1;
    private const uint DetachedFlags = 0x18;

    /// <summary>All IPv6 rules, in the order in which they are asked.</summary>
    /// <returns>The rules.</returns>
    /// <exception cref="LinuxException">The kernel refuses.</exception>
    public List<RoutingRule> Rules() => DumpAll<RoutingRule>(GetRule, RuleHeaderLength, inet6: true, TryReadRule);

    /// <summary>Adds a rule.</summary>
    /// <param name="rule">The rule.</param>
    /// <returns>What the kernel says: <see cref="Errno.Eexist"/> if there is the same of the same maker.</returns>
    public NetlinkError AddRule(RoutingRule rule) => ChangeRule(NewRule, NetlinkFlags.Create | NetlinkFlags.Exclusive, rule);

    /// <summary>Deletes a rule: one that is the same in everything that is given, its maker included.</summary>
    /// <param name="rule">The rule.</param>
    /// <returns>What the kernel says: <see cref="Errno.Enoent"/> if there is none.</returns>
    public NetlinkError DeleteRule(RoutingRule rule) => ChangeRule(DeleteRuleType, NetlinkFlags.None, rule);

    /// <summary>Reads a rule.</summary>
    /// <param name="message">A message of the kernel.</param>
    /// <param name="rule">The rule.</param>
    /// <returns>Whether the message tells of one.</returns>
    internal static bool TryReadRule(NetlinkMessage message, out RoutingRule rule)
    {
        rule = default;
        ReadOnlySpan<byte> header = message.Payload;
        if (message.Type is not (NewRule or DeleteRuleType) || header.Length < RuleHeaderLength || header[0] != Inet6
            || header[1] > 128 || header[2] > 128)
        {
            return false;
        }

        uint flags = MemoryMarshal.Read<uint>(header[8..]) & ~(PermanentFlag | DetachedFlags);
        rule = new RoutingRule(0, header[4]) { Action = header[7], HasOtherConditions = header[3] != 0 || flags != 0 };
        foreach (NetlinkAttribute attribute in message.Attributes(RuleHeaderLength))
        {
            rule = attribute.Type switch
            {
                RuleTo => rule with { To = new IpPrefix(attribute.Address, header[1]) },
                RuleFrom => rule with { From = new IpPrefix(attribute.Address, header[2]) },
                RuleIncoming => rule with { IncomingInterface = attribute.Text },
                RulePreference => rule with { Preference = attribute.UInt32 },
                RuleTable => rule with { Table = attribute.UInt32 },
                RuleProtocol => rule with { Protocol = attribute.Byte },
                RulePadding => rule,
                RuleSuppressPrefixLength when attribute.UInt32 == uint.MaxValue => rule,    // every rule says that it suppresses nothing
                _ => rule with { HasOtherConditions = true },
            };
        }

        return true;
    }

    private NetlinkError ChangeRule(ushort type, NetlinkFlags flags, RoutingRule rule)
    {
        var request = new NetlinkRequest(
            stackalloc byte[NetlinkRequest.UsualLength], type, flags | NetlinkFlags.Acknowledge, RuleHeaderLength);
        request.Header[0] = Inet6;
        request.Header[7] = rule.Action;
        request.Add(RulePreference, rule.Preference);
        request.Add(RuleTable, rule.Table);
        if (rule.From is IpPrefix from)
        {
            request.Header[2] = from.Length;
            request.Add(RuleFrom, from.Address);
        }

        if (rule.To is IpPrefix to)
        {
            request.Header[1] = to.Length;
            request.Add(RuleTo, to.Address);
        }

        if (rule.IncomingInterface is not null)
        {
            request.Add(RuleIncoming, rule.IncomingInterface);
        }

        if (rule.Protocol != 0)
        {
            request.Add(RuleProtocol, rule.Protocol);
        }

        return _socket.Change(ref request);
    }
}

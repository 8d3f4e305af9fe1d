using System.Globalization;
using System.Text;
using OnDemand.Captures.Reports;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;

namespace OnDemand.Captures.Replay;

/// <summary>Decisions and events in words.</summary>
internal static class Explanation
{
    /// <summary>Why a flow has its address, or should have had one.</summary>
    public static string Of(Decision decision, bool hasAddress = true)
    {
        var text = new StringBuilder();
        string type = decision.Type == AddressType.None ? "any type" : AddressTypes.ToName(decision.Type);
        _ = decision.Origin switch
        {
            DecisionOrigin.SocketRequest => text.Append(CultureInfo.InvariantCulture, $"the socket asked for {type}"),
            DecisionOrigin.PolicyRule => text.Append(CultureInfo.InvariantCulture, $"policy rule {decision.PolicyRule + 1} says {type}"),
            DecisionOrigin.DefaultType => text.Append(CultureInfo.InvariantCulture, $"the default is {type}"),
            DecisionOrigin.Legacy => text.Append("legacy: nobody asked for a type"),
            DecisionOrigin.Inbound => text.Append(CultureInfo.InvariantCulture, $"the remote opened it to the {type} address"),
            DecisionOrigin.PickedUp => text.Append(CultureInfo.InvariantCulture, $"picked up in mid-flow, {type}"),
            DecisionOrigin.Command => text.Append(CultureInfo.InvariantCulture, $"the command it was started under asks for {type}"),
            DecisionOrigin.Native => text.Append("the socket bound itself to the address"),
            _ => text.Append("undecided"),
        };
        string rule = hasAddress ? OfRule(decision.Rule) : string.Empty;   // no rule chose what is not there
        if (rule.Length > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"; {rule}");
        }

        AddRemark(text, decision, DecisionRemarks.Pinned, "this very prefix was named");
        AddRemark(text, decision, DecisionRemarks.OnNet, "on-net");
        AddRemark(text, decision, DecisionRemarks.Requested, "prefix asked of the network");
        AddRemark(text, decision, DecisionRemarks.SameSocket, "same socket, same address");
        AddRemark(text, decision, DecisionRemarks.WentOver, "went over");
        return text.ToString();
    }

    /// <summary>A flow's event in words; null for what is not about a flow's address.</summary>
    public static string? Of(in EngineEvent happened) => happened.Kind switch
    {
        EngineEventKind.FlowOpened => $"new flow, source {happened.Address}: {Of(happened.Decision)}",
        EngineEventKind.FlowWentOver => $"went over from {happened.Previous} to {happened.Address}: {Of(happened.Decision)}",
        EngineEventKind.FlowStranded => $"stranded: {happened.Address} has ended",
        EngineEventKind.FlowClosed => "closed by its ends",
        EngineEventKind.FlowReopened => "goes on: the RST was not its end",
        EngineEventKind.FlowRefused => $"refused ({Name(happened.Drop)}): {Of(happened.Decision, hasAddress: false)}",
        _ => null,
    };

    /// <summary>A name of an enumeration's member in lower case with hyphens.</summary>
    public static string Name<T>(T value)
        where T : struct, Enum
    {
        string name = value.ToString();
        var text = new StringBuilder(name.Length + 4);
        for (int i = 0; i < name.Length; i++)
        {
            if (char.IsUpper(name[i]) && i > 0)
            {
                text.Append('-');
            }

            text.Append(char.ToLowerInvariant(name[i]));
        }

        return text.ToString();
    }

    /// <summary>Why a prefix ended.</summary>
    public static string Of(PrefixEnd end) => end switch
    {
        PrefixEnd.Moved => "the host moved",
        PrefixEnd.WindowClosed => "the replacement window closed",
        PrefixEnd.Withdrawn => "withdrawn by the network",
        PrefixEnd.LifetimePassed => "its valid lifetime passed",
        PrefixEnd.Released => "released after its last socket",
        PrefixEnd.Detached => "the host detached",
        _ => string.Empty,
    };

    /// <summary>A flow in words.</summary>
    public static string Of(in FlowIdentity flow) =>
        $"{ReportText.Protocol(flow.Protocol)} {ReportText.End(flow.Internal, flow.LocalPort)} to {ReportText.End(flow.Remote, flow.RemotePort)}";

    private static string OfRule(SelectionRule rule) => rule switch
    {
        SelectionRule.None => string.Empty,
        SelectionRule.OnlyCandidate => "the only candidate",
        SelectionRule.Rule1PreferSameAddress => "RFC 6724 rule 1, same address",
        SelectionRule.Rule2PreferAppropriateScope => "RFC 6724 rule 2, appropriate scope",
        SelectionRule.Rule3AvoidDeprecated => "RFC 6724 rule 3, not deprecated",
        SelectionRule.Rule4PreferHomeAddress => "RFC 6724 rule 4, home address",
        SelectionRule.Rule5PreferOutgoingInterface => "RFC 6724 rule 5, outgoing interface",
        SelectionRule.Rule5Point5PreferNextHopPrefix => "RFC 6724 rule 5.5, prefix of the serving network",
        SelectionRule.Rule6PreferMatchingLabel => "RFC 6724 rule 6, matching label",
        SelectionRule.Rule7PreferTemporary => "RFC 6724 rule 7, temporary address",
        SelectionRule.OrchidRule => "Linux's ORCHID rule",
        SelectionRule.Rule8LongestMatchingPrefix => "RFC 6724 rule 8, longest matching prefix",
        _ => "no rule of RFC 6724 tells them apart, the first",
    };

    private static void AddRemark(StringBuilder text, Decision decision, DecisionRemarks remark, string words)
    {
        if ((decision.Remarks & remark) != 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"; {words}");
        }
    }
}

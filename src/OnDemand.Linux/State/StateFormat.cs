using System.Globalization;
using System.Text;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Service;
using OnDemand.Linux.Sockets;

namespace OnDemand.Linux.State;

/// <summary>
/// The lines of a state file. Each stands for itself, a later one overrides an earlier one, and one that is not whole (<see cref="StateLine"/>)
/// is left out:
/// <code>
/// ondemand-state 2
/// clock BOOT OFFSET NOW                                       the run's time, by how much it is ahead of the clock since BOOT; again and again
/// attached NAME | detached                                    also: all prefixes follow anew
/// prefix PREFIX TYPE STATE PREFERRED VALID CLOSES FLAGS       h home, d asked for, c of the present network
/// network                                                     that was all of them: from here on they hold
/// address TYPED INTERNAL PREFIX TYPE SINCE OCTETS FLAGS       r retired, x the network's own
/// flow PROTOCOL INTERNAL PORT REMOTE PORT TYPED DECISION [BEFORE]            the typed address before, which it went over from
/// gone PROTOCOL INTERNAL PORT REMOTE PORT
/// binding BOOT COOKIE USER TYPE PREFERENCES TYPED PREFIX FLAGS PLACE SINCE   m mapped, n on-net; INODE[.PROCESS.DESCRIPTOR]
/// released COOKIE
/// </code>
/// Times are nanoseconds since 1970, <c>-</c> for never. Names are percent-encoded.
/// </summary>
internal static class StateFormat
{
    /// <summary>The first line.</summary>
    public const string Header = "ondemand-state 2";

    private const string Never = "-";
    private const string NoFlags = "-";

    /// <summary>The line of the clock by which a run's times count.</summary>
    public static string Clock(in StateClock clock) => Join("clock", clock.Boot, Number(clock.Offset), Time(clock.Now));

    /// <summary>The line of a point of attachment; all prefixes follow.</summary>
    public static string Attachment(string? name) => name is null ? "detached" : $"attached {Uri.EscapeDataString(name)}";

    /// <summary>The line after the last prefix. A network without it was being written when the power went: the one before it holds.</summary>
    public const string NetworkIsWhole = "network";

    /// <summary>The line of a prefix.</summary>
    public static string Prefix(in PrefixSnapshot prefix) => Join(
        "prefix", prefix.Prefix, Number((int)prefix.Type), Number((int)prefix.State), Time(prefix.PreferredUntil), Time(prefix.ValidUntil), Time(prefix.ClosesAt),
        Flags((prefix.IsHome, 'h'), (prefix.IsOnDemand, 'd'), (prefix.IsOfPresentNetwork, 'c'), (prefix.IsClosedByDetachment, 'w')));

    /// <summary>The line of a typed address.</summary>
    public static string Address(in AddressSnapshot address) => Join(
        "address", address.Address, address.Internal, address.Prefix, Number((int)address.Type), Time(address.Since), Number((long)address.OctetsOut),
        Flags((address.IsRetired, 'r'), (address.IsExact, 'x')));

    /// <summary>The line of a flow.</summary>
    public static string Flow(in FlowIdentity flow, IpAddress address, in Decision why, IpAddress? before = null)
    {
        string line = Join(
            "flow", Identity(flow), address,
            string.Create(CultureInfo.InvariantCulture, $"{(int)why.Origin}.{(int)why.Type}.{(int)why.Rule}.{why.PolicyRule}.{(int)why.Remarks}"));
        return before is { } old ? Join(line, old) : line;
    }

    /// <summary>The line of a flow that has gone.</summary>
    public static string Gone(in FlowIdentity flow) => Join("gone", Identity(flow));

    /// <summary>The line of a socket's binding.</summary>
    public static string Binding(string boot, SocketBinding binding) => Join(
        "binding", boot, binding.Cookie, binding.User, Number((int)binding.Type), (uint)binding.Preferences, binding.Address, binding.Prefix,
        Flags((binding.Map, 'm'), (binding.OnNet, 'n')), Place(binding.Place), Time(binding.Since));

    /// <summary>The line of a binding that is no more.</summary>
    public static string Released(ulong cookie) => Join("released", cookie);

    /// <summary>Reads a state file's text.</summary>
    /// <param name="lines">Its lines, sealed but for the first; one that is not whole is left out.</param>
    /// <param name="written">When the file was written last, if it does not say so itself: flows were alive then.</param>
    /// <param name="idle">How long a flow of a protocol lives without packets.</param>
    /// <param name="clock">The clock by which times are to count; null for that of the file.</param>
    /// <returns>The state; empty if this is no state file.</returns>
    public static SavedState Read(IEnumerable<string> lines, Timestamp written, Func<byte, Duration> idle, StateClock? clock = null)
    {
        var state = new SavedState();
        var network = new NetworkReading(state);
        int number = 0;
        foreach (string line in lines)
        {
            number++;
            if (number == 1)
            {
                if (line != Header)
                {
                    state.IsForeign = true;
                    state.DamagedLines.Add(1);
                    return state;
                }
            }
            else if (!(StateLine.TryOpen(line, out string whole) && TryRead(state, network, whole.Split(' '))) && state.DamagedLines.Count < 16)
            {
                state.DamagedLines.Add(number);
            }
        }

        network.End();
        StateClock before = state.Clock ?? new StateClock(string.Empty, 0, written);
        long shift = clock is { } later ? before.ShiftTo(later) : 0;
        state.Move(shift, StateClock.Move(before.Now, shift), idle);
        return state;
    }

    private static bool TryRead(SavedState state, NetworkReading network, string[] fields) => fields switch
    {
        ["clock", { Length: > 0 } boot, string offset, string now] => TryReadClock(state, boot, offset, now),
        ["detached"] => network.Begin(null),
        ["attached", { Length: > 0 } name] => network.Begin(Uri.UnescapeDataString(name)),
        ["prefix", ..] => TryReadPrefix(network, fields),
        [NetworkIsWhole] => network.IsWhole(),
        ["address", ..] => TryReadAddress(state, fields),
        ["flow", ..] => TryReadFlow(state, fields),
        ["gone", ..] => TryReadIdentity(fields, out FlowIdentity gone) && fields.Length == 6 && (state.Flows.Remove(gone) || true),
        ["binding", ..] => TryReadBinding(state, fields),
        ["released", string cookie] => ulong.TryParse(cookie, NumberStyles.None, CultureInfo.InvariantCulture, out ulong released)
            && (state.Bindings.Remove(released) || true),
        _ => false,
    };

    private static bool TryReadBinding(SavedState state, string[] fields)
    {
        // Before there were places the line ended with the flags, and before there was a time with the place.
        SocketPlace place = default;
        Timestamp since = default;
        if (fields.Length is not (9 or 10 or 11) || (fields.Length >= 10 && !TryReadPlace(fields[9], out place))
            || (fields.Length == 11 && !TryReadTime(fields[10], out since)) || !ulong.TryParse(fields[2], NumberStyles.None, CultureInfo.InvariantCulture, out ulong cookie)
            || !TryReadNumber(fields[3], uint.MaxValue, out long user) || !TryReadEnum(fields[4], out AddressType type)
            || !TryReadNumber(fields[5], uint.MaxValue, out long preferences) || !IpAddress.TryParse(fields[6], out IpAddress typed)
            || !IpPrefix.TryParse(fields[7], out IpPrefix prefix))
        {
            return false;
        }

        state.Bindings[cookie] = new SavedBinding(
            fields[1],
            new SocketBinding(
                cookie, (uint)user, typed, type, prefix, Timestamp.Never, Timestamp.Never, fields[8].Contains('m', StringComparison.Ordinal), since)
            {
                OnNet = fields[8].Contains('n', StringComparison.Ordinal),
                Preferences = (AddressPreferences)(uint)preferences,
                Place = place,
            });
        return true;
    }

    private static bool TryReadPlace(string text, out SocketPlace place)
    {
        place = default;
        string[] parts = text.Split('.');
        long process = 0;
        long descriptor = 0;
        if (parts.Length is not (1 or 3) || !TryReadNumber(parts[0], uint.MaxValue, out long inode)
            || (parts.Length == 3 && !(TryReadNumber(parts[1], int.MaxValue, out process) && TryReadNumber(parts[2], int.MaxValue, out descriptor))))
        {
            return false;
        }

        place = new SocketPlace(new SocketHolder((int)process, (int)descriptor), (uint)inode);
        return true;
    }

    private static bool TryReadPrefix(NetworkReading network, string[] fields)
    {
        if (fields.Length != 8 || !IpPrefix.TryParse(fields[1], out IpPrefix prefix) || !TryReadEnum(fields[2], out AddressType type)
            || !TryReadEnum(fields[3], out PrefixState condition) || !TryReadTime(fields[4], out Timestamp preferred)
            || !TryReadTime(fields[5], out Timestamp valid) || !TryReadTime(fields[6], out Timestamp closes))
        {
            return false;
        }

        network.Add(new PrefixSnapshot
        {
            Prefix = prefix,
            Type = type,
            State = condition,
            PreferredUntil = preferred,
            ValidUntil = valid,
            ClosesAt = closes,
            IsHome = fields[7].Contains('h', StringComparison.Ordinal),
            IsOnDemand = fields[7].Contains('d', StringComparison.Ordinal),
            IsOfPresentNetwork = fields[7].Contains('c', StringComparison.Ordinal),
            IsClosedByDetachment = fields[7].Contains('w', StringComparison.Ordinal),
        });
        return true;
    }

    private static bool TryReadAddress(SavedState state, string[] fields)
    {
        if (fields.Length != 8 || !IpAddress.TryParse(fields[1], out IpAddress typed) || !IpAddress.TryParse(fields[2], out IpAddress inside)
            || !IpPrefix.TryParse(fields[3], out IpPrefix prefix) || !TryReadEnum(fields[4], out AddressType type)
            || !TryReadTime(fields[5], out Timestamp since) || !TryReadNumber(fields[6], long.MaxValue, out long octets))
        {
            return false;
        }

        state.Addresses[typed] = new AddressSnapshot
        {
            Address = typed,
            Internal = inside,
            Prefix = prefix,
            Type = type,
            Since = since,
            OctetsOut = (ulong)octets,
            IsRetired = fields[7].Contains('r', StringComparison.Ordinal),
            IsExact = fields[7].Contains('x', StringComparison.Ordinal),
        };
        return true;
    }

    private static bool TryReadClock(SavedState state, string boot, string offset, string now)
    {
        if (!long.TryParse(offset, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long ahead) || !TryReadTime(now, out Timestamp time))
        {
            return false;
        }

        state.Clock = new StateClock(boot, ahead, time);
        return true;
    }

    private static bool TryReadFlow(SavedState state, string[] fields)
    {
        IpAddress before = default;
        if (fields.Length is not (8 or 9) || !TryReadIdentity(fields, out FlowIdentity identity) || !IpAddress.TryParse(fields[6], out IpAddress address)
            || !TryReadDecision(fields[7], out Decision decision) || (fields.Length == 9 && !IpAddress.TryParse(fields[8], out before)))
        {
            return false;
        }

        state.Flows[identity] = new FlowSnapshot
        {
            Identity = identity,
            Address = address,
            OldAddress = fields.Length == 9 ? before : null,
            Decision = decision,
            IsInbound = decision.Origin == DecisionOrigin.Inbound,
            IsNative = decision.Origin == DecisionOrigin.Native,
            State = identity.Protocol switch
            {
                IpProtocol.Tcp => FlowState.Established,
                IpProtocol.Icmpv6 => FlowState.Echo,
                _ => FlowState.Datagram,
            },
        };
        return true;
    }

    private static bool TryReadIdentity(string[] fields, out FlowIdentity identity)
    {
        identity = default;
        if (fields.Length < 6 || !TryReadNumber(fields[1], byte.MaxValue, out long protocol) || !IpAddress.TryParse(fields[2], out IpAddress inside)
            || !TryReadNumber(fields[3], ushort.MaxValue, out long port) || !IpAddress.TryParse(fields[4], out IpAddress remote)
            || !TryReadNumber(fields[5], ushort.MaxValue, out long remotePort))
        {
            return false;
        }

        identity = new FlowIdentity((byte)protocol, inside, (ushort)port, remote, (ushort)remotePort);
        return true;
    }

    private static bool TryReadDecision(string text, out Decision decision)
    {
        decision = default;
        string[] parts = text.Split('.');
        if (parts.Length != 5 || !TryReadEnum(parts[0], out DecisionOrigin origin) || !TryReadEnum(parts[1], out AddressType type)
            || !TryReadEnum(parts[2], out SelectionRule rule) || !short.TryParse(parts[3], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out short policy)
            || !TryReadNumber(parts[4], byte.MaxValue, out long remarks))
        {
            return false;
        }

        decision = new Decision(origin, type, rule, policy, (DecisionRemarks)remarks);
        return true;
    }

    private static bool TryReadEnum<T>(string text, out T value)
        where T : struct, Enum
    {
        bool read = TryReadNumber(text, byte.MaxValue, out long number);
        value = (T)Enum.ToObject(typeof(T), number);
        return read && Enum.IsDefined(value);
    }

    private static bool TryReadNumber(string text, long largest, out long number) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number <= largest;

    private static bool TryReadTime(string text, out Timestamp time)
    {
        time = Timestamp.Never;
        if (text == Never)
        {
            return true;
        }

        bool read = TryReadNumber(text, long.MaxValue, out long nanoseconds);
        time = new Timestamp(nanoseconds);
        return read;
    }

    private static string Identity(in FlowIdentity flow) =>
        string.Create(CultureInfo.InvariantCulture, $"{flow.Protocol} {flow.Internal} {flow.LocalPort} {flow.Remote} {flow.RemotePort}");

    private static string Place(SocketPlace place) => place.Holder == default
        ? Number(place.Inode)
        : string.Create(CultureInfo.InvariantCulture, $"{place.Inode}.{place.Holder.ProcessId}.{place.Holder.Descriptor}");

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Time(Timestamp time) => time == Timestamp.Never ? Never : Number(time.Nanoseconds);

    private static string Flags(params ReadOnlySpan<(bool Set, char Letter)> flags)
    {
        var text = new StringBuilder();
        foreach ((bool set, char letter) in flags)
        {
            if (set)
            {
                text.Append(letter);
            }
        }

        return text.Length > 0 ? text.ToString() : NoFlags;
    }

    private static string Join(params ReadOnlySpan<object> fields) => string.Join(' ', fields.ToArray());
}

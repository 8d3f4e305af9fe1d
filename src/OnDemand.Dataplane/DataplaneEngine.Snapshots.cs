using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;

namespace OnDemand.Dataplane;

/// <content>
/// What there is, for listings: copied out in slices, because packets wait while somebody looks. Nothing here changes the engine or
/// allocates. Time does not pass by looking: what fell due since the last call is seen after the next <see cref="Advance"/>.
/// </content>
public sealed partial class DataplaneEngine
{
    private const int SnapshotSlice = 4096;   // places looked at in one call, however few of them are in use

    /// <summary>Flows that the table can hold.</summary>
    public int FlowCapacity => _flows.Capacity;

    /// <summary>Bindings: sockets with a typed address of their own choice.</summary>
    public int BindingCount => _bindings.Count;

    /// <summary>Prefixes, ended ones that flows still refer to included.</summary>
    public int PrefixCount => _prefixes.InOrder.Length;

    /// <summary>Typed addresses.</summary>
    public int AddressCount => _addresses.TypedCount;

    /// <summary>
    /// Copies the next flows of the table. Between two calls packets may be handled: a flow that is there all the time is seen exactly
    /// once, one that comes or goes meanwhile at most once.
    /// </summary>
    /// <param name="cursor">Where to go on: 0 at the start; negative when all have been seen.</param>
    /// <param name="destination">Where they are written. A call looks at no more than 4096 places of the table.</param>
    /// <returns>How many were written; it may be none although there are more.</returns>
    public int CopyFlows(ref int cursor, Span<FlowSnapshot> destination)
    {
        if (cursor < 0)
        {
            return 0;
        }

        int written = 0;
        int end = (int)Math.Min(_flows.HighWater, (long)cursor + SnapshotSlice);
        for (; cursor < end && written < destination.Length; cursor++)
        {
            ref FlowEntry entry = ref _flows.Entry(cursor);
            if (entry.State != FlowState.Free)
            {
                destination[written++] = Look(cursor, entry);
            }
        }

        cursor = cursor < _flows.HighWater ? cursor : -1;
        return written;
    }

    /// <summary>Copies the next prefixes, in the order in which they were advertised first. One that goes between two calls may hide
    /// another.</summary>
    /// <param name="cursor">Where to go on: 0 at the start; negative when all have been seen.</param>
    /// <param name="destination">Where they are written.</param>
    /// <returns>How many were written.</returns>
    public int CopyPrefixes(ref int cursor, Span<PrefixSnapshot> destination)
    {
        if (cursor < 0)
        {
            return 0;
        }

        int written = 0;
        for (; cursor < _prefixes.InOrder.Length && written < destination.Length; cursor++)
        {
            ref PrefixEntry entry = ref _prefixes[_prefixes.InOrder[cursor]];
            destination[written++] = new PrefixSnapshot
            {
                Prefix = entry.Prefix,
                Type = entry.Type,
                State = entry.State,
                IsHome = entry.Home,
                IsOnDemand = entry.OnDemand,
                IsOfPresentNetwork = _attached && entry.Attachment == _attachment,
                PreferredUntil = entry.PreferredUntil,
                ValidUntil = entry.ValidUntil,
                ClosesAt = entry.State == PrefixState.Closing ? entry.ClosesAt : Timestamp.Never,
                IsClosedByDetachment = entry.ClosesByDetachment,
                Users = entry.Users,
                Addresses = entry.Addresses,
            };
        }

        cursor = cursor < _prefixes.InOrder.Length ? cursor : -1;
        return written;
    }

    /// <summary>Copies the next typed addresses; see <see cref="CopyFlows"/>.</summary>
    /// <param name="cursor">Where to go on: 0 at the start; negative when all have been seen.</param>
    /// <param name="destination">Where they are written. A call looks at no more than 4096 places of the table.</param>
    /// <returns>How many were written; it may be none although there are more.</returns>
    public int CopyAddresses(ref int cursor, Span<AddressSnapshot> destination)
    {
        if (cursor < 0)
        {
            return 0;
        }

        int written = 0;
        int end = (int)Math.Min(_addresses.TypedHighWater, (long)cursor + SnapshotSlice);
        for (; cursor < end && written < destination.Length; cursor++)
        {
            ref TypedAddress address = ref _addresses.Typed(cursor);
            if (address.Prefix < 0)
            {
                continue;
            }

            destination[written++] = new AddressSnapshot
            {
                Address = address.External,
                Internal = address.Internal,
                Type = address.Type,
                Prefix = _prefixes[address.Prefix].Prefix,
                State = _prefixes[address.Prefix].State,
                IsRetired = address.Retired,
                IsExact = address.Exact,
                Users = address.Users,
                NativeFlows = address.NativeFlows,
                Since = address.Since,
                PacketsOut = address.PacketsOut,
                PacketsIn = address.PacketsIn,
                OctetsOut = address.BytesOut,
                OctetsIn = address.BytesIn,
            };
        }

        cursor = cursor < _addresses.TypedHighWater ? cursor : -1;
        return written;
    }

    private FlowSnapshot Look(int id, in FlowEntry entry)
    {
        ref TypedAddress address = ref _addresses.Typed(entry.Address);
        ref PrefixEntry prefix = ref _prefixes[address.Prefix];
        bool oldAccepted = entry.OldAddress >= 0 && _prefixes[_addresses.Typed(entry.OldAddress).Prefix].State != PrefixState.Ended;
        return new FlowSnapshot
        {
            Number = id,
            Identity = IdentityOf(entry),
            Type = address.Type,
            Address = address.External,
            OldAddress = oldAccepted ? _addresses.Typed(entry.OldAddress).External : null,
            Prefix = prefix.Prefix,
            PrefixState = prefix.State,
            State = entry.State,
            Packets = entry.Packets,
            Octets = entry.Bytes,
            LastSeen = Ticks.Time(entry.LastSeen, _origin, _wheelDue),     // not far from now, as long as there are flows
            IdleAt = Ticks.Time(entry.LastSeen + _idle[((int)entry.State + entry.IdleShift) & 15], _origin, _wheelDue),
            IsInbound = (entry.Marks & FlowMarks.Inbound) != 0,
            IsNative = (entry.Marks & FlowMarks.Native) != 0,
            Socket = _sockets?.CookieOf(id) ?? 0,
            Decision = _flows.Cold(id).Decision,
        };
    }
}

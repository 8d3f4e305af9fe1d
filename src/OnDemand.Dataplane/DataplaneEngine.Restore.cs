using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <content>
/// Going on where another engine stopped: snapshots of its prefixes, addresses and flows become those of a new one, so that connections
/// outlive the program. The order is <see cref="RestoreAttachment"/>, prefixes, addresses, flows, <see cref="FinishRestore"/>; all of it
/// before the first frame. What has ended meanwhile, or no longer fits the options, is refused and nothing else changes.
/// </content>
public sealed partial class DataplaneEngine
{
    /// <summary>The host is attached, or not, as it was. Comes first, once.</summary>
    /// <param name="attachment">The caller's number for the point of attachment.</param>
    /// <param name="attached">Whether the host was attached.</param>
    /// <param name="now">The time.</param>
    /// <exception cref="InvalidOperationException">The engine has been attached before.</exception>
    public void RestoreAttachment(ulong attachment, bool attached, Timestamp now)
    {
        if (_attachment >= 0)
        {
            throw new InvalidOperationException("Only an engine that has just been made can be restored.");
        }

        _attachment = 0;
        _attached = attached;
        if (attached)
        {
            Report(new EngineEvent { Kind = EngineEventKind.Attached, Time = now, Flow = -1, Number = attachment });
        }
    }

    /// <summary>Restores a prefix with its lifetimes and, if it is closing, its replacement window.</summary>
    /// <param name="saved">What it was.</param>
    /// <param name="now">The time.</param>
    /// <returns>False if it has ended meanwhile, is there already, or there is no room.</returns>
    public bool RestorePrefix(in PrefixSnapshot saved, Timestamp now)
    {
        bool closing = saved.State == PrefixState.Closing;
        if (saved.State is not (PrefixState.Preferred or PrefixState.Deprecated or PrefixState.Closing)
            || saved.ValidUntil <= now || (closing && saved.ClosesAt <= now) || _prefixes.Find(saved.Prefix) >= 0)
        {
            return false;
        }

        var advertisement = new PrefixAdvertisement(saved.Prefix, saved.Type)
        {
            PreferredLifetime = Left(saved.PreferredUntil, now),
            ValidLifetime = Left(saved.ValidUntil, now),
            Home = saved.IsHome,
        };
        int id = advertisement.IsAcceptable
            ? _prefixes.Add(advertisement, saved.IsOfPresentNetwork ? _attachment : -1, saved.IsOnDemand, now) : -1;
        if (id < 0)
        {
            return false;
        }

        ReportPrefix(EngineEventKind.PrefixAdded, id, now);
        if (closing)
        {
            _prefixes[id].ClosesByDetachment = saved.IsClosedByDetachment;
            ClosePrefix(id, saved.ClosesAt.Since(now), now);
        }

        SetDeadline();
        return true;
    }

    /// <summary>Restores a typed address, so that its internal address keeps it.</summary>
    /// <param name="saved">What it was.</param>
    /// <param name="now">The time.</param>
    /// <returns>False if its prefix is not there, its internal address is none by the options, it is in use, or there is no room.</returns>
    public bool RestoreAddress(in AddressSnapshot saved, Timestamp now)
    {
        int prefix = _prefixes.Find(saved.Prefix);
        if (prefix < 0 || !saved.Prefix.Contains(saved.Address) || _addresses.Find(saved.Address).IsKnown || !IsInternal(saved.Internal))
        {
            return false;
        }

        AddressName name = _addresses.Find(saved.Internal);
        int host = name.IsInternal ? name.Number : _addresses.AddInternal(saved.Internal);
        if (host < 0 || (saved.Prefix.IsSingleAddress && _prefixes[prefix].OnlyAddress >= 0))
        {
            return false;
        }

        bool full = false;
        int id = AddAddress(prefix, host, saved.Address, saved.IsExact, now, ref full);
        if (id < 0)
        {
            return false;
        }

        ref TypedAddress address = ref _addresses.Typed(id);
        address.Retired = saved.IsRetired;
        address.Since = saved.Since < now ? saved.Since : now;
        address.PacketsOut = saved.PacketsOut;
        address.PacketsIn = saved.PacketsIn;
        address.BytesOut = saved.OctetsOut;
        address.BytesIn = saved.OctetsIn;
        return true;
    }

    /// <summary>
    /// Restores a live flow, which keeps its typed address, and within its window the one before. Its idle time begins anew. TCP's numbers
    /// are learned again from its packets, and if it goes over later it does so within its address's type, like a flow that was picked up.
    /// </summary>
    /// <param name="saved">What it was.</param>
    /// <param name="now">The time.</param>
    /// <returns>False if it was no longer live, its idle time has passed, its address is not there, it is there already, or there is no
    /// room.</returns>
    public bool RestoreFlow(in FlowSnapshot saved, Timestamp now)
    {
        AddressName name = _addresses.Find(saved.Address);
        AddressName inside = _addresses.Find(saved.Identity.Internal);
        if (saved.State is FlowState.Free or FlowState.Closed or FlowState.Reset or FlowState.Stranded || saved.IdleAt <= now || !name.IsTyped
            || (saved.IsNative ? inside != name : !inside.IsInternal || inside.Number != _addresses.Typed(name.Number).Host) || _flows.IsFull)
        {
            return false;
        }

        var key = new FlowKey(
            saved.Identity.Remote, saved.Identity.Protocol, HostOf(inside), saved.Identity.LocalPort, saved.Identity.RemotePort);
        uint hash = _flows.Hash(key);
        bool tcp = key.IsTcp;
        bool connection = saved.State is not (FlowState.Datagram or FlowState.Echo);
        if (_flows.Find(key, hash) >= 0 || tcp != connection)
        {
            return false;
        }

        FlowMarks marks = (saved.IsInbound ? FlowMarks.Inbound : 0) | (saved.IsNative ? FlowMarks.Native : 0)
            | (_addresses.Find(saved.Identity.Remote).IsTyped ? FlowMarks.Hairpin : 0);
        var choice = new SourceChoice { Address = name.Number, Binding = -1, Decision = saved.Decision };
        int id = OpenFlow(key, hash, choice, marks, TcpTracker.Ack, tcp, now);
        ref FlowEntry entry = ref _flows.Entry(id);
        entry.Packets = saved.Packets;
        entry.Bytes = saved.Octets;
        if (saved.OldAddress is { } before && _addresses.Find(before) is { IsTyped: true } old && old != name && inside.IsInternal
            && _addresses.Typed(old.Number).Host == inside.Number)
        {
            entry.OldAddress = old.Number;
            _addresses.Typed(old.Number).Users++;
        }

        if (tcp)
        {
            entry.State = saved.State;
            entry.Marks |= saved.State switch
            {
                FlowState.OpeningOut => FlowMarks.HostSyn,
                FlowState.OpeningIn => FlowMarks.RemoteSyn,
                _ => FlowMarks.None,
            };
            _wheel.Unschedule(id);
            ScheduleExpiry(id, entry);
        }

        return true;
    }

    /// <summary>Makes the addresses that prefixes still lack. Comes last. What no new flow will get is freed with the first
    /// <see cref="Advance"/>, unless a flow came back to it or a socket that keeps it (<see cref="SetscRequest.Kept"/>) was there before.</summary>
    /// <param name="now">The time.</param>
    public void FinishRestore(Timestamp now)
    {
        for (int id = 0; id < _addresses.TypedHighWater; id++)
        {
            if (_addresses.Typed(id).Prefix >= 0)
            {
                _addresses.Typed(id).Retired |= !_addresses.Typed(id).Exact && HasNewer(_addresses.Typed(id));
            }
        }

        StartSweep();

        foreach (int id in OrderedPrefixes())
        {
            if (_prefixes[id].State is PrefixState.Preferred or PrefixState.Deprecated)
            {
                AddressesOfNewPrefix(id, Nobody, now);
            }
        }

        SetDeadline();
    }

    // What was saved may have addresses out of an earlier life of the same prefix. The newest stands first with its host, and new flows get it.
    private bool HasNewer(in TypedAddress address)
    {
        for (int id = _addresses.Internal(address.Host).FirstTyped; id >= 0; id = _addresses.Typed(id).NextOfHost)
        {
            ref TypedAddress other = ref _addresses.Typed(id);
            if (other.Prefix == address.Prefix && !other.Retired && !other.Exact)
            {
                return other.External != address.External;
            }
        }

        return false;
    }

    private static Duration Left(Timestamp until, Timestamp now) =>
        until == Timestamp.Never ? Duration.Infinite : until > now ? until.Since(now) : Duration.Zero;
}

using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <content>
/// What the network gives and takes: attachment, advertisement, withdrawal (RFC 8653 §3.2, RFC 4862 §5.5, RFC 8978). Flows are not walked
/// here: each meets its prefix's state with its next packet, and the sweep tells stranded programs in small steps.
/// </content>
public sealed partial class DataplaneEngine
{
    private const int Nobody = -1;      // asked for it

    private bool _attached;
    private int _attachment = -1;

    /// <summary>
    /// The host attaches to a network, for the first time or by a move. Prefixes that the new network does not have end as their type says:
    /// Nonpersistent at once, Graceful-Replacement after the window; Fixed and Session-Lasting stay.
    /// </summary>
    /// <param name="attachment">The caller's number for the point of attachment.</param>
    /// <param name="prefixes">What the network gives; unacceptable ones are ignored (RFC 4862 §5.5.3).</param>
    /// <param name="window">The replacement window; null for the option's.</param>
    /// <param name="now">The time.</param>
    public void Attach(ulong attachment, ReadOnlySpan<PrefixAdvertisement> prefixes, Duration? window, Timestamp now)
    {
        BeginCall(now);
        _attachment++;
        _attached = true;
        ForgetRefusals();
        Report(new EngineEvent { Kind = EngineEventKind.Attached, Time = now, Flow = -1, Number = attachment });
        foreach (int id in OrderedPrefixes())
        {
            LeaveBehind(id, prefixes, window ?? _options.DefaultWindow, now);
        }

        foreach (ref readonly PrefixAdvertisement prefix in prefixes)
        {
            _ = Learn(prefix, authenticated: true, given: true, Nobody, now);
        }

        SettleFulfilled(now);
        SetDeadline();
    }

    /// <summary>The host is attached to no network: Fixed and Session-Lasting prefixes stay, Graceful-Replacement ones have the window left.</summary>
    /// <param name="now">The time.</param>
    public void Detach(Timestamp now)
    {
        BeginCall(now);
        _attached = false;
        Report(new EngineEvent { Kind = EngineEventKind.Detached, Time = now, Flow = -1 });
        foreach (int id in OrderedPrefixes())
        {
            ref PrefixEntry entry = ref _prefixes[id];
            if (entry.Type is AddressType.Nonpersistent or AddressType.None)
            {
                EndPrefix(id, PrefixEnd.Detached, now);
            }
            else if (entry.Type == AddressType.GracefulReplacement && entry.State is PrefixState.Preferred or PrefixState.Deprecated)
            {
                entry.ClosesByDetachment = true;
                ClosePrefix(id, _options.DefaultWindow, now);
            }
        }

        SetDeadline();
    }

    /// <summary>The network takes a prefix back.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <param name="window">How long it stays valid; zero for not at all.</param>
    /// <param name="now">The time.</param>
    /// <returns>Whether it was there.</returns>
    public bool Withdraw(IpPrefix prefix, Duration window, Timestamp now)
    {
        BeginCall(now);
        int id = _prefixes.Find(prefix);
        if (id < 0)
        {
            return false;
        }

        if (window > Duration.Zero)
        {
            ClosePrefix(id, window, now);
        }
        else
        {
            EndPrefix(id, PrefixEnd.Withdrawn, now);
        }

        SetDeadline();
        return true;
    }

    /// <summary>The network the host is attached to advertises prefixes: lifetimes change, new prefixes are added (RFC 4862 §5.5.3).</summary>
    /// <param name="prefixes">The prefixes.</param>
    /// <param name="authenticated">Whether the advertisement is authenticated; if not, the two-hour rule holds.</param>
    /// <param name="now">The time.</param>
    public void Advertise(ReadOnlySpan<PrefixAdvertisement> prefixes, bool authenticated, Timestamp now)
    {
        BeginCall(now);
        if (!_attached)
        {
            return;
        }

        foreach (ref readonly PrefixAdvertisement prefix in prefixes)
        {
            _ = Learn(prefix, authenticated, given: false, Nobody, now);
        }

        SettleFulfilled(now);
        SetDeadline();
    }

    // What becomes of a prefix when the host moves to a network that may have it too.
    private void LeaveBehind(int id, ReadOnlySpan<PrefixAdvertisement> prefixes, Duration window, Timestamp now)
    {
        ref PrefixEntry entry = ref _prefixes[id];
        bool retyped = false;
        foreach (ref readonly PrefixAdvertisement prefix in prefixes)
        {
            if (prefix.Prefix == entry.Prefix && prefix.IsAcceptable && prefix.ValidLifetime > Duration.Zero)
            {
                if (prefix.Type == entry.Type)
                {
                    entry.Attachment = _attachment;
                    entry.OnDemand = false;
                    return;
                }

                retyped = true;
            }
        }

        switch (entry.Type)
        {
            case AddressType.Fixed or AddressType.SessionLasting when !retyped:
                break;
            case AddressType.GracefulReplacement when !retyped:
                // A window that a move before this one opened goes on as it was promised; that of a detachment only waited for this.
                if (entry.State != PrefixState.Closing || entry.ClosesByDetachment)
                {
                    entry.ClosesByDetachment = false;
                    ClosePrefix(id, window, now);
                }

                break;
            default:
                EndPrefix(id, PrefixEnd.Moved, now);
                break;
        }
    }

    // Adds a prefix or renews the one that is there. Only one that is given anew, at attachment or in answer, comes back from its window.
    // asker: the host that asked for it.
    private int Learn(in PrefixAdvertisement advertisement, bool authenticated, bool given, int asker, Timestamp now)
    {
        if (!advertisement.IsAcceptable)
        {
            return -1;
        }

        int id = _prefixes.Find(advertisement.Prefix);
        if (id >= 0)
        {
            Renew(id, advertisement, authenticated, given, now);
            return _prefixes[id].State == PrefixState.Ended ? -1 : id;
        }

        if (advertisement.ValidLifetime == Duration.Zero)
        {
            return -1;
        }

        id = _prefixes.Add(advertisement, _attachment, onDemand: asker != Nobody, now);
        if (id >= 0)
        {
            ReportPrefix(EngineEventKind.PrefixAdded, id, now);
            AddressesOfNewPrefix(id, asker, now);
        }

        return id;
    }

    private void Renew(int id, in PrefixAdvertisement advertisement, bool authenticated, bool given, Timestamp now)
    {
        ref PrefixEntry entry = ref _prefixes[id];
        (Timestamp preferredUntil, Timestamp validUntil) = (entry.PreferredUntil, entry.ValidUntil);
        if (!_prefixes.Renew(id, advertisement, authenticated, now))
        {
            EndPrefix(id, PrefixEnd.LifetimePassed, now);
            return;
        }

        if (entry.State != PrefixState.Closing || given)
        {
            PrefixState state = entry.PreferredUntil > now ? PrefixState.Preferred : PrefixState.Deprecated;
            if (state != entry.State)
            {
                entry.State = state;
                entry.ClosesAt = Timestamp.Never;
                entry.ClosesByDetachment = false;
                ReportPrefix(state == PrefixState.Preferred ? EngineEventKind.PrefixPreferred : EngineEventKind.PrefixDeprecated, id, now);
            }
            else if (entry.PreferredUntil != preferredUntil || entry.ValidUntil != validUntil)
            {
                ReportPrefix(EngineEventKind.PrefixRenewed, id, now);
            }
        }
    }

    private void ClosePrefix(int id, Duration window, Timestamp now)
    {
        ref PrefixEntry entry = ref _prefixes[id];
        entry.State = PrefixState.Closing;
        entry.ClosesAt = now.Add(window);
        ReportPrefix(EngineEventKind.WindowOpened, id, now);
    }

    private void EndPrefix(int id, PrefixEnd why, Timestamp when)
    {
        ref PrefixEntry entry = ref _prefixes[id];
        entry.State = PrefixState.Ended;
        Report(new EngineEvent
        {
            Kind = EngineEventKind.PrefixEnded,
            Time = when,
            Flow = -1,
            Prefix = entry.Prefix,
            Type = entry.Type,
            End = why,
        });
        if (entry.Addresses == 0)
        {
            _prefixes.Free(id);
            return;
        }

        StartSweep();
    }

    // A copy, because prefixes leave while they are walked.
    private ReadOnlySpan<int> OrderedPrefixes()
    {
        int count = 0;
        foreach (int id in _prefixes.InOrder)
        {
            if (_prefixes[id].State != PrefixState.Ended)
            {
                _walk[count++] = id;
            }
        }

        return _walk.AsSpan(0, count);
    }
}

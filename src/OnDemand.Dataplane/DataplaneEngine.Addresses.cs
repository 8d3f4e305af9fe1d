using System.Buffers.Binary;
using System.Security.Cryptography;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <content>Internal addresses, and the typed addresses made for them.</content>
public sealed partial class DataplaneEngine
{
    private const int MaximumTries = 16;

    private readonly byte[] _addressSeed = new byte[16];
    private byte[] _secret = [];
    private ulong _addressCounter;
    private int _configuredHosts;      // internal addresses named one by one, which have the lowest numbers

    private void SetSecrets()
    {
        BinaryPrimitives.WriteUInt64BigEndian(_addressSeed, _options.AddressSeed);
        BinaryPrimitives.WriteUInt64BigEndian(_addressSeed.AsSpan(8), ~_options.AddressSeed);
        _secret = _options.IdentifierSecret.IsEmpty ? SHA256.HashData(_addressSeed) : _options.IdentifierSecret.ToArray();
    }

    private void AddInternalAddresses()
    {
        foreach (IpPrefix prefix in _options.Internal)
        {
            if (prefix.IsSingleAddress && !_addresses.Find(prefix.Address).IsKnown && _addresses.AddInternal(prefix.Address) < 0)
            {
                throw new ArgumentException(
                    $"More internal addresses are listed than {nameof(DataplaneOptions.MaximumInternalAddresses)} allows.", nameof(DataplaneOptions.Internal));
            }
        }

        _configuredHosts = _addresses.InternalCount;
    }

    private bool IsInternal(IpAddress address)
    {
        AddressName name = _addresses.Find(address);
        if (name.IsKnown)
        {
            return name.IsInternal;
        }

        IReadOnlyList<IpPrefix> prefixes = _options.Internal;
        for (int i = 0; i < prefixes.Count; i++)
        {
            if (!prefixes[i].IsSingleAddress && prefixes[i].Contains(address))
            {
                return true;
            }
        }

        return false;
    }

    // Addresses that may be reached from outside have to be there before the first packet goes out. A single one is that of the host that
    // asked for it.
    private void AddressesOfNewPrefix(int prefix, int asker, Timestamp now)
    {
        bool full = false;
        if (_prefixes[prefix].Prefix.IsSingleAddress && asker != Nobody)
        {
            _ = AddressIn(prefix, asker, now, ref full);
        }

        int hosts = _prefixes[prefix].Type == AddressType.Fixed ? _addresses.InternalCount : _configuredHosts;
        for (int host = 0; host < hosts; host++)
        {
            _ = AddressIn(prefix, host, now, ref full);
        }
    }

    private void AddressesOfNewHost(int host, Timestamp now)
    {
        bool full = false;
        foreach (int prefix in _prefixes.InOrder)
        {
            if (_prefixes[prefix].Type == AddressType.Fixed && _prefixes[prefix].State is PrefixState.Preferred or PrefixState.Deprecated)
            {
                _ = AddressIn(prefix, host, now, ref full);
            }
        }
    }

    // The typed address of an internal one in a prefix: the one there is, unless it is due for renewal, or a new one; -1 if there is none.
    private int AddressIn(int prefix, int host, Timestamp now, ref bool full)
    {
        for (int id = _addresses.Internal(host).FirstTyped; id >= 0; id = _addresses.Typed(id).NextOfHost)
        {
            ref TypedAddress address = ref _addresses.Typed(id);
            if (address.Prefix != prefix || address.Retired)
            {
                continue;
            }

            if (!IsDueForRenewal(address, now))
            {
                return id;
            }

            address.Retired = true;
            Counters.AddressesRenewed++;
            ReportAddress(EngineEventKind.AddressRetired, id, now);
            FreeAddressIfDone(id);
            break;
        }

        ref PrefixEntry entry = ref _prefixes[prefix];
        if (entry.Prefix.IsSingleAddress)
        {
            return entry.OnlyAddress >= 0 ? -1 : AddAddress(prefix, host, entry.Prefix.Address, exact: true, now, ref full);
        }

        for (int tries = 0; tries < MaximumTries; tries++)
        {
            IpAddress made = MakeAddress(entry, host, (uint)tries);
            if (!_addresses.Find(made).IsKnown || IsEndedAddress(made))
            {
                return AddAddress(prefix, host, made, exact: false, now, ref full);
            }
        }

        return -1;   // a prefix so long that its few addresses are taken
    }

    private bool IsEndedAddress(IpAddress address)
    {
        AddressName name = _addresses.Find(address);
        return name.IsTyped && _prefixes[_addresses.Typed(name.Number).Prefix].State == PrefixState.Ended;
    }

    private bool IsDueForRenewal(in TypedAddress address, Timestamp now)
    {
        RenewalLimit limit = _options.RenewalOf(address.Type);
        return !address.Exact
            && (now.Since(address.Since) >= limit.After || (limit.Bytes > 0 && address.BytesOut >= limit.Bytes));
    }

    // A very address in a prefix that we hold (a pin, or a capture that shows it).
    private int Adopt(int prefix, int host, IpAddress external, Timestamp now, ref bool full)
    {
        AddressName name = _addresses.Find(external);
        if (name.IsTyped && !IsEndedAddress(external))
        {
            ref TypedAddress known = ref _addresses.Typed(name.Number);
            return known.Host == host && known.Prefix == prefix && !known.Retired ? name.Number : -1;
        }

        return name.IsInternal ? -1 : AddAddress(prefix, host, external, exact: true, now, ref full);
    }

    private int AddAddress(int prefix, int host, IpAddress external, bool exact, Timestamp now, ref bool full)
    {
        if (_addresses.Find(external).IsInternal)
        {
            return -1;
        }

        int id = _addresses.AddTyped(external, host, prefix, _prefixes[prefix].Type, now);
        if (id < 0)
        {
            full = true;
            return -1;
        }

        _addresses.Typed(id).Exact = exact;
        ref PrefixEntry entry = ref _prefixes[prefix];
        entry.Addresses++;
        entry.OnlyAddress = entry.Prefix.IsSingleAddress ? id : -1;
        if (_flows.Count > 0 && (exact || entry.Type == AddressType.Fixed))
        {
            // It may have been ours before, or somebody else's: flows that go to it stay on this host from now on.
            _sweepsRemotes = true;
            StartSweep();
        }

        ReportAddress(EngineEventKind.AddressMade, id, now);
        return id;
    }

    private IpAddress MakeAddress(in PrefixEntry prefix, int host, uint tries)
    {
        IpAddress inner = _addresses.Internal(host).Address;
        IpAddress made = prefix.Type == AddressType.Fixed
            ? InterfaceIdentifier.Stable(prefix.Prefix, inner, [], tries, _secret)
            : InterfaceIdentifier.Opaque(prefix.Prefix, _addressSeed, ref _addressCounter);
        bool neutral = (_options.NeutralTypes >> (int)prefix.Type & 1) != 0;
        return neutral && InterfaceIdentifier.MakeNeutral(prefix.Prefix, made, inner, out IpAddress balanced) ? balanced : made;
    }
}

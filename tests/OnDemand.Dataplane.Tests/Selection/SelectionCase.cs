using FsCheck;
using FsCheck.Fluent;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Selection;

/// <summary>A host's addresses and a question; drawn so narrowly that every rule gets its say.</summary>
public sealed record SelectionCase(SourceCandidate[] Candidates, SelectionQuery Query)
{
    private static readonly string[] Pool =
    [
        "2001:db8:1::1", "2001:db8:1::2", "2001:db8:1:1::1", "2001:db8:2::1", "2001:db8:8000::1", "3fff::1", "fd00::1", "fd00:1::1",
        "fc00::1", "2002:c633:6401::1", "2001:0:1::1", "2001:10::1", "2001:1f::2", "fec0::1", "fec0::2", "3ffe::1", "fe80::1", "fe80::2",
        "::1", "::192.0.2.1", "::ffff:192.0.2.1", "::ffff:169.254.0.1", "::ffff:127.0.0.1",
    ];

    private static readonly string[] NeverSources = ["::", "ff02::1", "ff0e::1"];

    private static readonly string[] Multicast = ["ff01::1", "ff02::1", "ff05::1", "ff08::1", "ff0e::1"];

    private static readonly AddressPreferences[] Wishes =
    [
        AddressPreferences.None, AddressPreferences.Temporary, AddressPreferences.Public, AddressPreferences.CareOf,
        AddressPreferences.Home, AddressPreferences.Public | AddressPreferences.CareOf,
        AddressPreferences.PublicTemporaryDefault, AddressPreferences.Cga,
    ];

    public static Arbitrary<SelectionCase> Arbitrary() => Arb.From(Generator());

    public override string ToString() =>
        $"{Query}{Environment.NewLine}{string.Join(Environment.NewLine, Candidates.Select(candidate => candidate.ToString()))}";

    private static Gen<SelectionCase> Generator() =>
        from count in Gen.Choose(0, 6)
        from candidates in Gen.ArrayOf(Candidate(), count)
        from destination in Destination()
        from interfaceIndex in Gen.Choose(1, 2)
        from preferences in Gen.Elements(Wishes)
        from useNextHop in Gen.Elements(false, true)
        select new SelectionCase(candidates, new SelectionQuery(destination, interfaceIndex, preferences, useNextHop));

    private static Gen<IpAddress> Destination() => Gen.Frequency(
        (8, Gen.Elements(Pool).Select(IpAddress.Parse)),
        (2, Gen.Elements(Multicast).Select(IpAddress.Parse)));

    // Traits are rare, so that pairs often agree in the early rules and the late ones decide.
    private static Gen<SourceCandidate> Candidate() =>
        from address in Gen.Frequency((30, Gen.Elements(Pool)), (1, Gen.Elements(NeverSources)))
        from prefixLength in Gen.Elements(0, 16, 48, 64, 64, 64, 128)
        from interfaceIndex in Gen.Frequency((5, Gen.Constant(1)), (1, Gen.Constant(2)))
        from usable in OneIn(10)
        from deprecated in OneIn(5)
        from home in OneIn(5)
        from careOf in OneIn(5)
        from temporary in OneIn(3)
        from nextHop in OneIn(3)
        from prefersTemporary in OneIn(3)
        select new SourceCandidate(IpAddress.Parse(address), (byte)prefixLength)
        {
            InterfaceIndex = interfaceIndex,
            Usable = !usable,
            Deprecated = deprecated,
            Home = home,
            CareOf = careOf,
            Temporary = temporary,
            AdvertisedByNextHop = nextHop,
            PrefersTemporary = prefersTemporary,
        };

    private static Gen<bool> OneIn(int of) => Gen.Choose(1, of).Select(drawn => drawn == 1);
}

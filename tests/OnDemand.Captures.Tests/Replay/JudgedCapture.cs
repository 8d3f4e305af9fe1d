using System.Text;
using OnDemand.Captures.Files;
using OnDemand.Captures.Inspection;
using OnDemand.Captures.Link;
using OnDemand.Captures.Scenarios;
using OnDemand.Captures.Tests.Files;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Tests.Replay;

/// <summary>A capture of this repository or of another project, and scenarios for it.</summary>
internal sealed record JudgedCapture(string Name, byte[] Octets)
{
    private const int MostAddresses = 6;

    /// <summary>The captures of other projects, and the shipped ones.</summary>
    public static IEnumerable<JudgedCapture> All()
    {
        string[] others = Shared.Captures is null ? [] : Directory.GetFiles(Shared.Captures, "*.pcap*");
        return others.Concat(ShippedScenario.Captures).Order(StringComparer.Ordinal)
            .Select(path => new JudgedCapture($"{Path.GetFileName(Path.GetDirectoryName(path))}/{Path.GetFileName(path)}", File.ReadAllBytes(path)));
    }

    /// <summary>The scenario that the inspector writes; null if it has none to write.</summary>
    public async Task<Scenario?> InspectedAsync()
    {
        Inspector inspector = await Inspector.InspectAsync(Name, new MemoryStream(Octets), InspectionLimits.Default, CancellationToken.None);
        if (inspector.Scenario is not { } scenario)
        {
            return null;
        }

        using var text = new StringWriter { NewLine = "\n" };
        scenario.Write(text);
        return ScenarioReader.Parse("inspected.yaml", Encoding.UTF8.GetBytes(text.ToString()));
    }

    /// <summary>The global unicast addresses at either end of a packet, a few of them.</summary>
    public async Task<IReadOnlyList<IpAddress>> AddressesAsync()
    {
        List<IpAddress> addresses = [];
        foreach (SeenPacket packet in await ReplayOf.PacketsAsync(Octets))
        {
            if (LinkLayer.TryFindIpv6(packet.LinkType, packet.Data, out int offset) && packet.Data.Length - offset >= 40)
            {
                addresses.Add(IpAddress.Read(packet.Data.AsSpan(offset + 8)));
                addresses.Add(IpAddress.Read(packet.Data.AsSpan(offset + 24)));
            }
        }

        return [.. addresses.Distinct().Where(IsGlobalUnicast).Take(MostAddresses)];
    }

    /// <summary>One address is internal, and everything may come in.</summary>
    public static Scenario Inside(IpAddress address) => Parse(
        $$"""
        internal: ["{{address}}"]
        network: [{at: 0s, attach: ar1, prefixes: [{prefix: "3fff:ffff:0:1::/64", type: session-lasting}]}]
        policy: {default: session-lasting, inbound: [{type: session-lasting}]}
        """);

    /// <summary>One address is typed: the capture was taken outside of a host that has it.</summary>
    public static Scenario Outside(IpAddress address) => Parse(
        $$"""
        internal: ["fdff:ffff::1"]
        network: [{at: 0s, attach: ar1, prefixes: [{prefix: "{{address}}/128", type: session-lasting}]}]
        policy: {default: session-lasting, inbound: [{type: session-lasting}]}
        """);

    public async Task<bool> IsDamagedAsync()
    {
        await using CaptureReader reader = CaptureReader.Create(new MemoryStream(Octets));
        while (await reader.ReadAsync())
        {
            while (reader.TryRead(out _))
            {
                // Only the end is of interest.
            }
        }

        return reader.Damage is not null;
    }

    private static bool IsGlobalUnicast(IpAddress address)
    {
        Span<byte> octets = stackalloc byte[16];
        address.Write(octets);
        return octets[0] != 0xff && !(octets[0] == 0xfe && (octets[1] & 0xc0) == 0x80) && octets[..8].ContainsAnyExcept((byte)0);
    }

    private static Scenario Parse(string text) => ScenarioReader.Parse("generic.yaml", Encoding.UTF8.GetBytes(text));
}

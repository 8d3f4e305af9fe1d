using System.Text.Json;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Selection;

/// <summary>One recorded answer of a Linux kernel: which source address it gave a connected UDP socket.</summary>
internal sealed record KernelVector(int Id, SourceCandidate[] Candidates, SelectionQuery Query, IpAddress? Chosen, int? Errno)
{
    /// <summary>EADDRNOTAVAIL: there was a route, but no candidate.</summary>
    public const int NoCandidate = 99;

    /// <summary>ENETUNREACH: there was no route, so selection was never asked.</summary>
    public const int NoRoute = 101;

    /// <summary>Reads the recorded vectors, or skips the test where they are not.</summary>
    public static IReadOnlyList<KernelVector> Load()
    {
        DirectoryInfo? root = new(AppContext.BaseDirectory);
        while (root is not null && !File.Exists(Path.Combine(root.FullName, "OnDemand.Dataplane.sln")))
        {
            root = root.Parent;
        }

        string path = Path.Combine(root?.FullName ?? ".", "..", "shared", "oracles", "kernel-source-selection.jsonl");
        Assert.SkipUnless(File.Exists(path), "The kernel's recorded answers (shared/oracles) are not beside this repository.");
        return [.. File.ReadLines(path).Select(Read)];
    }

    private static KernelVector Read(string line)
    {
        using JsonDocument document = JsonDocument.Parse(line);
        JsonElement vector = document.RootElement;
        JsonElement useTemporary = vector.GetProperty("use_tempaddr");
        SourceCandidate[] candidates =
            [.. vector.GetProperty("candidates").EnumerateArray().Select(candidate => ReadCandidate(candidate, useTemporary))];
        JsonElement outgoing = vector.GetProperty("outgoing_ifindex");
        var query = new SelectionQuery(
            Address(vector.GetProperty("destination")),
            outgoing.ValueKind == JsonValueKind.Null ? 0 : outgoing.GetInt32(),
            (AddressPreferences)vector.GetProperty("prefs").GetInt32());
        JsonElement chosen = vector.GetProperty("chosen");
        JsonElement errno = vector.GetProperty("errno");
        return new KernelVector(
            vector.GetProperty("id").GetInt32(),
            candidates,
            query,
            chosen.ValueKind == JsonValueKind.Null ? null : Address(chosen),
            errno.ValueKind == JsonValueKind.Null ? null : errno.GetInt32());
    }

    private static SourceCandidate ReadCandidate(JsonElement candidate, JsonElement useTemporary)
    {
        int interfaceIndex = candidate.GetProperty("ifindex").GetInt32();
        string[] flags = [.. candidate.GetProperty("flags").EnumerateArray().Select(flag => flag.GetString()!)];
        return new SourceCandidate(Address(candidate.GetProperty("address")), candidate.GetProperty("prefixlen").GetByte())
        {
            InterfaceIndex = interfaceIndex,
            Usable = !flags.Contains("tentative") && !flags.Contains("dadfailed"),
            Deprecated = candidate.GetProperty("deprecated").GetBoolean(),
            Home = candidate.GetProperty("home").GetBoolean(),
            Temporary = candidate.GetProperty("temporary").GetBoolean(),
            PrefersTemporary = useTemporary.TryGetProperty(interfaceIndex.ToString(), out JsonElement value) && value.GetInt32() >= 2,
        };
    }

    private static IpAddress Address(JsonElement text) => IpAddress.Parse(text.GetString()!);
}

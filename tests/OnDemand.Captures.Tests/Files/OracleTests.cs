using System.Text.Json;
using System.Text.RegularExpressions;
using OnDemand.Captures.Files;
using Xunit;

namespace OnDemand.Captures.Tests.Files;

/// <summary>The reader against the independent reader of the replay oracle, over damaged files.</summary>
public sealed partial class OracleTests
{
    // A link type of more than 16 bits is none; the reader has one value for all of them. Times saturate.
    private const string Script = """
        import json, os, sys
        sys.path.insert(0, sys.argv[1])
        import check_replay
        for name in sorted(os.listdir(sys.argv[2])):
            c = check_replay.read_capture(os.path.join(sys.argv[2], name))
            packets = [[k.iface, min(k.linktype, 65535), None if k.ts is None else str(min(k.ts.numerator // k.ts.denominator, 2**63 - 1)),
                        k.caplen, k.origlen, k.at] for k in c.packets]
            print(json.dumps({"name": name, "packets": packets, "damage": c.damage}))
        """;

    [Fact]
    public async Task Mutated_captures_are_read_as_the_oracle_reads_them()
    {
        Assert.SkipUnless(Shared.Oracles is not null, "../shared/oracles is not there.");
        DirectoryInfo directory = Directory.CreateTempSubdirectory("captures");
        try
        {
            Dictionary<string, byte[]> files = await WriteMutationsAsync(directory.FullName);
            string? output = await Tool.RunAsync("python3", "-B", "-c", Script, Shared.Oracles!, directory.FullName);
            Assert.SkipWhen(output is null, "python3 is not installed.");

            int damaged = 0;
            foreach (string line in output!.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                using JsonDocument document = JsonDocument.Parse(line);
                JsonElement root = document.RootElement;
                string name = root.GetProperty("name").GetString()!;
                CaptureRun run = await CaptureRun.ReadAsync(files[name]);
                Assert.True(files.Remove(name));
                Compare(name, root, run);
                damaged += run.Damage is null ? 0 : 1;
            }

            Assert.Empty(files);
            Assert.True(damaged > 50, "The mutations hardly damage anything.");
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    private static void Compare(string name, JsonElement oracle, CaptureRun run)
    {
        string[] expected = [.. oracle.GetProperty("packets")
            .EnumerateArray().Select(static packet => string.Join(' ', packet.EnumerateArray()))];
        string[] actual =
        [
            .. run.Packets.Select(static packet =>
                string.Join(
                    ' ',
                    packet.Interface,
                    packet.LinkType,
                    packet.Timestamp,
                    packet.Captured,
                    packet.Original,
                    packet.Offset + packet.DataOffset)),
        ];
        if (run.Damage is { } stricter && (stricter.Description.Contains("version", StringComparison.Ordinal)
            || stricter.Description.StartsWith("The section header", StringComparison.Ordinal)))
        {
            // The oracle looks at the version of a pcap file only, and at no length of a section header.
            Assert.Equal(expected.Take(actual.Length), actual);
            return;
        }

        Assert.True(
            expected.SequenceEqual(actual),
            $"{name}: {run.Damage}; expected\n{string.Join('\n', expected)}\nfound\n{string.Join('\n', actual)}");
        string? damage = oracle.GetProperty("damage").GetString();
        Assert.True(damage is null == run.Damage is null, $"{name}: the oracle says '{damage}', the reader '{run.Damage}'.");
        if (damage is not null && ByteNumber().Match(damage) is { Success: true } place)
        {
            Assert.Equal(place.Groups[1].Value, $"{run.Damage!.Offset}");
        }
    }

    private static async Task<Dictionary<string, byte[]>> WriteMutationsAsync(string directory)
    {
        Random random = new(8653);
        byte[][] seeds =
        [
            CaptureBytes.Everything(false), CaptureBytes.Everything(true), CaptureBytes.Pcap(false, CaptureBytes.Microseconds),
            CaptureBytes.Pcap(true, CaptureBytes.Nanoseconds), CaptureBytes.Pcap(true, CaptureBytes.Modified),
        ];
        Dictionary<string, byte[]> files = [];
        for (int i = 0; i < 600; i++)
        {
            byte[] file = Mutation.Of(seeds[i % seeds.Length], random);
            string name = $"{i:D4}";
            files.Add(name, file);
            await File.WriteAllBytesAsync(Path.Combine(directory, name), file);
        }

        return files;
    }

    [GeneratedRegex(@"at byte (\d+)")]
    private static partial Regex ByteNumber();
}

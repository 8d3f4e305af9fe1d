using System.Security.Cryptography;
using System.Text;
using OnDemand.Captures.Files;
using OnDemand.Captures.Replay;
using OnDemand.Captures.Reports;
using OnDemand.Captures.Scenarios;

namespace OnDemand.Captures.Tests.Replay;

/// <summary>One replay in memory, from octets to octets.</summary>
internal sealed class ReplayOf
{
    private ReplayOf(ReplayResult result, byte[] output, byte[] host, byte[] translations) =>
        (Result, Output, Host, Translations) = (result, output, host, translations);

    public ReplayResult Result { get; }

    public ReplayReport Report => Result.Report;

    public byte[] Output { get; }

    public byte[] Host { get; }

    public byte[] Translations { get; }

    /// <summary>The terminal's table without anything that depends on speed.</summary>
    public string Table
    {
        get
        {
            using var text = new StringWriter { NewLine = "\n" };
            ReportTable.Write(text, Report with { Elapsed = TimeSpan.Zero }, ReportTableOptions.Everything);
            return text.ToString();
        }
    }

    public static Task<ReplayOf> RunAsync(byte[] input, string scenario, Func<ReplayOptions, ReplayOptions>? with = null) =>
        RunAsync(new MemoryStream(input), ScenarioReader.Parse("test.yaml", Encoding.UTF8.GetBytes(scenario)), with);

    public static async Task<ReplayOf> RunAsync(Stream input, Scenario scenario, Func<ReplayOptions, ReplayOptions>? with = null)
    {
        ReplayOptions options = new() { Input = "in", Scenario = "test.yaml", Output = "out", HostOutput = "host", Translations = "translations" };
        options = with?.Invoke(options) ?? options;
        Dictionary<string, MemoryStream> files = [];
        ReplayResult result = await ReplayRun.RunAsync(
            options, scenario, path => path == options.Input ? input : throw new FileNotFoundException(path), path => files[path] = new MemoryStream(), null,
            CancellationToken.None);
        byte[] File(string? path) => path is not null && files.TryGetValue(path, out MemoryStream? file) ? file.ToArray() : [];
        return new ReplayOf(result, File(options.Output), File(options.HostOutput), File(options.Translations));
    }

    /// <summary>A capture that is shipped with one of its scenarios, named as from the repository's root.</summary>
    public static async Task<ReplayOf> ShippedAsync(ShippedScenario shipped, Func<ReplayOptions, ReplayOptions>? with = null) =>
        await RunAsync(
            new MemoryStream(await File.ReadAllBytesAsync(shipped.InputPath)),
            ScenarioReader.Load(shipped.Path),
            options =>
            {
                options = options with { Input = shipped.Input, Scenario = shipped.Name };
                return with?.Invoke(options) ?? options;
            });

    public static string Digest(byte[] octets) => Convert.ToHexStringLower(SHA256.HashData(octets));

    /// <summary>The packets of a capture.</summary>
    public static async Task<IReadOnlyList<SeenPacket>> PacketsAsync(byte[] file)
    {
        List<SeenPacket> packets = [];
        await using CaptureReader reader = CaptureReader.Create(new MemoryStream(file));
        while (await reader.ReadAsync())
        {
            while (reader.TryRead(out CaptureRecord record))
            {
                if (record.Kind == CaptureRecordKind.Packet)
                {
                    packets.Add(new SeenPacket(
                        record.HasTimestamp ? record.Timestamp : null, record.InterfaceIndex, record.LinkType, record.OriginalLength, record.Data.ToArray()));
                }
            }
        }

        return packets;
    }
}

/// <summary>A packet of a capture.</summary>
internal sealed record SeenPacket(long? Time, int Interface, ushort LinkType, uint OriginalLength, byte[] Data);

using System.Buffers.Binary;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Captures.Tests.Replay;

/// <summary>What the host gets to see that no remote sent, read with nothing of the engine.</summary>
public sealed class HostOutputTests
{
    private const int Link = 14;
    private const byte Reset = 4;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("four-types/move", 41003, 4.0)]
    [InlineData("four-types/move", 41004, 7.0)]
    [InlineData("four-types/legacy", 41001, 4.0)]
    [InlineData("four-types/withdraw", 41001, 10.0)]
    [InlineData("web-download/nonpersistent", 40080, 0.3)]
    [InlineData("web-download/graceful", 40080, 0.8)]
    [InlineData("interactive/graceful", 35452, 25.0)]
    [InlineData("message-flow/draft17", 46001, 3.5)]
    public async Task A_stranded_connection_is_reset_at_once_with_the_sequence_number_that_the_host_expects(string name, int port, double stranded)
    {
        (IReadOnlyList<SeenPacket> made, IReadOnlyList<SeenPacket> captured, long start) = await RunAsync(name);

        SeenPacket[] resets = [.. made.Where(packet => IsTcp(packet) && packet.Data[Link + 40 + 13] == (Reset | 0x10) && Port(packet, 2) == port)];

        Assert.NotEmpty(resets);
        Assert.Equal(stranded, (resets[0].Time!.Value - start) / 1e9, 5);
        Assert.All(resets, reset =>
        {
            SeenPacket last = captured.Last(packet => IsTcp(packet) && Port(packet, 0) == port && packet.Time <= reset.Time);
            Assert.Equal(Number(last, 8), Number(reset, 4));                                    // RFC 5961 §3.2: just RCV.NXT
            Assert.Equal(last.Data.AsSpan(Link + 8, 16), reset.Data.AsSpan(Link + 24, 16));     // to where that came from …
            Assert.Equal(last.Data.AsSpan(Link + 24, 16), reset.Data.AsSpan(Link + 8, 16));     // … from where it went
            Assert.Equal(last.Data.AsSpan(0, 6), reset.Data.AsSpan(6, 6));
            Assert.Equal(Port(last, 2), Port(reset, 0));
            Assert.True(MadePackets.IsRight(reset.Data.AsSpan(Link)));
        });
    }

    [Theory]
    [InlineData("four-types/on-demand", 7004)]
    [InlineData("four-types/on-demand", 7001)]
    [InlineData("four-types/silence", 7002)]
    [InlineData("message-flow/draft17", 7004)]
    public async Task A_refused_packet_is_answered_with_an_unreachable_that_quotes_it(string name, int remotePort)
    {
        (IReadOnlyList<SeenPacket> made, IReadOnlyList<SeenPacket> captured, _) = await RunAsync(name);
        HashSet<string> sent = [.. captured.Select(packet => Convert.ToHexString(packet.Data.AsSpan(Link)))];

        SeenPacket[] errors = [.. made.Where(packet => packet.Data[Link + 6] == 58 && Port(packet, 8 + 40 + 2) == remotePort)];

        Assert.NotEmpty(errors);
        Assert.All(errors, error =>
        {
            Assert.Equal(1, error.Data[Link + 40]);   // destination unreachable
            Assert.True(MadePackets.IsRight(error.Data.AsSpan(Link)));
            Assert.Contains(Convert.ToHexString(error.Data.AsSpan(Link + 48)), sent);
            Assert.Equal("fd00:db8::1", IpAddress.Read(error.Data.AsSpan(Link + 24)).ToString());
        });
    }

    // What is in the host's file and not in the capture; everything else there must be from the capture.
    private static async Task<(IReadOnlyList<SeenPacket> Made, IReadOnlyList<SeenPacket> Captured, long Start)> RunAsync(string name)
    {
        var shipped = new ShippedScenario($"captures/{name}.yaml");
        ReplayOf replay = await ReplayOf.ShippedAsync(shipped);
        IReadOnlyList<SeenPacket> captured = await ReplayOf.PacketsAsync(await File.ReadAllBytesAsync(shipped.InputPath, Stop));
        HashSet<(long?, string)> known = [.. captured.Select(packet => (packet.Time, Convert.ToHexString(packet.Data)))];
        SeenPacket[] made = [.. (await ReplayOf.PacketsAsync(replay.Host)).Where(packet => !known.Contains((packet.Time, Convert.ToHexString(packet.Data))))];
        Assert.Equal(replay.Report.Totals.Replies, made.Length);
        return (made, captured, captured[0].Time!.Value);
    }

    private static bool IsTcp(SeenPacket packet) => packet.Data.Length >= Link + 60 && packet.Data[Link + 6] == 6;

    private static int Port(SeenPacket packet, int at) =>
        packet.Data.Length >= Link + 42 + at ? BinaryPrimitives.ReadUInt16BigEndian(packet.Data.AsSpan(Link + 40 + at)) : -1;

    private static uint Number(SeenPacket packet, int at) => BinaryPrimitives.ReadUInt32BigEndian(packet.Data.AsSpan(Link + 40 + at));
}

using System.Text;
using OnDemand.Captures.Replay;
using OnDemand.Captures.Scenarios;
using OnDemand.Captures.Tests.Files;
using Xunit;
using static OnDemand.Captures.Tests.Replay.MadePackets;

namespace OnDemand.Captures.Tests.Replay;

/// <summary>Tests that measure the whole process run while no other does.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;

/// <summary>Nothing grows with the length of a capture.</summary>
[Collection(nameof(Alone))]
public sealed class ReplayMemoryTests
{
    [Fact]
    public async Task Three_hundred_megabytes_take_no_more_memory_than_three()
    {
        _ = await AllocatedAsync(3_000_000);   // what is taken once in a process's life

        long little = await AllocatedAsync(3_000_000);
        long much = await AllocatedAsync(300_000_000);

        // A long file has all the parts under way that the pipes allow (five of a mebibyte for each of three files); per packet that is nothing.
        Assert.InRange(much - little, -(24 << 20), 24 << 20);
    }

    private static async Task<long> AllocatedAsync(long length)
    {
        byte[] body = new CaptureBytes(false).PcapRecord(1_700_000_000, 0, Udp(Host, 5000, Remote, 53, 1_200))
            .PcapRecord(1_700_000_000, 1, Udp(Remote, 53, Host, 5000, 1_200)).ToArray();
        await using RepeatedStream input = new(new CaptureBytes(false).PcapHeader(network: 101).ToArray(), body, length);
        Scenario scenario = ScenarioReader.Parse("test.yaml", Encoding.UTF8.GetBytes(MadeCaptures.Scenario));
        var options = new ReplayOptions { Input = "in", Scenario = "test.yaml", Output = "out", HostOutput = "host", Translations = "translations" };
        long before = GC.GetTotalAllocatedBytes(precise: true);

        ReplayResult result = await ReplayRun.RunAsync(options, scenario, _ => input, _ => Stream.Null, null, CancellationToken.None);

        long allocated = GC.GetTotalAllocatedBytes(precise: true) - before;
        Assert.InRange(result.Report.Totals.OctetsRead, length * 9 / 10, length);
        Assert.Equal(result.Report.Totals.PacketsRead, result.Report.Totals.Rewritten);
        return allocated;
    }

    /// <summary>A head once and a body over and over, ending with a whole body.</summary>
    private sealed class RepeatedStream(byte[] head, byte[] body, long atLeast) : MemoryStream(head)
    {
        private long _delivered;
        private int _position;

        public override bool CanSeek => false;

        public override int Read(Span<byte> buffer)
        {
            int filled = base.Read(buffer);
            while (filled < buffer.Length && (_delivered < atLeast || _position > 0))
            {
                int length = Math.Min(body.Length - _position, buffer.Length - filled);
                body.AsSpan(_position, length).CopyTo(buffer[filled..]);
                filled += length;
                _delivered += length;
                _position = (_position + length) % body.Length;
            }

            return filled;
        }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => ValueTask.FromResult(Read(buffer.Span));
    }
}

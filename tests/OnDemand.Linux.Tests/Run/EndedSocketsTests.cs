using OnDemand.Linux.Run;
using Xunit;

namespace OnDemand.Linux.Tests.Run;

public sealed class EndedSocketsTests
{
    [Fact]
    public void The_last_ones_are_known_and_those_before_are_forgotten()
    {
        var ended = new EndedSockets(capacity: 3);
        foreach (ulong cookie in new ulong[] { 5, 6, 6, 7, 8 })
        {
            ended.Add(cookie);
        }

        Assert.Equal([6UL, 7UL, 8UL], new ulong[] { 4, 5, 6, 7, 8, 9 }.Where(ended.Contains));
    }
}

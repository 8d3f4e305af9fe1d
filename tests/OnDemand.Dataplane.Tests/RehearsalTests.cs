using OnDemand.Dataplane.Mobility;
using Xunit;

namespace OnDemand.Dataplane.Tests;

public sealed class RehearsalTests
{
    [Fact]
    public void Everything_that_a_move_brings_is_gone_through()
    {
        Counters counters = Rehearsal.Run();

        Assert.True(counters.Of(ForwardReason.Rewritten) > 1_000);
        Assert.Equal(0, counters.Of(ForwardReason.Untranslatable));
        Assert.True(counters.Of(AddressType.Nonpersistent).Stranded >= 20);
        Assert.True(counters.Of(AddressType.GracefulReplacement).Stranded >= 20);
        Assert.Equal(0, counters.Of(AddressType.Fixed).Stranded);
        Assert.True(counters.Of(AddressType.GracefulReplacement).WentOver >= 20);
        Assert.True(counters.ResetsSent >= 40);
        Assert.True(counters.Of(DropReason.AddressEnded) > 0);
    }
}

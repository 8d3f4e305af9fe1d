using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Mobility;

public sealed class PrefixSieveTests
{
    [Fact]
    public void What_was_added_may_be_there_and_so_may_all_that_share_its_first_half()
    {
        var sieve = new PrefixSieve();
        var random = new Random(1);
        for (int i = 0; i < 5_000; i++)
        {
            var address = new IpAddress((ulong)random.NextInt64(), (ulong)random.NextInt64());
            sieve.Add(address);

            Assert.True(sieve.MayHave(address));
            Assert.True(sieve.MayHave(new IpAddress(address.High, ~address.Low)));
        }
    }

    [Fact]
    public void Of_the_prefixes_that_were_not_added_few_pass()
    {
        var sieve = new PrefixSieve();
        Assert.False(sieve.MayHave(IpAddress.Unspecified));
        for (uint i = 0; i < 16; i++)
        {
            sieve.Add(new IpAddress(0x2001_0db8_0000_0000UL + i, i));   // neighbours, as a provider gives them
        }

        int passed = 0;
        for (uint i = 0; i < 10_000; i++)
        {
            passed += sieve.MayHave(new IpAddress(0x2001_0db8_1000_0000UL + i, 1)) ? 1 : 0;
        }

        Assert.InRange(passed, 0, 10_000 * 16 * 2 / 1024);   // 16 of 1024 bits are set; twice as many is far off the golden ratio's spread
    }
}

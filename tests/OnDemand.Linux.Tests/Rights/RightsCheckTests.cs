using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Rights;
using OnDemand.Linux.Tests.Run;
using Xunit;

namespace OnDemand.Linux.Tests.Rights;

public sealed class RightsCheckTests
{
    private const AddressType Type = AddressType.Fixed;

    private static readonly Applicant Ann = new(1000, [5, 6], "/usr/bin/ssh");

    [Fact]
    public void A_type_without_rules_is_for_everybody() => Assert.Null(new RightsCheck(RightsConfig.Unlimited).WhyNot(Ann, Type));

    [Theory]
    [InlineData(new uint[] { 1000 }, null, null, true)]
    [InlineData(new uint[] { 1001 }, null, null, false)]
    [InlineData(new uint[0], null, null, false)]
    [InlineData(null, new uint[] { 6 }, null, true)]
    [InlineData(null, new uint[] { 7 }, null, false)]
    [InlineData(new uint[] { 1001 }, new uint[] { 5 }, null, true)]
    [InlineData(null, null, "/usr/bin/ssh", true)]
    [InlineData(null, null, "/usr/bin/curl", false)]
    [InlineData(new uint[] { 1000 }, null, "/usr/bin/curl", false)]
    [InlineData(new uint[] { 1001 }, null, "/usr/bin/ssh", false)]
    [InlineData(null, new uint[] { 6 }, "/usr/bin/ssh", true)]
    public void Who_may_is_one_of_the_people_by_one_of_the_programs(uint[]? users, uint[]? groups, string? program, bool may)
    {
        var rights = new TypeRights(users?.ToHashSet(), groups?.ToHashSet(), program is null ? null : [program]);
        var check = new RightsCheck(new RightsConfig { Types = new Dictionary<AddressType, TypeRights> { [Type] = rights } });

        string? sentence = check.WhyNot(Ann, Type);

        Assert.Equal(may, sentence is null);
        Assert.True(may || sentence!.Contains("fixed", StringComparison.Ordinal));
        Assert.Null(check.WhyNot(Ann, AddressType.Nonpersistent));
        Assert.Null(check.WhyNot(new Applicant(0, [], "/bin/sh"), Type));
    }

    [Fact]
    public void So_many_sockets_may_have_an_address_and_the_same_one_does_not_count_twice()
    {
        RightsCheck check = Quotas(new UserQuotas { Addresses = 2 });
        Possession[] has = [Has(1, 1)];

        Assert.Null(check.WhyNoMore(1000, 2, Type, has, []));
        Assert.Null(check.WhyNoMore(1000, 2, Type, has, [2]));
        Assert.Null(check.WhyNoMore(1000, 2, Type, has, [1]));
        Assert.NotNull(check.WhyNoMore(1000, 2, Type, has, [3]));
        Assert.NotNull(check.WhyNoMore(1000, 3, Type, [.. has, Has(2, 1)], []));
        Assert.Null(check.WhyNoMore(1000, 2, Type, [.. has, Has(2, 1)], []));
        Assert.Null(check.WhyNoMore(0, 3, Type, [.. has, Has(2, 1)], []));
    }

    [Fact]
    public void So_many_prefixes_may_be_in_use_and_a_known_type_may_still_be_asked_for()
    {
        RightsCheck check = Quotas(new UserQuotas { Prefixes = 2 });
        Possession[] has = [Has(1, 1), Has(2, 1), Has(3, 2)];

        Assert.Null(check.WhyNoMore(1000, 4, Type, has, []));
        Assert.NotNull(check.WhyNoMore(1000, 4, AddressType.Nonpersistent, has, []));
        Assert.Null(check.WhyNoMore(1000, 3, AddressType.Nonpersistent, has, []));
        Assert.Null(check.WhyNotKeep(1000, Has(4, 2), has));
        Assert.NotNull(check.WhyNotKeep(1000, Has(4, 3), has));
        Assert.Null(check.WhyNotKeep(1000, Has(3, 3), has));
        Assert.Null(check.WhyNotKeep(0, Has(4, 3), has));
    }

    [Fact]
    public void A_minute_s_requests_come_at_once_and_then_one_by_one()
    {
        var time = new ManualTime();
        var bucket = new TokenBucket(6, time);

        Assert.Equal(6, Enumerable.Range(0, 10).Count(_ => bucket.TryTake()));
        time.Pass(TimeSpan.FromSeconds(9.9));
        Assert.False(bucket.TryTake());
        time.Pass(TimeSpan.FromSeconds(0.2));
        Assert.Equal((true, false), (bucket.TryTake(), bucket.TryTake()));
        time.Pass(TimeSpan.FromHours(5));
        Assert.Equal(6, Enumerable.Range(0, 10).Count(_ => bucket.TryTake()));
    }

    private static RightsCheck Quotas(UserQuotas quotas) => new(new RightsConfig { Quotas = quotas });

    private static Possession Has(ulong cookie, int network) => new(cookie, Type, IpPrefix.Parse($"2001:db8:{network}::/64"));

    private sealed record Applicant(uint User, uint[] Groups, string Program) : IApplicant
    {
        public bool IsInGroup(uint group) => Groups.Contains(group);

        public bool Runs(string program) => Program == program;
    }
}

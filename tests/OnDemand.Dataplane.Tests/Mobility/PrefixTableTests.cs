using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Mobility;

public sealed class PrefixTableTests
{
    private static readonly IpPrefix Prefix = IpPrefix.Parse("2001:db8:a1:1::/64");
    private static readonly Timestamp Now = Timestamp.FromSeconds(1_000_000);

    /// <summary>Seconds remaining, seconds advertised, authenticated, seconds afterwards (RFC 4862 §5.5.3 (e) 1 to 3); -1 is for ever.</summary>
    public static TheoryData<long, long, bool, long> Lifetimes => new()
    {
        { 3600, 7201, false, 7201 },      // 1: greater than two hours
        { 86400, 7201, false, 7201 },
        { 3600, 3601, false, 3601 },      // 1: greater than what remains
        { 600, 1200, false, 1200 },
        { 7200, 3600, false, 7200 },      // 2: what remains is two hours or less: ignored
        { 3600, 3600, false, 3600 },
        { 3600, 60, false, 3600 },
        { 3600, 0, false, 3600 },
        { 7201, 7200, false, 7200 },      // 3: otherwise two hours
        { 7201, 60, false, 7200 },
        { 86400, 0, false, 7200 },
        { -1, 60, false, 7200 },
        { -1, 7200, false, 7200 },
        { -1, 7201, false, 7201 },
        { 3600, -1, false, -1 },
        { -1, -1, false, -1 },
        { 3600, 60, true, 60 },           // 2 with authentication: as advertised
        { 86400, 60, true, 60 },
        { 86400, 0, true, 0 },
        { 60, 86400, true, 86400 },
    };

    [Theory]
    [MemberData(nameof(Lifetimes))]
    [Rfc(4862, "5.5.3")]
    public void The_two_hour_rule_is_that_of_the_text(long remaining, long advertised, bool authenticated, long afterwards)
    {
        var table = new PrefixTable(4);
        int id = table.Add(Advertised(Seconds(remaining)), 1, onDemand: false, Now);

        bool valid = table.Renew(id, Advertised(Seconds(advertised)), authenticated, Now);

        Assert.Equal(Now.Add(Seconds(afterwards)), table[id].ValidUntil);
        Assert.Equal(afterwards != 0, valid);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    [Rfc(4862, "5.5.3")]
    public void The_preferred_lifetime_is_always_taken(bool authenticated)
    {
        var table = new PrefixTable(4);
        int id = table.Add(Advertised(Seconds(3600)), 1, onDemand: false, Now);

        table.Renew(id, new PrefixAdvertisement(Prefix, AddressType.Fixed, Seconds(5), Seconds(60)), authenticated, Now);

        Assert.Equal(Now.Add(Seconds(5)), table[id].PreferredUntil);
    }

    [Theory]
    [InlineData("2001:db8::/64", 60, 60, true)]
    [InlineData("2001:db8::7/128", 0, 60, true)]
    [InlineData("2001:db8::/64", 61, 60, false)]
    [InlineData("fe80::/64", 60, 60, false)]
    [InlineData("ff05::/16", 60, 60, false)]
    [InlineData("::1/128", 60, 60, false)]
    [InlineData("::/0", 60, 60, false)]
    [Rfc(4862, "5.5.3")]
    public void What_a_host_may_not_use_is_not_acceptable(string prefix, int preferred, int valid, bool acceptable) =>
        Assert.Equal(acceptable, new PrefixAdvertisement(IpPrefix.Parse(prefix), AddressType.Nonpersistent, Seconds(preferred), Seconds(valid)).IsAcceptable);

    [Fact]
    public void Prefixes_are_kept_in_the_order_of_advertisement_through_removal_and_reuse()
    {
        var table = new PrefixTable(3);
        int[] ids = [.. Enumerable.Range(1, 3).Select(number => table.Add(Numbered(number), 1, onDemand: false, Now))];
        Assert.Equal(-1, table.Add(Numbered(4), 1, onDemand: false, Now));

        table.Free(ids[1]);
        int fourth = table.Add(Numbered(4), 1, onDemand: false, Now);

        Assert.Equal(ids[1], fourth);
        Assert.Equal([ids[0], ids[2], fourth], table.InOrder.ToArray());
        Assert.Equal(-1, table.Find(Numbered(2).Prefix));
        Assert.Equal(fourth, table.Find(Numbered(4).Prefix));
    }

    [Fact]
    public void An_ended_prefix_is_not_found_and_may_come_back_beside_its_old_self()
    {
        var table = new PrefixTable(3);
        int old = table.Add(Numbered(1), 1, onDemand: false, Now);
        table[old].State = PrefixState.Ended;

        Assert.Equal(-1, table.Find(Numbered(1).Prefix));
        int again = table.Add(Numbered(1), 2, onDemand: false, Now);
        Assert.NotEqual(old, again);
        Assert.Equal(again, table.Find(Numbered(1).Prefix));
    }

    [Theory]
    [InlineData(AddressType.SessionLasting, true, 2, 0, true)]      // asked for on demand, unused
    [InlineData(AddressType.SessionLasting, false, 1, 0, true)]     // of the network before, unused
    [InlineData(AddressType.SessionLasting, false, 2, 0, false)]    // the present network gave it unasked
    [InlineData(AddressType.SessionLasting, true, 2, 1, false)]     // in use
    [InlineData(AddressType.Fixed, true, 1, 0, false)]
    [InlineData(AddressType.GracefulReplacement, true, 1, 0, false)]
    [InlineData(AddressType.Nonpersistent, true, 1, 0, false)]
    [Rfc(8653, "3.4")]
    public void Only_an_unused_session_lasting_prefix_that_the_network_does_not_simply_offer_may_be_released(
        AddressType type, bool onDemand, int attachment, int users, bool releasable)
    {
        var table = new PrefixTable(1);
        int id = table.Add(new PrefixAdvertisement(Prefix, type), attachment, onDemand, Now);
        table[id].Users = users;

        Assert.Equal(releasable, table.IsReleasable(id, attachment: 2, attached: true));
    }

    [Fact]
    public void The_next_deadline_is_the_earliest_change_of_any_prefix()
    {
        var table = new PrefixTable(3);
        Assert.Equal(Timestamp.Never, table.NextDeadline(Seconds(60), 1, attached: true));
        int one = table.Add(new PrefixAdvertisement(Numbered(1).Prefix, AddressType.Nonpersistent, Seconds(50), Seconds(100)), 1, onDemand: false, Now);
        int two = table.Add(new PrefixAdvertisement(Numbered(2).Prefix, AddressType.SessionLasting), 1, onDemand: true, Now);

        Assert.Equal(Now.Add(Seconds(50)), table.NextDeadline(Seconds(60), 1, attached: true));
        table[one].State = PrefixState.Deprecated;
        Assert.Equal(Now.Add(Seconds(60)), table.NextDeadline(Seconds(60), 1, attached: true));
        table[two].Users = 1;
        Assert.Equal(Now.Add(Seconds(100)), table.NextDeadline(Seconds(60), 1, attached: true));
        table[one].State = PrefixState.Closing;
        table[one].ClosesAt = Now.Add(Seconds(7));
        Assert.Equal(Now.Add(Seconds(7)), table.NextDeadline(Seconds(60), 1, attached: true));
    }

    private static Duration Seconds(long seconds) => seconds < 0 ? Duration.Infinite : Duration.FromSeconds(seconds);

    private static PrefixAdvertisement Advertised(Duration valid) => new(Prefix, AddressType.Nonpersistent, Duration.Zero, valid);

    private static PrefixAdvertisement Numbered(int number) => new(new IpPrefix(new IpAddress(0x2001_0db8_0000_0000UL | (uint)number, 0), 64), AddressType.Nonpersistent);
}

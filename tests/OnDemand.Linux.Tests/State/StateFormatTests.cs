using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Service;
using OnDemand.Linux.Sockets;
using OnDemand.Linux.State;
using Xunit;

namespace OnDemand.Linux.Tests.State;

public sealed class StateFormatTests
{
    private static readonly Timestamp Written = Timestamp.FromSeconds(1_700_000_000);
    private static readonly IpPrefix Prefix = IpPrefix.Parse("2001:db8:51:1::/64");
    private static readonly IpAddress Typed = IpAddress.Parse("2001:db8:51:1::77");
    private static readonly IpAddress Inside = IpAddress.Parse("fd00:db8::1");
    private static readonly FlowIdentity Connection = new(IpProtocol.Tcp, Inside, 40000, IpAddress.Parse("2001:db8:c::1"), 443);
    private static readonly Decision Why = new(DecisionOrigin.PolicyRule, AddressType.SessionLasting, SelectionRule.None, 3, DecisionRemarks.SameSocket);

    [Fact]
    public void What_is_written_is_read_again()
    {
        var prefix = new PrefixSnapshot
        {
            Prefix = Prefix,
            Type = AddressType.SessionLasting,
            State = PrefixState.Closing,
            IsHome = true,
            IsOnDemand = true,
            IsOfPresentNetwork = true,
            IsClosedByDetachment = true,
            PreferredUntil = Written,
            ValidUntil = Timestamp.Never,
            ClosesAt = new Timestamp(1_700_000_005_123_456_789),
        };
        var address = new AddressSnapshot
        {
            Address = Typed,
            Internal = Inside,
            Prefix = Prefix,
            Type = AddressType.SessionLasting,
            Since = Written,
            OctetsOut = 12345,
            IsRetired = true,
            IsExact = true,
        };

        SavedState state = Read(
            StateFormat.Attachment("ar 1/é"), StateFormat.Prefix(prefix), StateFormat.Address(address),
            StateFormat.Flow(Connection, Typed, Why, before: IpAddress.Parse("2001:db8:51:2::78")));

        Assert.Empty(state.DamagedLines);
        Assert.Equal(("ar 1/é", true), (state.Attachment, state.HasNetwork));
        Assert.Equal(prefix, Assert.Single(state.Prefixes));
        Assert.Equal(address, Assert.Single(state.Addresses).Value);
        FlowSnapshot flow = Assert.Single(state.Flows).Value;
        Assert.Equal((Connection, Typed, Why, FlowState.Established), (flow.Identity, flow.Address, flow.Decision, flow.State));
        Assert.Equal(IpAddress.Parse("2001:db8:51:2::78"), flow.OldAddress);
        Assert.Equal(Written.Add(Duration.FromSeconds(7)), flow.IdleAt);
    }

    [Fact]
    public void A_later_line_overrides_an_earlier_one()
    {
        IpAddress other = IpAddress.Parse("2001:db8:51:1::78");

        SavedState state = Read(
            StateFormat.Attachment("ar1"), "prefix 2001:db8:a1::/64 3 1 - - - c", StateFormat.Flow(Connection, Typed, Why),
            StateFormat.Flow(Connection with { LocalPort = 1 }, Typed, Why), StateFormat.Flow(Connection, other, Why),
            StateFormat.Gone(Connection with { LocalPort = 1 }), StateFormat.Attachment(null));

        Assert.Empty(state.DamagedLines);
        Assert.Equal(other, Assert.Single(state.Flows).Value.Address);
        Assert.Empty(state.Prefixes);
        Assert.Null(state.Attachment);
    }

    [Fact]
    public void A_line_that_a_crash_cut_anywhere_is_left_out_and_never_read_as_another()
    {
        string line = StateLine.Seal(StateFormat.Flow(Connection, Typed, Why));
        for (int length = 0; length < line.Length; length++)
        {
            SavedState state = StateFormat.Read(
                [StateFormat.Header, StateLine.Seal(StateFormat.Attachment("ar1")), line[..length]], Written, _ => Duration.Zero);
            Assert.Empty(state.Flows);
            Assert.Equal([3], state.DamagedLines);
        }
    }

    [Fact]
    public void A_line_in_which_one_bit_is_another_is_left_out()
    {
        char[] line = StateLine.Seal(StateFormat.Flow(Connection, Typed, Why)).ToCharArray();
        for (int bit = 0; bit < line.Length * 7; bit++)
        {
            line[bit / 7] ^= (char)(1 << (bit % 7));
            bool isCaseOfADigit = bit / 7 >= line.Length - 8 && StateLine.TryOpen(new string(line), out string same)
                && same == StateFormat.Flow(Connection, Typed, Why);
            SavedState state = StateFormat.Read([StateFormat.Header, new string(line)], Written, _ => Duration.Zero);
            Assert.True(isCaseOfADigit || state.Flows.Count == 0, new string(line));
            line[bit / 7] ^= (char)(1 << (bit % 7));
        }
    }

    [Theory]
    [InlineData(1, 1, 0, 1, "1 prefix, 1 address and 0 flows are back, 1 flow is over")]
    [InlineData(4, 2, 1, 0, "4 prefixes, 2 addresses and 1 flow are back, 0 flows are over")]
    public void What_was_restored_is_told_in_words(int prefixes, int addresses, int flows, int lost, string words) =>
        Assert.Equal(words, new Restored(prefixes, addresses, flows, lost).ToString());

    [Fact]
    public void A_binding_is_read_again_until_it_is_released()
    {
        var binding = new SocketBinding(
            77, 1000, Typed, AddressType.SessionLasting, Prefix, Timestamp.Never, Timestamp.Never, Map: true, Written)
        {
            OnNet = true,
            Preferences = AddressPreferences.Public,
            Place = new SocketPlace(new SocketHolder(1234, 7), 4_000_000_000),
        };

        SavedState state = Read(StateFormat.Binding("boot-1", binding), StateFormat.Binding("boot-1", binding with { Cookie = 78 }), StateFormat.Released(78));

        Assert.Empty(state.DamagedLines);
        Assert.Equal(new SavedBinding("boot-1", binding), Assert.Single(state.Bindings).Value);
    }

    [Fact]
    public void A_binding_of_a_file_without_places_or_times_is_read_and_one_without_a_descriptor_too()
    {
        var binding = new SocketBinding(
            77, 1000, Typed, AddressType.SessionLasting, Prefix, Timestamp.Never, Timestamp.Never, Map: true, Written)
        {
            Place = new SocketPlace(default, 99),
        };
        string line = StateFormat.Binding("boot-1", binding);

        Assert.Equal(binding, Read(line).Bindings[77].Binding);
        string timeless = line[..line.LastIndexOf(' ')];
        Assert.Equal(binding with { Since = default }, Read(timeless).Bindings[77].Binding);
        Assert.Equal(binding with { Since = default, Place = default }, Read(timeless[..timeless.LastIndexOf(' ')]).Bindings[77].Binding);
        Assert.Empty(Read($"{timeless}.5").Bindings);
        Assert.Empty(Read($"{timeless}.5.x").Bindings);
        Assert.Empty(Read($"{line}x").Bindings);
    }

    // The file is of a run that had 1700000000 s when the system had been there for 1000 s, and was written last 50 s later.
    [Theory]
    [InlineData("boot-1", 1060, 1_700_000_060, 1_700_003_600, 1_700_000_050)]
    [InlineData("boot-1", 1060, 1_699_990_060, 1_699_993_600, 1_699_990_050)]    // somebody set the clock back by 10,000 s
    [InlineData("boot-1", 1060, 1_900_000_060, 1_900_003_600, 1_900_000_050)]    // or a clock without a battery was set at last
    [InlineData("boot-2", 5, 1_700_000_060, 1_700_003_600, 1_700_000_050)]
    [InlineData("boot-2", 5, 1_699_990_060, 1_699_993_610, 1_699_990_060)]       // time cannot have gone back
    [InlineData("boot-2", 5, 1_900_000_060, 1_700_003_600, 1_700_000_050)]
    public void Lifetimes_go_on_by_what_has_really_passed_however_the_clock_was_set(
        string boot, long sinceBoot, long now, long until, long seen)
    {
        string[] lines =
        [
            StateFormat.Clock(Clock("boot-1", 1000, 1_700_000_000)), StateFormat.Attachment("ar1"),
            $"prefix {Prefix} 2 1 - 1700003600000000000 - c", StateFormat.NetworkIsWhole, StateFormat.Flow(Connection, Typed, Why),
            StateFormat.Clock(Clock("boot-1", 1050, 1_700_000_050)),
        ];

        SavedState state = StateFormat.Read(
            [StateFormat.Header, .. lines.Select(StateLine.Seal)], Timestamp.FromSeconds(5), _ => Duration.FromSeconds(7), Clock(boot, sinceBoot, now));

        Assert.Empty(state.DamagedLines);
        Assert.Equal((Timestamp.Never, Timestamp.FromSeconds(until)), (state.Prefixes[0].PreferredUntil, state.Prefixes[0].ValidUntil));
        Assert.Equal(Timestamp.FromSeconds(seen + 7), state.Flows[Connection].IdleAt);
    }

    [Fact]
    public void A_file_without_a_clock_that_is_of_the_future_is_of_now()
    {
        string[] lines = [StateFormat.Attachment("ar1"), $"prefix {Prefix} 2 1 - 1700003600000000000 - c", StateFormat.Flow(Connection, Typed, Why)];

        SavedState state = StateFormat.Read(
            [StateFormat.Header, .. lines.Select(StateLine.Seal)], Written, _ => Duration.FromSeconds(7), Clock("boot-1", 10, 1_699_999_000));

        Assert.Equal(Timestamp.FromSeconds(1_700_002_600), state.Prefixes[0].ValidUntil);
        Assert.Equal(Timestamp.FromSeconds(1_699_999_007), state.Flows[Connection].IdleAt);
    }

    [Theory]
    [InlineData("")]
    [InlineData("nonsense")]
    [InlineData("clock b x 1")]
    [InlineData("clock b 1 -1")]
    [InlineData("prefix 2001:db8::/64 9 1 - - - -")]
    [InlineData("prefix 2001:db8::/64 1 1 -5 - - -")]
    [InlineData("address 2001:db8::1 10.0.0.1 2001:db8::/64 1 0 0 -")]
    [InlineData("flow 6 fd00::1 70000 2001:db8::1 1 2001:db8::2 1.1.1.1.1")]
    [InlineData("flow 6 fd00::1 7 2001:db8::1 1 2001:db8::2 1.1.1.99999.1")]
    [InlineData("gone 6 fd00::1 7 2001:db8::1")]
    [InlineData("binding b 1 2 9 0 2001:db8::1 2001:db8::/64 -")]
    [InlineData("binding b -1 2 1 0 2001:db8::1 2001:db8::/64 -")]
    [InlineData("released x")]
    public void A_line_that_makes_no_sense_is_named_and_the_rest_is_used(string line)
    {
        SavedState state = Read(StateFormat.Attachment("ar1"), line, StateFormat.Flow(Connection, Typed, Why));

        Assert.Equal([3], state.DamagedLines);
        Assert.Single(state.Flows);
    }

    [Fact]
    public void A_file_of_another_kind_gives_nothing()
    {
        SavedState state = StateFormat.Read(["#!/bin/sh", StateFormat.Attachment("ar1")], Written, _ => Duration.Zero);

        Assert.Equal([1], state.DamagedLines);
        Assert.False(state.HasNetwork);
    }

    [Theory]
    [InlineData("boot-1", 40_000, 0)]
    [InlineData("boot-1", -999_999_999, 0)]
    [InlineData("boot-1", 1_000_000_000, 1_000_000_000)]
    [InlineData("boot-1", -1_000_000_000, -1_000_000_000)]
    [InlineData("boot-2", -999_999_999, 0)]
    [InlineData("boot-2", -1_000_000_000, -1_000_000_000)]
    public void Less_than_a_second_between_two_clocks_is_how_they_are_read(string boot, long ahead, long shift)
    {
        StateClock before = Clock("boot-1", 10, 1_700_000_000);

        Assert.Equal(shift, before.ShiftTo(new StateClock(boot, before.Offset + ahead, new Timestamp(before.Now.Nanoseconds + ahead))));
    }

    private static StateClock Clock(string boot, long sinceBoot, long now) => new(
        boot, Timestamp.FromSeconds(now).Since(Timestamp.FromSeconds(sinceBoot)).Nanoseconds, Timestamp.FromSeconds(now));

    private static SavedState Read(params string[] lines) => StateFormat.Read([StateFormat.Header, .. lines.Select(StateLine.Seal)], Written, _ => Duration.FromSeconds(7));
}

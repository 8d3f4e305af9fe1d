using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Tests.Support;
using Xunit;

namespace OnDemand.Dataplane.Tests.Mobility;

public sealed class AddressTypesTests
{
    [Theory]
    [InlineData(AddressType.Fixed, 1, 3)]
    [InlineData(AddressType.SessionLasting, 2, 2)]
    [InlineData(AddressType.Nonpersistent, 3, 1)]
    [InlineData(AddressType.GracefulReplacement, 4, 4)]
    [Draft("6.1")]
    public void The_host_interface_and_the_wire_number_the_types_differently(AddressType type, int host, int wire)
    {
        Assert.Equal(host, (int)type);
        Assert.Equal(wire, (int)AddressTypes.ToWire(type));
        Assert.True(AddressTypes.TryFromWire((WireAddressType)wire, out AddressType back));
        Assert.Equal(type, back);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(255)]
    [Draft("6.1")]
    public void Reserved_numbers_are_no_types_on_either_side(byte number)
    {
        Assert.False(AddressTypes.IsDefined((AddressType)number));
        Assert.False(AddressTypes.TryFromWire((WireAddressType)number, out AddressType type));
        Assert.Equal(AddressType.None, type);
    }

    [Fact]
    public void No_type_asks_the_wire_for_any() => Assert.Equal(WireAddressType.Any, AddressTypes.ToWire(AddressType.None));

    [Theory]
    [InlineData("fixed", AddressType.Fixed)]
    [InlineData("FIXED_IPV6_ADDRESS", AddressType.Fixed)]
    [InlineData("home-network-anchored", AddressType.Fixed)]
    [InlineData("IPV6_REQUIRE_HOME_ANCHORED", AddressType.Fixed)]
    [InlineData("session-lasting", AddressType.SessionLasting)]
    [InlineData("Session Lasting", AddressType.SessionLasting)]
    [InlineData("SESSION_LASTING_IPV6_ADDRESS", AddressType.SessionLasting)]
    [InlineData("IPV6_REQUIRE_SESSION_LASTING_IP", AddressType.SessionLasting)]
    [InlineData("access-network-anchored", AddressType.SessionLasting)]
    [InlineData("IPV6_REQUIRE_ACCESS_ANCHORED", AddressType.SessionLasting)]
    [InlineData("nonpersistent", AddressType.Nonpersistent)]
    [InlineData("non-persistent", AddressType.Nonpersistent)]
    [InlineData("NON_PERSISTENT_IPV6_ADDRESS", AddressType.Nonpersistent)]
    [InlineData("unanchored", AddressType.Nonpersistent)]
    [InlineData("IPV6_REQUIRE_UNANCHORED", AddressType.Nonpersistent)]
    [InlineData("graceful-replacement", AddressType.GracefulReplacement)]
    [InlineData("GRACEFUL_REPLACEMENT_IPV6_ADDRESS", AddressType.GracefulReplacement)]
    [Draft("6.1")]
    public void Names_of_the_RFC_of_the_draft_and_of_the_first_slides_are_read(string name, AddressType type)
    {
        Assert.True(AddressTypes.TryParse(name, out AddressType read));
        Assert.Equal(type, read);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("untyped")]
    [InlineData("1")]
    [InlineData("fixed ")]
    [InlineData("permanent")]
    public void Other_names_are_refused(string? name)
    {
        Assert.False(AddressTypes.TryParse(name, out AddressType type));
        Assert.Equal(AddressType.None, type);
    }

    [Fact]
    public void Every_types_name_is_read_back()
    {
        foreach (AddressType type in Enum.GetValues<AddressType>().Where(AddressTypes.IsDefined))
        {
            Assert.True(AddressTypes.TryParse(AddressTypes.ToName(type), out AddressType read));
            Assert.Equal(type, read);
        }

        Assert.Equal("untyped", AddressTypes.ToName(AddressType.None));
        Assert.Equal(AddressTypes.Count, Enum.GetValues<AddressType>().Length);
    }
}

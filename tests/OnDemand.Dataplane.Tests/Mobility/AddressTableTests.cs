using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Mobility;

public sealed class AddressTableTests
{
    private static readonly IpAddress Typed = IpAddress.Parse("2001:db8:51::1");
    private static readonly IpAddress OtherTyped = IpAddress.Parse("2001:db8:51::2");

    [Fact]
    public void An_address_is_found_as_what_it_is()
    {
        AddressTable table = Make(out int host);
        int typed = Add(table, Typed, host);

        Assert.Equal(AddressName.OfInternal(host), table.Find(Frames.Host));
        Assert.Equal(AddressName.OfTyped(typed), table.Find(Typed));
        Assert.True(table.Find(Typed).IsTyped && !table.Find(Typed).IsInternal);
        Assert.True(table.Find(Frames.Host).IsInternal && !table.Find(Frames.Host).IsTyped);
        Assert.False(table.Find(Frames.Server).IsKnown);
    }

    [Fact]
    public void An_address_met_lately_is_found_again_as_what_it_is_and_until_it_is_freed()
    {
        AddressTable table = Make(out int host);
        _ = Add(table, OtherTyped, host);            // so that its number is not that of its host
        int typed = Add(table, Typed, host);
        Assert.False(table.Lately.TryFind(Typed, typed: true, out _, out _));

        _ = table.Find(Typed);
        Assert.True(table.Lately.TryFind(Typed, typed: true, out int number, out ulong hostOfTyped));
        Assert.Equal((typed, FlowKey.HostBits(host)), (number, hostOfTyped));
        Assert.False(table.Lately.TryFind(Typed, typed: false, out _, out _));

        _ = table.Find(Frames.Host);
        Assert.True(table.Lately.TryFind(Frames.Host, typed: false, out number, out hostOfTyped));
        Assert.Equal((host, FlowKey.HostBits(host)), (number, hostOfTyped));
        Assert.False(table.Lately.TryFind(Frames.Host, typed: true, out _, out _));

        _ = table.Find(Frames.Server);
        Assert.False(table.Lately.TryFind(Frames.Server, typed: false, out _, out _));

        _ = table.Find(Typed);
        table.FreeTyped(typed);
        Assert.False(table.Lately.TryFind(Typed, typed: true, out _, out _));
    }

    [Fact]
    public void The_difference_is_the_one_from_the_internal_address_to_the_typed_one()
    {
        AddressTable table = Make(out int host);
        int typed = Add(table, Typed, host);

        Assert.Equal(InternetChecksum.Difference(Frames.Host, Typed), table.Typed(typed).Difference);
        ushort difference = table.Typed(typed).Difference;
        Assert.Equal(InternetChecksum.InWireOrder(difference), table.Typed(typed).DifferenceOut);
        Assert.Equal(InternetChecksum.InWireOrder(InternetChecksum.Negate(difference)), table.Typed(typed).DifferenceIn);
        Assert.Equal((Typed, Frames.Host, host), (table.Typed(typed).External, table.Typed(typed).Internal, table.Typed(typed).Host));
    }

    [Fact]
    public void A_freed_address_is_unknown_and_its_number_is_used_again()
    {
        AddressTable table = Make(out int host);
        int typed = Add(table, Typed, host);
        uint generation = table.Generation;

        table.FreeTyped(typed);
        Assert.False(table.Find(Typed).IsKnown);
        Assert.Equal(typed, Add(table, OtherTyped, host));
        Assert.Equal(AddressName.OfTyped(typed), table.Find(OtherTyped));
        Assert.Equal((1, generation + 2), (table.TypedCount, table.Generation));
    }

    [Fact]
    public void A_new_address_with_the_octets_of_an_ended_one_takes_its_place_and_survives_its_end()
    {
        AddressTable table = Make(out int host);
        int ended = Add(table, Typed, host);
        int successor = Add(table, Typed, host);
        Assert.Equal(AddressName.OfTyped(successor), table.Find(Typed));

        table.FreeTyped(ended);

        Assert.Equal(AddressName.OfTyped(successor), table.Find(Typed));
        Assert.Equal([successor], OfHost(table, host));
    }

    [Fact]
    public void The_typed_addresses_of_a_host_stay_linked_whichever_is_freed()
    {
        foreach (int freed in new[] { 0, 1, 2 })
        {
            AddressTable table = Make(out int host);
            int[] ids = [.. Enumerable.Range(0, 3).Select(number => Add(table, new IpAddress(Typed.High, (ulong)number), host))];

            table.FreeTyped(ids[freed]);

            Assert.Equal(ids.Where(id => id != ids[freed]).Order(), OfHost(table, host).Order());
        }
    }

    [Fact]
    public void When_it_is_full_it_says_so()
    {
        var table = new AddressTable(1, 1, new FlowHash(1));
        int host = table.AddInternal(Frames.Host);

        Assert.Equal(-1, table.AddInternal(Frames.OtherHost));
        Assert.NotEqual(-1, Add(table, Typed, host));
        Assert.Equal(-1, Add(table, OtherTyped, host));
    }

    private static AddressTable Make(out int host)
    {
        var table = new AddressTable(4, 8, new FlowHash(1));
        host = table.AddInternal(Frames.Host);
        return table;
    }

    private static int Add(AddressTable table, IpAddress address, int host) =>
        table.AddTyped(address, host, 0, AddressType.SessionLasting, default);

    private static List<int> OfHost(AddressTable table, int host)
    {
        List<int> ids = [];
        for (int id = table.Internal(host).FirstTyped; id >= 0; id = table.Typed(id).NextOfHost)
        {
            ids.Add(id);
        }

        return ids;
    }
}

using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;
using static OnDemand.Dataplane.Tests.Support.Advertised;

namespace OnDemand.Dataplane.Tests;

/// <summary>Sockets that got an address of an engine that is no more: they stay with it (RFC 8653 §3.2), as they would have without the restart.</summary>
public sealed class KeptAddressTests
{
    private const ulong Cookie = 77;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    [Rfc(8653, "3.2")]
    public void A_socket_keeps_an_address_whose_replacement_window_is_open_and_hears_when_it_closes(bool native)
    {
        HostScene before = Scene(AddressType.GracefulReplacement).Attach(GracefulOne);
        IpAddress address = Asks(before, AddressType.GracefulReplacement, native).Address;
        before.Attach(10, GracefulTwo);
        before.Pass(4);

        HostScene after = Restored(before, AddressType.GracefulReplacement);
        SetscReply kept = Asks(after, AddressType.GracefulReplacement, native, address);

        Assert.Equal((SetscStatus.Granted, address, HostScene.GracefulOne), (kept.Status, kept.Address, kept.Prefix));
        Assert.Equal((default, after.Now.Add(Duration.FromSeconds(6))), (kept.PreferredUntil, kept.ValidUntil));
        Assert.True(after.Engine.TryGetGrant(Cookie, out AddressGrant held));
        Assert.Equal(address, held.Address);

        // New flows of a mapped socket take the new address, as they do while the window is open.
        if (!native)
        {
            Assert.True(HostScene.GracefulTwo.Contains(Opened(after, 5001)));
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_socket_keeps_an_address_that_was_renewed_for_others_also_if_it_has_no_flow(bool native)
    {
        HostScene before = Scene(AddressType.Nonpersistent, RenewAtOnce).Attach(NonpersistentOne);
        IpAddress address = Asks(before, AddressType.Nonpersistent, native).Address;
        before.Pass(2);
        IpAddress renewed = Opened(before, 6000);
        Assert.NotEqual(address, renewed);

        HostScene after = Restored(before, AddressType.Nonpersistent, RenewAtOnce);
        SetscReply kept = Asks(after, AddressType.Nonpersistent, native, address);
        after.Pass(0.1);

        Assert.Equal((SetscStatus.Granted, address), (kept.Status, kept.Address));
        if (native)
        {
            Assert.True(after.Send(Frames.Udp(address, 5001, Frames.Server, 53)).Held);
            Assert.Equal(address, Released(after, Cookie));
        }
        else
        {
            Assert.Equal(address, Opened(after, 5001));
        }

        // It goes with its socket.
        Assert.Equal(2, after.Engine.AddressCount);
        after.Engine.EndSocket(Cookie, after.Now);
        after.Pass(301);
        Assert.Equal(1, after.Engine.AddressCount);
    }

    [Fact]
    public void A_native_socket_whose_address_is_over_is_given_no_other_and_the_network_is_not_asked_for_one()
    {
        HostScene before = Scene(AddressType.Nonpersistent).Attach(NonpersistentOne);
        IpAddress address = Asks(before, AddressType.Nonpersistent, native: true).Address;
        before.Attach(FixedOne);

        HostScene after = Restored(before, AddressType.Nonpersistent);

        Assert.Equal(SetscStatus.Failed, Asks(after, AddressType.Nonpersistent, native: true, address).Status);
        after.AssertNothingAsked();
        Assert.False(after.Engine.KnowsSocket(Cookie));
    }

    [Fact]
    public void A_mapped_socket_whose_address_is_over_gets_another()
    {
        HostScene before = Scene(AddressType.Nonpersistent).Attach(NonpersistentOne);
        IpAddress address = Asks(before, AddressType.Nonpersistent, native: false).Address;
        before.Attach(HostScene.Of(HostScene.NonpersistentTwo, AddressType.Nonpersistent));

        HostScene after = Restored(before, AddressType.Nonpersistent);

        SetscReply reply = Asks(after, AddressType.Nonpersistent, native: false, address);
        Assert.Equal((SetscStatus.Granted, HostScene.NonpersistentTwo), (reply.Status, reply.Prefix));
    }

    [Fact]
    public void What_ON_NET_got_is_kept_without_asking_again_and_the_next_network_is_asked_when_it_is_over()
    {
        HostScene before = Scene(AddressType.Fixed).Attach(FixedOne);
        before.Engine.Handle(Request(AddressType.Nonpersistent, native: false) with { OnNet = true }, before.Now);
        before.Grant(before.Question(), NonpersistentOne);
        IpAddress address = before.Reply().Address;

        HostScene after = Restored(before, AddressType.Fixed);
        after.Engine.Handle(Request(AddressType.Nonpersistent, native: false) with { OnNet = true, Kept = address }, after.Now);
        Assert.Equal(address, after.Reply().Address);
        after.AssertNothingAsked();
        Assert.Equal(address, Opened(after, 5001));

        after.Attach(FixedOne);
        Assert.True(after.SendUdp(5001).Held);
        after.Grant(after.Question(), HostScene.Of(HostScene.NonpersistentTwo, AddressType.Nonpersistent));
        Assert.True(HostScene.NonpersistentTwo.Contains(SourceOf(after.OnlyOutput())));
    }

    [Fact]
    public void An_address_of_another_type_is_not_kept()
    {
        HostScene scene = Scene(AddressType.Fixed).Attach(FixedOne, SessionOne);
        IpAddress address = Asks(scene, AddressType.Fixed, native: false).Address;

        Assert.True(HostScene.SessionOne.Contains(Asks(scene, AddressType.SessionLasting, native: false, address).Address));
    }

    private static HostScene Scene(AddressType type, Func<DataplaneOptions, DataplaneOptions>? change = null) =>
        new(type, options => (change ?? (same => same))(options with { AskSockets = true }));

    private static DataplaneOptions RenewAtOnce(DataplaneOptions options) =>
        options with { NonpersistentRenewal = new RenewalLimit(Duration.FromSeconds(1), 0) };

    private static SetscRequest Request(AddressType type, bool native) => new() { Token = 1, Socket = Cookie, Type = type, Native = native };

    private static SetscReply Asks(HostScene scene, AddressType type, bool native, IpAddress kept = default)
    {
        scene.Engine.Handle(Request(type, native) with { Kept = kept }, scene.Now);
        return scene.Reply();
    }

    // A flow of the socket; of another one from port 6000.
    private static IpAddress Opened(HostScene scene, ushort port)
    {
        Assert.True(scene.SendUdp(port).Held);
        return Released(scene, port == 6000 ? 6000 : Cookie);
    }

    private static IpAddress Released(HostScene scene, ulong cookie)
    {
        Assert.True(scene.Engine.TryTakeSocketQuestion(out SocketQuestion question));
        scene.Engine.Answer(new SocketAnswer { Id = question.Id, Cookie = cookie }, scene.Now);
        return SourceOf(scene.OnlyOutput());
    }

    private static IpAddress SourceOf(Output output) => IpAddress.Read(output.Octets.AsSpan(output.Info.NetworkOffset + 8));

    private static HostScene Restored(HostScene before, AddressType type, Func<DataplaneOptions, DataplaneOptions>? change = null)
    {
        var prefixes = new PrefixSnapshot[64];
        var addresses = new AddressSnapshot[256];
        (int atPrefix, int atAddress) = (0, 0);
        int prefixCount = before.Engine.CopyPrefixes(ref atPrefix, prefixes);
        int addressCount = before.Engine.CopyAddresses(ref atAddress, addresses);
        HostScene after = Scene(type, change);
        after.Pass((double)before.Now.Since(after.Now).Nanoseconds / Timestamp.NanosecondsPerSecond);
        after.Engine.RestoreAttachment(1, attached: true, after.Now);
        foreach (PrefixSnapshot prefix in prefixes.AsSpan(0, prefixCount))
        {
            after.Engine.RestorePrefix(prefix, after.Now);
        }

        foreach (AddressSnapshot address in addresses.AsSpan(0, addressCount))
        {
            after.Engine.RestoreAddress(address, after.Now);
        }

        after.Engine.FinishRestore(after.Now);
        return after;
    }
}

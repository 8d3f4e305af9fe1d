using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;
using static OnDemand.Dataplane.Tests.Support.Advertised;

namespace OnDemand.Dataplane.Tests;

/// <summary>An engine that goes on where another stopped, as after a crash of the program around it.</summary>
public sealed class RestoreTests
{
    [Theory]
    [InlineData(AddressType.Fixed)]
    [InlineData(AddressType.SessionLasting)]
    [Rfc(8653, "3.2")]
    public void A_connection_keeps_its_address_although_a_newer_one_would_be_chosen_now(AddressType type)
    {
        HostScene before = new HostScene(type).Attach(FixedOne, SessionOne);
        IpAddress address = before.Connect();
        before.Attach(SessionTwo, FixedTwo);

        HostScene after = Restored(before, type);

        Assert.Equal((ForwardReason.Rewritten, address), (after.SendTcp(TcpControl.Ack, 1001, 5001).Forwarded, after.SendTcp(TcpControl.Ack, 1001, 5001).Source));
        Handled answer = after.ReceiveTcp(address, TcpControl.Ack, 5001, 1001, payload: 100);
        Assert.Equal((ForwardReason.Rewritten, Frames.Host), (answer.Forwarded, answer.Destination));
    }

    [Fact]
    public void The_remotes_segment_may_come_first()
    {
        HostScene before = new HostScene(AddressType.SessionLasting).Attach(SessionOne);
        IpAddress address = before.Connect();

        HostScene after = Restored(before, AddressType.SessionLasting);

        Assert.Equal(ForwardReason.Rewritten, after.ReceiveTcp(address, TcpControl.Ack, 5001, 1001, payload: 100).Forwarded);
    }

    [Fact]
    [Rfc(8653, "3.2")]
    public void A_replacement_window_goes_on_and_ends_when_it_would_have()
    {
        HostScene before = new HostScene(AddressType.GracefulReplacement).Attach(GracefulOne);
        IpAddress address = before.Connect();
        before.Attach(10, GracefulTwo);
        before.Pass(4);

        HostScene after = Restored(before, AddressType.GracefulReplacement);

        Assert.Equal(address, after.SendTcp(TcpControl.Ack, 1001, 5001).Source);
        after.Pass(5.9);
        Assert.Equal(ForwardReason.Rewritten, after.SendTcp(TcpControl.Ack, 1001, 5001).Forwarded);
        after.Pass(0.2);
        Assert.Equal(DropReason.AddressEnded, after.SendTcp(TcpControl.Ack, 1001, 5001).Answered);
        Assert.True(HostScene.GracefulTwo.Contains(after.SendUdp().Source));
    }

    [Fact]
    [Rfc(8653, "3.2")]
    public void A_window_that_a_detachment_opened_is_opened_anew_by_the_next_attachment_after_a_restart_too()
    {
        HostScene before = new HostScene(AddressType.GracefulReplacement).Attach(GracefulOne);
        IpAddress address = before.Connect();
        before.Engine.Detach(before.Now);
        before.Pass(20);                             // of 30

        HostScene after = Restored(before, AddressType.GracefulReplacement, attached: false);
        after.Attach(15, GracefulTwo);
        after.Pass(14);

        Assert.Equal(address, after.SendTcp(TcpControl.Ack, 1001, 5001).Source);
        after.Pass(1.1);
        Assert.Equal(DropReason.AddressEnded, after.SendTcp(TcpControl.Ack, 1001, 5001).Answered);
    }

    [Fact]
    public void A_released_prefix_is_released_after_a_restart_too_once_its_flows_are_gone()
    {
        HostScene before = new HostScene(AddressType.SessionLasting).Attach(SessionOne);
        before.Connect();
        before.Attach(NonpersistentOne);

        HostScene after = Restored(before, AddressType.SessionLasting);
        after.SendTcp(TcpControl.Rst, 1001, 0);
        after.Pass(59);
        Assert.Equal(2, after.Engine.PrefixCount);
        after.Pass(2);

        Assert.Equal(PrefixEnd.Released, Assert.Single(after.Events(Control.EngineEventKind.PrefixEnded)).End);
    }

    [Fact]
    public void A_flow_that_the_remote_opened_and_one_of_a_native_socket_go_on()
    {
        HostScene before = new HostScene(AddressType.Fixed).Attach(FixedOne);
        IpAddress address = before.SendUdp(5000).Source;
        Assert.Equal(ForwardReason.Rewritten, before.ReceiveTcp(address, TcpControl.Syn, 5000, 0, 8080).Forwarded);
        Assert.Equal(ForwardReason.Native, before.Send(Frames.Udp(address, 6000, Frames.Server, 53)).Forwarded);

        HostScene after = Restored(before, AddressType.Fixed);

        Assert.Equal((3, 3), (before.Engine.FlowCount, after.Engine.FlowCount));
        Assert.Equal(Describe(before), Describe(after));
        Assert.Equal(ForwardReason.Native, after.ReceiveUdp(address, 6000).Forwarded);
    }

    [Fact]
    public void What_ended_while_nobody_looked_is_refused_with_all_that_hangs_on_it()
    {
        HostScene before = new HostScene(AddressType.Nonpersistent).Attach(
            HostScene.Of(HostScene.NonpersistentOne, AddressType.Nonpersistent, 5, 10), FixedOne);
        before.Connect();
        (List<PrefixSnapshot> prefixes, List<AddressSnapshot> addresses, List<FlowSnapshot> flows) = Save(before);
        var after = new HostScene(AddressType.Nonpersistent);
        after.Pass(11);

        after.Engine.RestoreAttachment(1, attached: true, after.Now);

        Assert.Equal([false, true], prefixes.Select(prefix => after.Engine.RestorePrefix(prefix, after.Now)));
        Assert.Equal([false, true], addresses.OrderBy(one => one.Type != AddressType.Nonpersistent).Select(one => after.Engine.RestoreAddress(one, after.Now)));
        Assert.False(after.Engine.RestoreFlow(Assert.Single(flows), after.Now));
        Assert.Equal((1, 1, 0), (after.Engine.PrefixCount, after.Engine.AddressCount, after.Engine.FlowCount));
    }

    [Fact]
    public void Nothing_is_restored_twice_or_that_does_not_fit()
    {
        HostScene before = new HostScene(AddressType.SessionLasting).Attach(SessionOne);
        before.Connect();
        (List<PrefixSnapshot> prefixes, List<AddressSnapshot> addresses, List<FlowSnapshot> flows) = Save(before);
        HostScene after = Restored(before, AddressType.SessionLasting);

        Assert.False(after.Engine.RestorePrefix(prefixes[0], after.Now));
        Assert.False(after.Engine.RestoreAddress(addresses[0], after.Now));
        Assert.False(after.Engine.RestoreAddress(addresses[0] with { Address = IpAddress.Parse("2001:db8:99::1") }, after.Now));
        Assert.False(after.Engine.RestoreAddress(
            addresses[0] with { Address = IpAddress.Parse("2001:db8:51:1::99"), Internal = Frames.OtherHost }, after.Now));
        Assert.False(after.Engine.RestoreFlow(flows[0], after.Now));
        Assert.False(after.Engine.RestoreFlow(flows[0] with { State = FlowState.Closed, Identity = flows[0].Identity with { LocalPort = 1 } }, after.Now));
        Assert.False(after.Engine.RestoreFlow(flows[0] with { State = FlowState.Datagram, Identity = flows[0].Identity with { LocalPort = 1 } }, after.Now));
        Assert.False(after.Engine.RestoreFlow(flows[0] with { Identity = flows[0].Identity with { Internal = Frames.OtherHost } }, after.Now));
        Assert.Equal((1, 1, 1), (after.Engine.PrefixCount, after.Engine.AddressCount, after.Engine.FlowCount));
        Assert.Throws<InvalidOperationException>(() => after.Engine.RestoreAttachment(1, attached: true, after.Now));
    }

    [Fact]
    public void An_address_for_which_there_is_no_room_is_refused()
    {
        HostScene before = new HostScene(AddressType.SessionLasting).Attach(SessionOne);
        before.Connect();
        (List<PrefixSnapshot> prefixes, List<AddressSnapshot> addresses, _) = Save(before);
        var after = new HostScene(AddressType.SessionLasting, options => options with
        {
            Internal = [new IpPrefix(Frames.Host, 64)],
            MaximumInternalAddresses = 1,
        });
        after.Engine.RestoreAttachment(1, attached: true, after.Now);
        Assert.True(after.Engine.RestorePrefix(prefixes[0], after.Now));

        Assert.True(after.Engine.RestoreAddress(addresses[0], after.Now));
        Assert.False(after.Engine.RestoreAddress(
            addresses[0] with { Address = IpAddress.Parse("2001:db8:51:1::99"), Internal = Frames.OtherHost }, after.Now));

        Assert.Equal(1, after.Engine.AddressCount);
    }

    [Fact]
    [Rfc(8653, "3.2")]
    public void Within_the_window_both_addresses_of_a_flow_that_went_over_are_accepted_after_a_restart_too()
    {
        static DataplaneOptions AtOnce(DataplaneOptions options) => options with { GracefulDatagramsAtOnce = true };
        HostScene before = new HostScene(AddressType.GracefulReplacement, AtOnce).Attach(GracefulOne);
        IpAddress old = before.SendUdp().Source;
        before.Attach(10, GracefulTwo);
        IpAddress current = before.SendUdp().Source;

        HostScene after = Restored(before, AddressType.GracefulReplacement, AtOnce);

        Assert.Equal((ForwardReason.Rewritten, ForwardReason.Rewritten), (after.ReceiveUdp(old).Forwarded, after.ReceiveUdp(current).Forwarded));
        Assert.Equal(current, after.SendUdp().Source);
        after.Pass(10.1);
        Assert.Equal(DropReason.AddressEnded, after.ReceiveUdp(old).Dropped);
        after.Pass(301);
        Assert.Equal((1, 1), (after.Engine.PrefixCount, after.Engine.AddressCount));   // nothing holds the old ones any more
    }

    [Fact]
    public void Addresses_that_no_flow_comes_back_to_and_no_new_one_gets_are_not_kept()
    {
        static DataplaneOptions RenewAtOnce(DataplaneOptions options) =>
            options with { NonpersistentRenewal = new RenewalLimit(Duration.FromSeconds(1), 0) };
        HostScene before = new HostScene(AddressType.Nonpersistent, RenewAtOnce).Attach(NonpersistentOne);
        IpAddress[] made = [.. Enumerable.Range(0, 4).Select(number =>
        {
            before.Pass(2);
            return before.SendUdp((ushort)(5000 + number)).Source;
        })];
        (List<PrefixSnapshot> prefixes, List<AddressSnapshot> addresses, List<FlowSnapshot> flows) = Save(before);
        FlowSnapshot kept = flows.Single(flow => flow.Address == made[1]);
        var after = new HostScene(AddressType.Nonpersistent);
        after.Pass(8);

        after.Engine.RestoreAttachment(1, attached: true, after.Now);
        Assert.True(after.Engine.RestorePrefix(prefixes[0], after.Now));
        foreach (AddressSnapshot address in addresses.OrderBy(address => address.Since))
        {
            // One is as the file has it if the prefix ended and came back: never retired.
            Assert.True(after.Engine.RestoreAddress(address with { IsRetired = address.IsRetired && address.Address != made[2] }, after.Now));
        }

        Assert.True(after.Engine.RestoreFlow(kept, after.Now));
        after.Engine.FinishRestore(after.Now);
        after.Advance();

        Assert.Equal(made[1], after.SendUdp(5001).Source);
        Assert.Equal(made[3], after.SendUdp(6000).Source);
        Assert.Equal(2, after.Engine.AddressCount);
        after.Pass(301);
        Assert.Equal(1, after.Engine.AddressCount);
    }

    private static HostScene Restored(
        HostScene before, AddressType type, Func<DataplaneOptions, DataplaneOptions>? change = null, bool attached = true)
    {
        (List<PrefixSnapshot> prefixes, List<AddressSnapshot> addresses, List<FlowSnapshot> flows) = Save(before);
        var after = new HostScene(type, change);
        after.Pass((double)before.Now.Since(after.Now).Nanoseconds / Timestamp.NanosecondsPerSecond);
        after.Engine.RestoreAttachment(1, attached, after.Now);
        Assert.All(prefixes, prefix => Assert.True(after.Engine.RestorePrefix(prefix, after.Now)));
        Assert.All(addresses, address => Assert.True(after.Engine.RestoreAddress(address, after.Now)));
        Assert.All(flows, flow => Assert.True(after.Engine.RestoreFlow(flow, after.Now)));
        after.Engine.FinishRestore(after.Now);
        return after;
    }

    private static (List<PrefixSnapshot> Prefixes, List<AddressSnapshot> Addresses, List<FlowSnapshot> Flows) Save(HostScene scene)
    {
        var prefixes = new PrefixSnapshot[64];
        var addresses = new AddressSnapshot[256];
        var flows = new FlowSnapshot[1024];
        (int atPrefix, int atAddress, int atFlow) = (0, 0, 0);
        int prefixCount = scene.Engine.CopyPrefixes(ref atPrefix, prefixes);
        int addressCount = scene.Engine.CopyAddresses(ref atAddress, addresses);
        int flowCount = scene.Engine.CopyFlows(ref atFlow, flows);
        Assert.Equal((-1, -1, -1), (atPrefix, atAddress, atFlow));
        return ([.. prefixes.Take(prefixCount)], [.. addresses.Take(addressCount)], [.. flows.Take(flowCount)]);
    }

    private static IEnumerable<string> Describe(HostScene scene) => Save(scene).Flows
        .Select(flow => $"{flow.Identity} {flow.Type} {flow.Address} {flow.State} {flow.IsInbound} {flow.IsNative} {flow.Packets} {flow.Octets}").Order();
}

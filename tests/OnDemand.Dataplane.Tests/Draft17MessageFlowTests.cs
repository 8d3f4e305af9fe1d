using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests;

/// <summary>The message flow example of draft-ietf-dmm-ondemand-mobility-17 §4.2, step by step, in its own words.</summary>
[Draft("4.2")]
public sealed class Draft17MessageFlowTests
{
    private static readonly IpPrefix Np1 = HostScene.NonpersistentOne;
    private static readonly IpPrefix Np2 = HostScene.NonpersistentTwo;
    private static readonly IpPrefix Sl1 = HostScene.SessionOne;

    private readonly HostScene _scene = new();

    [Fact]
    public void The_example_comes_out_as_it_is_told()
    {
        // The mobile device attaches to the network. The network provides two IPv6 prefixes: PREFsl1 and PREFnp1.
        _scene.Attach(HostScene.Of(Sl1, AddressType.SessionLasting), HostScene.Of(Np1, AddressType.Nonpersistent));

        // An application is launched, opens an IP socket and requests a Non-persistent IPv6 address. The IP stack provides IPnp1.
        IpAddress np1 = Granted(AddressType.Nonpersistent, 40001);
        Assert.True(Np1.Contains(np1));
        Assert.Equal(np1, _scene.Connect(40001));

        // Another application is launched, requesting a Non-persistent IPv6 address. The IP stack provides IPnp1 again.
        Assert.Equal(np1, Granted(AddressType.Nonpersistent, 40002));
        Assert.Equal(np1, _scene.Connect(40002));

        // A third application requires a Session-lasting IPv6 address. The IP stack provides IPsl1 which is generated from PREFsl1.
        IpAddress sl1 = Granted(AddressType.SessionLasting, 40003);
        Assert.True(Sl1.Contains(sl1));
        Assert.Equal(sl1, _scene.Connect(40003));

        // The mobile host moves to a new point of attachment. The network provides PREFnp2. PREFnp1 is no longer valid.
        _scene.Attach(HostScene.Of(Np2, AddressType.Nonpersistent));
        Assert.Equal([Np1], _scene.Events(EngineEventKind.PrefixEnded).Select(ended => ended.Prefix));

        // The applications that were given IPnp1 (they learn of it by a reset) re-establish the socket and receive IPnp2 from PREFnp2.
        Assert.Equal(
            [HostScene.Reset(5001, 1001, 40001), HostScene.Reset(5001, 1001, 40002)],
            _scene.Outputs().Select(output => output.Octets));
        IpAddress np2 = Granted(AddressType.Nonpersistent, 40011);
        Assert.True(Np2.Contains(np2));
        Assert.Equal(np2, _scene.Connect(40011));
        Assert.Equal(np2, Granted(AddressType.Nonpersistent, 40012));

        // The application that is using IPsl1 can still use it.
        Assert.Equal(sl1, _scene.SendTcp(TcpControl.Ack, 1001, 5001, 40003).Source);
        Assert.Equal(ForwardReason.Rewritten, _scene.ReceiveTcp(sl1, TcpControl.Ack, 5001, 1001, 40003, payload: 100).Forwarded);

        // A new application requires a Graceful-replacement IPv6 address. setsc() returns an error: the network does not support this.
        _scene.Request(AddressType.GracefulReplacement, 40020);
        _scene.Refuse(_scene.Question(), PrefixAnswerKind.Unsupported);
        Assert.Equal(SetscStatus.NotSupported, _scene.Reply().Status);

        // The application re-attempts, this time requesting a Session-lasting IPv6 address. The IP stack provides IPsl1.
        Assert.Equal(sl1, Granted(AddressType.SessionLasting, 40020));
        Assert.Equal(sl1, _scene.Connect(40020));
    }

    [Fact]
    public void Fixed_and_graceful_addresses_are_not_supported_in_the_examples_network_and_the_caller_is_told_each_time()
    {
        _scene.Attach(HostScene.Of(Sl1, AddressType.SessionLasting), HostScene.Of(Np1, AddressType.Nonpersistent));
        foreach (AddressType type in new[] { AddressType.Fixed, AddressType.GracefulReplacement })
        {
            _scene.Request(type, 40030);
            _scene.Refuse(_scene.Question(), PrefixAnswerKind.Unsupported);
            Assert.Equal(SetscStatus.NotSupported, _scene.Reply().Status);

            // Known now; nobody is asked again.
            _scene.Request(type, 40031);
            Assert.Equal(SetscStatus.NotSupported, _scene.Reply().Status);
            _scene.AssertNothingAsked();
        }
    }

    private IpAddress Granted(AddressType type, ushort port)
    {
        _scene.Request(type, port);
        SetscReply reply = _scene.Reply();
        Assert.Equal((SetscStatus.Granted, type), (reply.Status, reply.Type));
        return reply.Address;
    }
}

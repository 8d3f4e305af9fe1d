using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests;

/// <summary>Prefixes so long that their few addresses can all be taken, of a network that gives the same one whenever it is asked.</summary>
public sealed class LongPrefixTests
{
    private static readonly IpPrefix Long = IpPrefix.Parse("2001:db8:a1:1::/126");
    private static readonly PrefixAdvertisement Given = HostScene.Of(Long, AddressType.Nonpersistent);

    [Fact]
    public void When_all_its_addresses_are_taken_by_renewed_ones_the_same_prefix_is_a_refusal_and_not_asked_for_at_once_again()
    {
        HostScene scene = Attached(Scene([new IpPrefix(Frames.Host, 128)]));
        List<SetscStatus> told = [];
        int asked = 0;
        for (ulong cookie = 1; cookie <= 6; cookie++)
        {
            scene.Engine.Handle(new SetscRequest { Token = cookie, Socket = cookie, Type = AddressType.Nonpersistent }, scene.Now);
            asked += Answer(scene);
            told.Add(scene.Reply().Status);
            scene.Pass(2);
        }

        // ::0 is the routers' (RFC 4291 §2.6.1). Whoever finds no room asks the network once, after the time for which it is remembered to say no.
        Assert.Equal([.. Enumerable.Repeat(SetscStatus.Granted, 3), .. Enumerable.Repeat(SetscStatus.Failed, 3)], told);
        Assert.Equal(1 + 3, asked);

        scene.Engine.EndSocket(1, scene.Now);
        scene.Advance();
        scene.Engine.Handle(new SetscRequest { Token = 7, Socket = 7, Type = AddressType.Nonpersistent }, scene.Now);
        Assert.Equal(SetscStatus.Granted, scene.Reply().Status);
    }

    [Fact]
    public void More_internal_addresses_than_it_has_are_served_as_far_as_it_goes_and_the_others_packets_are_answered()
    {
        HostScene scene = Attached(Scene([new IpPrefix(Frames.Host, 64)]));
        for (ushort host = 1; host <= 6; host++)
        {
            Assert.True(scene.Send(Frames.Udp(Host(host), 5000, Frames.Server, 53)).Held);
        }

        // What waited goes through the engine once more, and may ask again.
        int asked = Answer(scene);
        List<Output> outputs = scene.Outputs();
        asked += Answer(scene);
        outputs.AddRange(scene.Outputs());
        Assert.Equal(2, asked);
        Assert.Equal((3, 3), (outputs.Count(output => output.Info.Kind == OutputKind.Released), outputs.Count(output => output.Info.Kind != OutputKind.Released)));
        scene.AssertNothingAsked();
    }

    private static HostScene Scene(IpPrefix[] inside) => new(
        AddressType.Nonpersistent,
        options => options with { Internal = inside, NonpersistentRenewal = new RenewalLimit(Duration.FromSeconds(1), 0) });

    private static HostScene Attached(HostScene scene) => scene.Attach(HostScene.Of(HostScene.SessionOne, AddressType.SessionLasting));

    private static IpAddress Host(ushort number) => new(Frames.Host.High, Frames.Host.Low + number);

    // Gives the same prefix whenever it is asked for one; returns how often that was.
    private static int Answer(HostScene scene)
    {
        int asked = 0;
        for (; scene.Engine.TryTakePrefixRequest(out PrefixRequest question); asked++)
        {
            Assert.True(asked < 20, "The network is asked again and again.");
            scene.Grant(question, Given);
        }

        return asked;
    }
}

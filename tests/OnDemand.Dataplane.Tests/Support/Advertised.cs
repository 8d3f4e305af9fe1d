using OnDemand.Dataplane.Mobility;

namespace OnDemand.Dataplane.Tests.Support;

/// <summary>The prefixes of <see cref="HostScene"/> as networks advertise them: for ever, and each with its type.</summary>
internal static class Advertised
{
    public static readonly PrefixAdvertisement NonpersistentOne = HostScene.Of(HostScene.NonpersistentOne, AddressType.Nonpersistent);
    public static readonly PrefixAdvertisement NonpersistentTwo = HostScene.Of(HostScene.NonpersistentTwo, AddressType.Nonpersistent);
    public static readonly PrefixAdvertisement GracefulOne = HostScene.Of(HostScene.GracefulOne, AddressType.GracefulReplacement);
    public static readonly PrefixAdvertisement GracefulTwo = HostScene.Of(HostScene.GracefulTwo, AddressType.GracefulReplacement);
    public static readonly PrefixAdvertisement SessionOne = HostScene.Of(HostScene.SessionOne, AddressType.SessionLasting);
    public static readonly PrefixAdvertisement SessionTwo = HostScene.Of(HostScene.SessionTwo, AddressType.SessionLasting);
    public static readonly PrefixAdvertisement FixedOne = HostScene.Of(HostScene.FixedOne, AddressType.Fixed);
    public static readonly PrefixAdvertisement FixedTwo = HostScene.Of(HostScene.FixedTwo, AddressType.Fixed);
}

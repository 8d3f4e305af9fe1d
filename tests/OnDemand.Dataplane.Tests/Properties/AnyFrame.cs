using FsCheck;
using FsCheck.Fluent;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Properties;

/// <summary>Draws well-formed frames of every protocol that the engine rewrites.</summary>
internal static class AnyFrame
{
    /// <summary>A frame between two addresses; both directions of a flow come from the same numbers.</summary>
    public static TestFrame Of(int[] numbers, IpAddress near, IpAddress far, bool outbound)
    {
        ushort local = (ushort)(1024 + (numbers[0] % 60_000));
        ushort remote = (ushort)(1 + (numbers[1] % 60_000));
        (IpAddress source, ushort sourcePort) = outbound ? (near, local) : (far, remote);
        (IpAddress destination, ushort destinationPort) = outbound ? (far, remote) : (near, local);
        int payload = numbers[2] % 400;
        TestFrame frame = (numbers[3] % 6) switch
        {
            0 => Frames.Tcp(source, sourcePort, destination, destinationPort, outbound ? TcpControl.Syn
                : TcpControl.Syn | TcpControl.Ack, payload: payload),
            1 or 2 => Frames.Udp(source, sourcePort, destination, destinationPort, payload, numbers[2]),
            3 => Frames.UdpLite(source, sourcePort, destination, destinationPort, (ushort)(8 * (numbers[2] % 2)), payload),
            4 => Frames.Dccp(source, sourcePort, destination, destinationPort, (byte)(numbers[2] % 3), payload),
            _ => Frames.Echo(source, destination, local, reply: !outbound, payload),
        };
        IReadOnlyList<ExtensionHeader> extensions = (numbers[4] % 5) switch
        {
            0 => [Frames.HopByHop(), Frames.DestinationOptions(1 + (numbers[2] % 3))],
            1 => [Frames.AtomicFragment()],
            2 => [Frames.Routing(far, 0)],
            _ => [],
        };
        return frame with { Extensions = extensions, Link = (LinkHeader)(numbers[5] % 4), TrafficClass = (byte)numbers[5] };
    }

    public static Arbitrary<int[]> Numbers() => Gen.ArrayOf(Gen.Choose(0, 1 << 20), 8).ToArbitrary();
}

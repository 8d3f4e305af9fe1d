using System.Buffers.Binary;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <summary>
/// Goes through a move with an engine of its own. What the runtime does the first time a piece of code is met then stands no packet in the
/// way: the first move of a process with a million flows would pause it for half a millisecond.
/// </summary>
public static class Rehearsal
{
    private const int Length = FrameParser.HeaderLength + 20;
    private const int Sockets = 40;                 // more than a batch takes
    private const byte Syn = 0x02;
    private const byte Ack = 0x10;

    private static readonly IpAddress Host = new(0xfd00_0000_0000_0000, 1);
    private static readonly IpAddress Remote = new(0x2001_0db8_0000_0000, 2);
    private static readonly FrameInfo Plain = new(0);

    private static readonly AddressType[] Types =
        [AddressType.Fixed, AddressType.SessionLasting, AddressType.GracefulReplacement, AddressType.Nonpersistent];

    /// <summary>Does it, in some milliseconds.</summary>
    /// <returns>What the engine counted.</returns>
    public static Counters Run()
    {
        var options = new DataplaneOptions
        {
            MaximumFlows = 256,
            MaximumBindings = 256,
            MaximumInternalAddresses = 1,
            MaximumTypedAddresses = 32,
            MaximumSocketRequests = 16,
            MaximumHeldFrames = 16,
            MaximumHeldOctets = 1 << 17,
            PickUpMidFlow = true,
            Internal = [new IpPrefix(Host, 128)],
            Policy = new ServicePolicy(
                [.. Types.Select((type, at) => new PolicyRule { LocalPort = PortsOf(at), Outcome = PolicyOutcome.OfType(type) })], [], PolicyOutcome.Legacy),
        };
        var now = Timestamp.FromSeconds(1);
        var engine = new DataplaneEngine(options, now);
        engine.Attach(1, Advertised(1), null, now);
        Exchange(engine, now);
        now = Timestamp.FromSeconds(2);
        engine.Attach(2, Advertised(2), Duration.FromSeconds(1), now);
        Exchange(engine, now);
        for (int second = 3; second < 10; second++)
        {
            now = Timestamp.FromSeconds(second);
            engine.Advance(now);
            Take(engine, now);
        }

        Exchange(engine, now);
        _ = engine.Withdraw(new IpPrefix(Prefix(2, 3), 64), Duration.Zero, now);
        engine.Detach(now);
        Take(engine, now);
        return engine.Counters;
    }

    private static PrefixAdvertisement[] Advertised(uint network) =>
        [.. Types.Select((type, at) => new PrefixAdvertisement(new IpPrefix(Prefix(network, (uint)at), 64), type))];

    private static PortRange PortsOf(int at) => new((ushort)(at * Sockets), (ushort)(((at + 1) * Sockets) - 1));

    private static IpAddress Prefix(uint network, uint at) => new(0x2001_0db8_0001_0000UL | (network << 8) | at, 0);

    // A batch of each socket's next packet, opening and going on, with the answers of the remote.
    private static void Exchange(DataplaneEngine engine, Timestamp now)
    {
        byte[] frames = new byte[Types.Length * Sockets * Length];
        var slots = new FrameSlot[Types.Length * Sockets];
        foreach (byte flags in (ReadOnlySpan<byte>)[Syn, Ack, Ack])
        {
            for (int i = 0; i < slots.Length; i++)
            {
                Write(frames.AsSpan(i * Length, Length), (ushort)i, flags);
                slots[i] = new FrameSlot { Offset = i * Length, Length = Length, Info = Plain };
            }

            engine.HandleBatch(frames, slots, now);
            for (int i = 0; i < slots.Length; i++)
            {
                Span<byte> frame = frames.AsSpan(i * Length, Length);
                TurnBack(frame);
                _ = engine.HandleInbound(frame, Plain, now);
            }

            Take(engine, now);
        }
    }

    private static void Take(DataplaneEngine engine, Timestamp now)
    {
        byte[] output = new byte[engine.MaximumOutputLength];
        bool more = true;
        while (more)
        {
            more = engine.TryTakeOutput(output, now, out _, out _);
            if (!more && engine.NextDeadline <= now)
            {
                engine.Advance(now);
                more = true;
            }
        }
    }

    private static void Write(Span<byte> frame, ushort port, byte flags)
    {
        frame.Clear();
        frame[0] = 0x60;
        frame[5] = 20;
        frame[6] = port % 2 == 0 ? IpProtocol.Tcp : IpProtocol.Udp;
        Host.Write(frame[8..]);
        Remote.Write(frame[24..]);
        BinaryPrimitives.WriteUInt16BigEndian(frame[40..], port);
        BinaryPrimitives.WriteUInt16BigEndian(frame[42..], 443);
        if (port % 2 == 0)
        {
            frame[52] = 5 << 4;
            frame[53] = flags;
        }
        else
        {
            frame[45] = 20;
            frame[47] = 1;                           // some checksum
        }
    }

    private static void TurnBack(Span<byte> frame)
    {
        IpAddress source = IpAddress.Read(frame[8..]);
        frame.Slice(24, IpAddress.Length).CopyTo(frame[8..]);
        source.Write(frame[24..]);
        (frame[40], frame[41], frame[42], frame[43]) = (frame[42], frame[43], frame[40], frame[41]);
        if (frame[6] == IpProtocol.Tcp)
        {
            frame[53] |= Ack;
        }
    }
}

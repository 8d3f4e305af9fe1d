using System.Buffers.Binary;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Model;

/// <summary>
/// Writes another address into a frame. Right checksums are summed again from nothing; wrong ones, and those that cannot be judged
/// because octets are missing, stay wrong by the same amount modulo 65535, which is what one's-complement sums are counted in.
/// </summary>
internal static class NaiveRewrite
{
    private const int Modulus = 0xffff;

    public static byte[] Source(byte[] frame, FrameInfo info, IpAddress address) =>
        Address(frame, info, 8, address);

    public static byte[] Destination(byte[] frame, FrameInfo info, IpAddress address) =>
        Address(frame, info, 24, address);

    /// <summary>An ICMPv6 error with another address outside and in the packet that it quotes.</summary>
    public static byte[] Error(byte[] frame, FrameInfo info, bool outbound, IpAddress address)
    {
        var error = new NaivePacket(frame, info.NetworkOffset);
        byte[] result = [.. frame];
        int outer = info.NetworkOffset + (outbound ? 8 : 24);
        address.Write(result.AsSpan(outer));
        QuotedAddress(result, error.Quoted, outbound ? 24 : 8, address);
        int field = error.Upper + 2;
        if (!error.IsCut && error.HasRightChecksum && !info.PartialChecksum)
        {
            var changed = new NaivePacket(result, info.NetworkOffset);
            Put(result, field, NaiveChecksum.Right(changed.Source, changed.PseudoDestination, error.Protocol,
                result.AsSpan(error.Upper, error.End - error.Upper)));
            return result;
        }

        // The sum that the field closes has changed by what stands outside and inside.
        int before = NaiveChecksum.Sum(frame.AsSpan(outer, 16)) + SumOf(frame, error);
        int after = NaiveChecksum.Sum(result.AsSpan(outer, 16)) + SumOf(result, error);
        int old = Get(frame, field);
        Put(result, field, info.PartialChecksum ? Shifted(old, Sum16(frame, outer), Sum16(result, outer), partial: true)
            : Shifted(old, before, after, partial: false));
        return result;
    }

    private static int Sum16(byte[] frame, int offset) => NaiveChecksum.Sum(frame.AsSpan(offset, 16));

    private static int SumOf(byte[] frame, NaivePacket error) =>
        NaiveChecksum.Sum(frame.AsSpan(error.Upper + 4, Math.Min(error.End, frame.Length) - error.Upper - 4));

    private static byte[] Address(byte[] frame, FrameInfo info, int offset, IpAddress address)
    {
        var packet = new NaivePacket(frame, info.NetworkOffset);
        byte[] result = [.. frame];
        address.Write(result.AsSpan(info.NetworkOffset + offset));
        if (packet.Shape == NaiveShape.LaterFragment || !packet.IsSummed || (offset == 8 && packet.HasHomeAddress))
        {
            return result;
        }

        int field = packet.Upper + NaiveChecksum.FieldOf(packet.Protocol);
        int old = Get(frame, field);
        if (packet.Protocol == IpProtocol.Udp && old == 0 && !info.PartialChecksum)
        {
            return result;
        }

        int before = Sum16(frame, info.NetworkOffset + offset);
        int after = Sum16(result, info.NetworkOffset + offset);
        if (info.PartialChecksum || packet.IsFragment || packet.IsCut || !packet.HasRightChecksum)
        {
            int changed = Shifted(old, before, after, info.PartialChecksum);
            Put(result, field, changed == 0 && packet.Protocol is IpProtocol.Udp or IpProtocol.UdpLite ? 0xffff : changed);
            return result;
        }

        var moved = new NaivePacket(result, info.NetworkOffset);
        Put(result, field, NaiveChecksum.Right(moved.Source, moved.PseudoDestination, packet.Protocol,
            result.AsSpan(packet.Upper, packet.End - packet.Upper)));
        return result;
    }

    private static void QuotedAddress(byte[] frame, int quoted, int offset, IpAddress address)
    {
        byte[] inner = frame[quoted..];
        var packet = new NaivePacket(inner, 0, quote: true);
        int before = Sum16(inner, offset);
        address.Write(frame.AsSpan(quoted + offset));
        int field = NaiveChecksum.FieldOf(packet.Protocol);
        bool covered = packet.Shape is not (NaiveShape.LaterFragment or NaiveShape.NotIpv6) && field >= 0
            && !(offset == 8 && packet.HasHomeAddress);
        if (!covered || packet.Upper + field + 2 > inner.Length)
        {
            return;
        }

        int old = Get(inner, packet.Upper + field);
        if (packet.Protocol == IpProtocol.Udp && old == 0)
        {
            return;
        }

        int changed = Shifted(old, before, NaiveChecksum.Sum(frame.AsSpan(quoted + offset, 16)), partial: false);
        Put(frame, quoted + packet.Upper + field, changed == 0 && packet.Protocol is IpProtocol.Udp or IpProtocol.UdpLite ? 0xffff
            : changed);
    }

    // A complete field is the complement of a sum, so it goes down by what the sum goes up; a partial one goes up with it.
    private static int Shifted(int field, int before, int after, bool partial)
    {
        int change = partial ? after - before : before - after;
        int shifted = (((field + change) % Modulus) + Modulus) % Modulus;
        return partial && shifted == 0 && (field != 0 || after != 0) ? Modulus : shifted;
    }

    private static int Get(byte[] frame, int offset) => BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(offset));

    private static void Put(byte[] frame, int offset, int value) => BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(offset),
        (ushort)value);
}

using System.Runtime.InteropServices;
using FsCheck;
using FsCheck.Fluent;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Netlink;
using OnDemand.Linux.Sockets;
using Xunit;

namespace OnDemand.Linux.Tests.Sockets;

public sealed class SocketMessagesTests
{
    // In the form of Linux 6.18, put together by hand: a UDP socket of user 1000, bound to [2001:db8::1]:4001 and connected to [2001:db8::2]:53.
    private const string Received =
        "84000000" + "1400" + "0000" + "07000000" + "00000000"
        + "0a010000" + "0fa1" + "0035" + "20010db8000000000000000000000001" + "20010db8000000000000000000000002"
        + "00000000" + "30100000" + "01000000" + "00000000" + "00000000" + "00000000" + "e8030000" + "b5d63800"
        + "0500080001000000" + "05000b0001000000" + "08000f0053860000" + "0c0015000701000000000000" + "0600160010000000";

    [Fact]
    public void What_the_kernel_says_is_read_field_by_field()
    {
        Assert.SkipUnless(BitConverter.IsLittleEndian, "The octets are those of a little-endian machine.");
        Assert.True(TryRead(Convert.FromHexString(Received), out SocketRecord record));

        Assert.Equal(
            new SocketRecord
            {
                Protocol = SocketProtocol.Udp,
                State = SocketState.Established,
                Local = IpAddress.Parse("2001:db8::1"),
                LocalPort = 4001,
                Remote = IpAddress.Parse("2001:db8::2"),
                RemotePort = 53,
                Cookie = 0x1_0000_1030,
                Uid = 1000,
                Inode = 0x38d6b5,
                Shutdown = 1,
                IsIpv6Only = true,
                Mark = 0x8653,
                CgroupId = 0x107,
            },
            record);
    }

    [Fact]
    public void A_look_up_is_laid_out_as_the_kernel_reads_it_and_that_of_UDP_the_other_way_round()
    {
        Assert.SkipUnless(BitConverter.IsLittleEndian, "The expected octets are those of a little-endian machine.");
        SocketQuery query = SocketScene.Query(SocketProtocol.Tcp, "2001:db8::1", 4001, "2001:db8::2", 53) with { InterfaceIndex = 3 };
        const string header = "48000000" + "1400" + "0100" + "07000000" + "00000000";
        const string one = "20010db8000000000000000000000001";
        const string two = "20010db8000000000000000000000002";

        Assert.Equal(
            header + "0a060000" + "fe1f0000" + "0fa1" + "0035" + one + two + "03000000" + "ffffffffffffffff", LookUp(query));
        Assert.Equal(
            header + "0a110000" + "fe1f0000" + "0035" + "0fa1" + two + one + "03000000" + "ffffffffffffffff",
            LookUp(query with { Protocol = SocketProtocol.Udp }));
    }

    [Fact]
    public void A_message_that_is_cut_anywhere_tells_the_beginning_or_nothing()
    {
        byte[] whole = Convert.FromHexString(Received);
        for (int length = 0; length < whole.Length; length++)
        {
            byte[] cut = whole[..length];
            if (length >= NetlinkMessage.HeaderLength)
            {
                MemoryMarshal.Write(cut, (uint)length);
            }

            bool isRead = TryRead(cut, out SocketRecord record);

            Assert.Equal(length >= NetlinkMessage.HeaderLength + 72, isRead);
            Assert.Equal(isRead ? 0x38d6b5u : 0u, record.Inode);
            Assert.Equal(length >= NetlinkMessage.HeaderLength + 72 + 36 ? 0x107u : 0u, record.CgroupId);
        }
    }

    [Fact]
    public void No_octets_whatever_make_the_reader_fail() => Prop.ForAll<(byte[] Octets, byte Type)>(input =>
    {
        byte[] payload = input.Octets ?? [];
        byte[] message = [.. new byte[NetlinkMessage.HeaderLength], .. payload];
        MemoryMarshal.Write(message, (uint)message.Length);
        MemoryMarshal.Write(message.AsSpan(4), (ushort)(16 + (input.Type % 8)));
        bool isRead = TryRead(message, out SocketRecord record);
        return isRead == (input.Type % 8 == 4 && payload.Length >= 72 && payload[0] is 2 or 10) && (isRead || record == default);
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_changed_octet_gives_a_record_or_nothing() => Prop.ForAll<(int Place, byte Value)[]>(changes =>
    {
        byte[] message = Convert.FromHexString(Received);
        foreach ((int place, byte value) in changes)
        {
            message[(int)((uint)place % (uint)message.Length)] = value;
        }

        return TryRead(message, out SocketRecord record) || record == default;
    }).QuickCheckThrowOnFailure();

    private static bool TryRead(ReadOnlySpan<byte> received, out SocketRecord record)
    {
        record = default;
        return NetlinkMessage.TryTake(ref received, out NetlinkMessage message)
            && SocketMessages.TryRead(message, SocketProtocol.Udp, out record);
    }

    private static string LookUp(in SocketQuery query) =>
        Convert.ToHexStringLower(SocketMessages.LookUp(new byte[SocketMessages.RequestLength], query).Finish(7));
}

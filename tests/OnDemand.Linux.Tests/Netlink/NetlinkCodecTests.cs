using System.Runtime.InteropServices;
using FsCheck;
using FsCheck.Fluent;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Netlink;
using Xunit;

namespace OnDemand.Linux.Tests.Netlink;

public sealed class NetlinkCodecTests
{
    [Fact]
    public void A_request_is_laid_out_as_the_kernel_reads_it()
    {
        var request = new NetlinkRequest(new byte[512], 20, NetlinkFlags.Create | NetlinkFlags.Acknowledge, headerLength: 8);
        request.Header[0] = 10;
        request.Add(9, (byte)0xab);
        request.Add(2, IpAddress.Parse("2001:db8::1"));
        int nested = request.BeginNested(18);
        request.Add(1, "tun");
        request.EndNested(nested);
        request.Add(8, 0x01020304u);

        string octets = Convert.ToHexStringLower(request.Finish(0x11223344));

        // Written out by hand from netlink(7), for a machine that stores the least significant octet first.
        Assert.SkipUnless(BitConverter.IsLittleEndian, "The expected octets are those of a little-endian machine.");
        Assert.Equal(
            "48000000" + "1400" + "0504" + "44332211" + "00000000"
            + "0a00000000000000"
            + "0500" + "0900" + "ab000000"
            + "1400" + "0200" + "20010db8000000000000000000000001"
            + "0c00" + "1280" + "0800" + "0100" + "74756e00"
            + "0800" + "0800" + "04030201",
            octets);
    }

    [Fact]
    public void What_was_built_is_read_back() => Prop.ForAll<(byte Type, byte[] Value)[]>(attributes =>
    {
        attributes = [.. attributes.Where(attribute => attribute.Value is not null)];
        byte[] memory = new byte[100 + attributes.Sum(attribute => attribute.Value.Length + 8)];
        var request = new NetlinkRequest(memory, 33, NetlinkFlags.None, headerLength: 12);
        foreach ((byte type, byte[] value) in attributes)
        {
            request.Add(type, value);
        }

        ReadOnlySpan<byte> received = request.Finish(7);
        if (!NetlinkMessage.TryTake(ref received, out NetlinkMessage message) || !received.IsEmpty)
        {
            return false;
        }

        List<(byte Type, byte[] Value)> read = [];
        foreach (NetlinkAttribute attribute in message.Attributes(12))
        {
            read.Add(((byte)attribute.Type, attribute.Value.ToArray()));
        }

        return message is { Type: 33, Sequence: 7, Flags: NetlinkFlags.Request } && read.Count == attributes.Length
            && read.Zip(attributes).All(pair =>
                pair.First.Type == pair.Second.Type && pair.First.Value.AsSpan().SequenceEqual(pair.Second.Value));
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Memory_that_is_too_small_is_the_callers_mistake()
    {
        Assert.Throws<InvalidOperationException>(() =>
        {
            var request = new NetlinkRequest(new byte[40], 16, NetlinkFlags.None, headerLength: 16);
            request.Add(3, "a name");
        });
    }

    [Fact]
    public void Messages_of_one_reply_are_taken_one_after_the_other_and_half_a_message_ends_it()
    {
        byte[] octets = [.. Message(20, []), .. Message(24, [1, 2, 3, 4, 5]), .. Message(3, [0, 0, 0, 0])[..^1]];
        ReadOnlySpan<byte> received = octets;

        Assert.True(NetlinkMessage.TryTake(ref received, out NetlinkMessage first));
        Assert.Equal(20, first.Type);
        Assert.True(NetlinkMessage.TryTake(ref received, out NetlinkMessage second));
        Assert.Equal([1, 2, 3, 4, 5], second.Payload.ToArray());
        Assert.False(NetlinkMessage.TryTake(ref received, out _));
        Assert.True(received.IsEmpty);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(15)]
    [InlineData(1000)]
    [InlineData(-1)]
    public void A_message_that_lies_about_its_length_is_none(int length)
    {
        byte[] octets = Message(20, new byte[40]);
        MemoryMarshal.Write(octets, length);
        ReadOnlySpan<byte> received = octets;

        Assert.False(NetlinkMessage.TryTake(ref received, out _));
    }

    [Theory]
    [InlineData("0300" + "0100" + "00000000", 0)]                             // shorter than its own header
    [InlineData("0900" + "0100" + "00000000", 0)]                             // longer than what is there
    [InlineData("0800" + "0100" + "00000000" + "0000" + "0200", 1)]           // what was before it counts
    [InlineData("0500" + "0100" + "ff", 1)]                                   // the last one may go without padding
    public void An_attribute_that_lies_about_its_length_ends_the_walk(string octets, int expected)
    {
        int count = 0;
        foreach (NetlinkAttribute attribute in new NetlinkAttributes(Convert.FromHexString(octets)))
        {
            Assert.Equal(1, attribute.Type);
            count++;
        }

        Assert.Equal(expected, count);
    }

    [Fact]
    public void Values_that_are_too_short_read_as_zero()
    {
        var attribute = new NetlinkAttribute(0xc001, [1, 2, 3]);

        Assert.Equal(1, attribute.Type);
        Assert.Equal(0u, attribute.UInt32);
        Assert.Equal(default, attribute.Address);
        Assert.Equal(1, attribute.Byte);
        Assert.Equal(0, new NetlinkAttribute(1, []).Byte);
        Assert.Equal(string.Empty, new NetlinkAttribute(1, []).Text);
    }

    [Theory]
    [InlineData(0x300, true, "no such thing")]
    [InlineData(0x200, false, "no such thing")]
    [InlineData(0x000, false, null)]
    public void The_kernels_sentence_is_found_behind_what_it_repeats(int flags, bool isCapped, string? sentence)
    {
        byte[] request = Message(24, new byte[21]);
        byte[] repeated = isCapped ? request[..16] : request;
        byte[] payload = [.. Number(-17), .. repeated, .. Attribute(2, Number(5)), .. Attribute(1, [.. "no such thing\0"u8])];

        NetlinkError error = Read(Message(NetlinkMessage.ErrorType, payload, (ushort)flags));

        Assert.Equal(Errno.Eexist, error.Error);
        Assert.Equal(sentence, error.Sentence);
        Assert.Equal(sentence ?? "File exists", error.ToString());
    }

    [Fact]
    public void The_end_of_a_dump_may_have_an_error_with_a_sentence()
    {
        byte[] payload = [.. Number(-22), .. Attribute(1, [.. "bad header\0"u8])];

        Assert.Equal(new NetlinkError(Errno.Einval, "bad header"), Read(Message(NetlinkMessage.DoneType, payload, 0x200)));
        Assert.Equal(NetlinkError.None, Read(Message(NetlinkMessage.DoneType, Number(0))));
    }

    [Theory]
    [InlineData("")]
    [InlineData("000000")]
    [InlineData("11000000")]
    [InlineData("00000080")]
    public void An_error_that_cannot_be_one_is_malformed(string payload) =>
        Assert.Equal(NetlinkError.Malformed, Read(Message(NetlinkMessage.ErrorType, Convert.FromHexString(payload))).Error);

    [Fact]
    public void A_failure_names_the_call_the_sentence_and_the_error()
    {
        var error = new NetlinkError(Errno.Eexist, "nexthop busy");

        LinuxException exception = Assert.Throws<LinuxException>(() => error.ThrowIfFailed("RTM_NEWROUTE"));

        Assert.Equal("RTM_NEWROUTE (nexthop busy): File exists", exception.Message);
        Assert.Equal(Errno.Eexist, exception.Error);
    }

    [Fact]
    public void Garbage_is_never_an_exception() => Prop.ForAll<byte[]>(garbage => ReadAll(garbage ?? [])).QuickCheckThrowOnFailure();

    [Fact]
    public void Damaged_messages_are_never_an_exception()
    {
        byte[][] whole = [.. Samples()];
        Prop.ForAll<int, (ushort Place, byte Value)[], ushort>((which, changes, cut) =>
        {
            byte[] octets = [.. whole[(int)((uint)which % (uint)whole.Length)]];
            foreach ((ushort place, byte value) in changes)
            {
                // The first four are the length: damage there only ends the reading early, so most goes behind it.
                octets[place % octets.Length] = value;
            }

            return ReadAll(octets) && ReadAll(octets[..(cut % octets.Length)]) && ReadPayload(octets);
        }).Check(FsCheck.Config.QuickThrowOnFailure.WithMaxTest(5000));
    }

    private static bool ReadAll(byte[] octets)
    {
        ReadOnlySpan<byte> received = octets;
        int before = received.Length;
        while (!received.IsEmpty)
        {
            if (NetlinkMessage.TryTake(ref received, out NetlinkMessage message))
            {
                Read(message);
            }

            if (received.Length >= before)
            {
                return false;    // it would never end
            }

            before = received.Length;
        }

        return true;
    }

    /// <summary>Reads the payload whatever the length in front says.</summary>
    private static bool ReadPayload(byte[] octets)
    {
        byte[] repaired = [.. octets];
        MemoryMarshal.Write(repaired, repaired.Length);
        ReadOnlySpan<byte> received = repaired;
        if (!NetlinkMessage.TryTake(ref received, out NetlinkMessage message))
        {
            return false;
        }

        Read(message);
        return true;
    }

    private static void Read(NetlinkMessage message)
    {
        NetlinkError.Read(message);
        RouteMonitor.TryRead(message, out RouteNotice notice);
        Assert.NotNull(notice.ToString());
    }

    private static NetlinkError Read(byte[] octets)
    {
        ReadOnlySpan<byte> received = octets;
        Assert.True(NetlinkMessage.TryTake(ref received, out NetlinkMessage message));
        return NetlinkError.Read(message);
    }

    /// <summary>One message of each kind, with every attribute that is looked at.</summary>
    private static IEnumerable<byte[]> Samples()
    {
        byte[] address = new byte[16];
        foreach (ushort type in (ushort[])[16, 17, 20, 21, 24, 25, 32, 33])
        {
            byte[] header = type switch
            {
                < 20 => [10, 0, 1, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
                < 24 => [10, 64, 0, 0, 5, 0, 0, 0],
                _ => [10, 64, 64, 0, 254, 86, 0, 1, 0, 0, 0, 0],
            };
            byte[] info = [.. Attribute(1, [.. "tun\0"u8]), .. Attribute(2, [.. Attribute(3, [2])])];
            IEnumerable<byte> attributes = Enumerable.Range(1, 21).SelectMany(number =>
                Attribute((ushort)number, number == 18 ? info : number is 3 ? [.. "od0\0"u8] : address));
            yield return Message(type, [.. header, .. attributes]);
        }

        yield return Message(2, [.. Number(-17), .. Message(24, []), .. Attribute(1, [.. "no such thing\0"u8])], 0x300);
    }

    private static byte[] Message(ushort type, byte[] payload, ushort flags = 0)
    {
        byte[] octets = new byte[NetlinkRequest.Align(16 + payload.Length)];
        MemoryMarshal.Write(octets, 16 + payload.Length);
        MemoryMarshal.Write(octets.AsSpan(4), type);
        MemoryMarshal.Write(octets.AsSpan(6), flags);
        payload.CopyTo(octets, 16);
        return octets;
    }

    private static byte[] Attribute(ushort type, byte[] value)
    {
        byte[] octets = new byte[NetlinkRequest.Align(4 + value.Length)];
        MemoryMarshal.Write(octets, (ushort)(4 + value.Length));
        MemoryMarshal.Write(octets.AsSpan(2), type);
        value.CopyTo(octets, 4);
        return octets;
    }

    private static byte[] Number(int number)
    {
        byte[] octets = new byte[4];
        MemoryMarshal.Write(octets, number);
        return octets;
    }
}

using System.Runtime.InteropServices;

namespace OnDemand.Linux.Netlink;

/// <summary>One message from the kernel, viewed in place. Getting one is the check: no member throws.</summary>
internal readonly ref struct NetlinkMessage
{
    /// <summary>Octets of struct nlmsghdr.</summary>
    public const int HeaderLength = 16;

    /// <summary>NLMSG_ERROR: an error or, with 0, an acknowledgment.</summary>
    public const ushort ErrorType = 2;

    /// <summary>NLMSG_DONE: the end of a dump.</summary>
    public const ushort DoneType = 3;

    /// <summary>NLMSG_OVERRUN: messages were lost.</summary>
    public const ushort OverrunType = 4;

    /// <summary>NLMSG_MIN_TYPE: types below are netlink's own, the others belong to the family.</summary>
    public const ushort FirstFamilyType = 16;

    private NetlinkMessage(ReadOnlySpan<byte> octets)
    {
        Type = MemoryMarshal.Read<ushort>(octets[4..]);
        Flags = (NetlinkFlags)MemoryMarshal.Read<ushort>(octets[6..]);
        Sequence = MemoryMarshal.Read<uint>(octets[8..]);
        Payload = octets[HeaderLength..];
    }

    /// <summary>The type.</summary>
    public ushort Type { get; }

    /// <summary>The flags.</summary>
    public NetlinkFlags Flags { get; }

    /// <summary>The number of the request that this answers; 0 for a notice.</summary>
    public uint Sequence { get; }

    /// <summary>What follows the header.</summary>
    public ReadOnlySpan<byte> Payload { get; }

    /// <summary>Takes the first message off what was received.</summary>
    /// <param name="received">What was received; afterwards what follows the message, or nothing.</param>
    /// <param name="message">The message.</param>
    /// <returns>Whether there was a whole one.</returns>
    public static bool TryTake(ref ReadOnlySpan<byte> received, out NetlinkMessage message)
    {
        message = default;
        if (received.Length < HeaderLength)
        {
            received = default;
            return false;
        }

        uint length = MemoryMarshal.Read<uint>(received);
        if (length < HeaderLength || length > (uint)received.Length)
        {
            received = default;
            return false;
        }

        message = new NetlinkMessage(received[..(int)length]);
        received = received[Math.Min(NetlinkRequest.Align((int)length), received.Length)..];
        return true;
    }

    /// <summary>The attributes after the family's header.</summary>
    /// <param name="headerLength">Octets of the family's header.</param>
    /// <returns>The attributes; none if the message is shorter than the header.</returns>
    public NetlinkAttributes Attributes(int headerLength)
    {
        int start = NetlinkRequest.Align(headerLength);
        return new NetlinkAttributes(Payload.Length > start ? Payload[start..] : default);
    }
}

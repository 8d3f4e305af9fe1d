using System.Runtime.InteropServices;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Netlink;

/// <summary>What the kernel says of a request.</summary>
/// <param name="Error">The errno, 0 if it did it; <see cref="Malformed"/> if its answer could not be read.</param>
/// <param name="Sentence">The kernel's own sentence (extended acknowledgment), where it has one.</param>
internal readonly record struct NetlinkError(int Error, string? Sentence)
{
    /// <summary>EBADMSG: an answer that could not be read.</summary>
    public const int Malformed = 74;

    /// <summary>ETIMEDOUT: no answer.</summary>
    public const int TimedOut = 110;

    private const ushort MessageAttribute = 1;

    // NLM_F_CAPPED: only the header of the request is repeated. NLM_F_ACK_TLVS: attributes follow.
    private const NetlinkFlags CappedFlag = (NetlinkFlags)0x100;
    private const NetlinkFlags AttributesFlag = (NetlinkFlags)0x200;

    /// <summary>All went well.</summary>
    public static NetlinkError None => default;

    /// <summary>Whether all went well.</summary>
    public bool IsNone => Error == 0;

    /// <summary>Reads an error message or the end of a dump.</summary>
    /// <param name="message">The message.</param>
    /// <returns>What it says.</returns>
    public static NetlinkError Read(NetlinkMessage message)
    {
        if (message.Payload.Length < sizeof(int))
        {
            // The end of a dump has always had a number; without one nothing can be known.
            return new NetlinkError(Malformed, null);
        }

        int error = MemoryMarshal.Read<int>(message.Payload);
        string? sentence = (message.Flags & AttributesFlag) == 0 ? null : SentenceOf(message);

        // The kernel gives errno negated. Anything positive is none of its answers.
        return error switch
        {
            0 => None,
            < 0 and > int.MinValue => new NetlinkError(-error, sentence),
            _ => new NetlinkError(Malformed, null),
        };
    }

    /// <summary>The number alone, without an allocation for the kernel's sentence.</summary>
    /// <param name="message">An error message or the end of a dump.</param>
    /// <returns>As <see cref="Error"/>.</returns>
    public static int NumberOf(NetlinkMessage message)
    {
        int error = message.Payload.Length < sizeof(int) ? int.MaxValue : MemoryMarshal.Read<int>(message.Payload);
        return error is <= 0 and > int.MinValue ? -error : Malformed;
    }

    /// <summary>Throws unless all went well.</summary>
    /// <param name="call">What was asked, as in <c>RTM_NEWROUTE 2001:db8::/64</c>.</param>
    /// <exception cref="LinuxException">It did not go well.</exception>
    public void ThrowIfFailed(string call)
    {
        if (Error != 0)
        {
            throw new LinuxException(Sentence is null ? call : $"{call} ({Sentence})", Error);
        }
    }

    /// <summary>The error in words: the kernel's own sentence or errno's.</summary>
    /// <returns>The words.</returns>
    public override string ToString() => Error == 0 ? "no error" : Sentence ?? Marshal.GetPInvokeErrorMessage(Error);

    private static string? SentenceOf(NetlinkMessage message)
    {
        // An error repeats the request, or only its header when capped; the end of a dump repeats nothing.
        int repeated = 0;
        if (message.Type == NetlinkMessage.ErrorType)
        {
            if (message.Payload.Length < sizeof(int) + NetlinkMessage.HeaderLength)
            {
                return null;
            }

            uint length = MemoryMarshal.Read<uint>(message.Payload[sizeof(int)..]);
            bool isCapped = (message.Flags & CappedFlag) != 0;
            repeated = isCapped ? NetlinkMessage.HeaderLength : (int)Math.Min(length, (uint)message.Payload.Length);
        }

        foreach (NetlinkAttribute attribute in message.Attributes(sizeof(int) + repeated))
        {
            if (attribute.Type == MessageAttribute)
            {
                return attribute.Text;
            }
        }

        return null;
    }
}

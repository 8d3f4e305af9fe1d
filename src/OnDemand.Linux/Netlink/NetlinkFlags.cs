namespace OnDemand.Linux.Netlink;

/// <summary>The flags of a message, see netlink(7). Numbers are used again for acknowledgments, see <see cref="NetlinkError"/>.</summary>
[Flags]
internal enum NetlinkFlags : ushort
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>NLM_F_REQUEST: every message to the kernel has it.</summary>
    Request = 0x01,

    /// <summary>NLM_F_ACK: answer with an error, which is 0 when all went well.</summary>
    Acknowledge = 0x04,

    /// <summary>NLM_F_DUMP_INTR: the table changed while it was being read, so what was read may not fit together.</summary>
    DumpInterrupted = 0x10,

    /// <summary>NLM_F_DUMP: all objects instead of one.</summary>
    Dump = 0x300,

    /// <summary>NLM_F_REPLACE: takes the place of what is there.</summary>
    Replace = 0x100,

    /// <summary>NLM_F_EXCL: an error if it is there.</summary>
    Exclusive = 0x200,

    /// <summary>NLM_F_CREATE: makes it if it is not there.</summary>
    Create = 0x400,
}

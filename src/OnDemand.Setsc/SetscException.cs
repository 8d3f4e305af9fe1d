namespace OnDemand.Setsc;

/// <summary>A socket did not get its address, or could not give it back. A request is met exactly or fails (RFC 8653 §3.4).</summary>
public sealed class SetscException : Exception
{
    /// <summary>Makes an error of the system.</summary>
    public SetscException()
        : this(SetscError.System)
    {
    }

    /// <summary>Makes an error of the system.</summary>
    /// <param name="message">What happened.</param>
    public SetscException(string message)
        : base(message)
    {
    }

    /// <summary>Makes an error of the system.</summary>
    /// <param name="message">What happened.</param>
    /// <param name="innerException">Why.</param>
    public SetscException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }

    /// <summary>Makes an error of the given kind with its sentence.</summary>
    /// <param name="error">What kind.</param>
    /// <param name="innerException">Why, if there is more to say.</param>
    public SetscException(SetscError error, Exception? innerException = null)
        : base(MessageOf(error), innerException) => Error = error;

    /// <summary>What kind of error it is.</summary>
    public SetscError Error { get; }

    private static string MessageOf(SetscError error) => error switch
    {
        SetscError.NotSupported => "Addresses of this type are not offered here.",
        SetscError.Failed => "The network refused an address of this type, or did not answer in time.",
        SetscError.InvalidRequest => "The dataplane says that the request is wrong.",
        SetscError.UnknownSocket => "The dataplane could not find the socket.",
        SetscError.NotIPv6 => "The socket is not an IPv6 socket.",
        SetscError.Forbidden => "This user or program may not have an address of this type, or may not use the dataplane.",
        SetscError.QuotaUsedUp => "This user has all the addresses, prefixes or requests per minute that it may have.",
        SetscError.NoRoom => "The dataplane has no room for another request.",
        SetscError.NoDataplane => "No dataplane runs here.",
        SetscError.ConversationLost => "The dataplane ended the conversation before it had answered.",
        SetscError.Misunderstood => "The dataplane's answer was not understood, or was not what had been asked for.",
        SetscError.NoAddress => "The socket has no typed address.",
        _ => "The system refused what is needed to ask the dataplane."
    };
}

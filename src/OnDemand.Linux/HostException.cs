namespace OnDemand.Linux;

/// <summary>Something about this host keeps the dataplane from its work. The message is one clear sentence for the user: what is wrong and
/// what to do.</summary>
public sealed class HostException : Exception
{
    /// <summary>Makes an exception.</summary>
    public HostException()
    {
    }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">The sentence.</param>
    public HostException(string message)
        : base(message)
    {
    }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">The sentence.</param>
    /// <param name="innerException">Where it came from.</param>
    public HostException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}

namespace OnDemand.Linux.Control;

/// <summary>No dataplane answers on the control socket. The message is one sentence for the user.</summary>
public sealed class NoAnswerException : Exception
{
    /// <summary>Makes an exception.</summary>
    public NoAnswerException()
    {
    }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">The sentence.</param>
    public NoAnswerException(string message)
        : base(message)
    {
    }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">The sentence.</param>
    /// <param name="innerException">Where it came from.</param>
    public NoAnswerException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}

namespace OnDemand.Cli;

/// <summary>The user asked for something that cannot be done; the message is one sentence that says what to do instead.</summary>
internal sealed class UsageException : Exception
{
    /// <summary>Without a sentence; for serializers.</summary>
    public UsageException()
    {
    }

    /// <summary>With a sentence.</summary>
    /// <param name="message">The sentence.</param>
    public UsageException(string message)
        : base(message)
    {
    }

    /// <summary>With a sentence and what it came from.</summary>
    /// <param name="message">The sentence.</param>
    /// <param name="innerException">What it came from.</param>
    public UsageException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}

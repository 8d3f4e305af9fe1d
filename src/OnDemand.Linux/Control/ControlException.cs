namespace OnDemand.Linux.Control;

/// <summary>A request to the dataplane failed. The message is one sentence for the user.</summary>
public sealed class ControlException : Exception
{
    /// <summary>Makes an exception without a problem.</summary>
    public ControlException()
        : this("The request failed.")
    {
    }

    /// <summary>Makes an exception without a problem.</summary>
    /// <param name="message">The sentence.</param>
    public ControlException(string message)
        : this(ProblemTypes.Internal, 500, message)
    {
    }

    /// <summary>Makes an exception without a problem.</summary>
    /// <param name="message">The sentence.</param>
    /// <param name="innerException">Where it came from.</param>
    public ControlException(string message, Exception innerException)
        : base(message, innerException) =>
        Problem = new ControlProblem(ProblemTypes.Internal, ProblemTypes.TitleOf(ProblemTypes.Internal), 500, message);

    /// <summary>Makes an exception of a problem.</summary>
    /// <param name="type">Its type, one of <see cref="ProblemTypes"/>.</param>
    /// <param name="status">The HTTP status.</param>
    /// <param name="detail">The sentence.</param>
    internal ControlException(string type, int status, string detail)
        : this(new ControlProblem(type, ProblemTypes.TitleOf(type), status, detail))
    {
    }

    /// <summary>Makes an exception of a problem.</summary>
    /// <param name="problem">The problem.</param>
    internal ControlException(ControlProblem problem)
        : base(problem.Detail ?? problem.Title + ".") => Problem = problem;

    /// <summary>What went wrong.</summary>
    internal ControlProblem Problem { get; }
}

using System.Globalization;

namespace OnDemand.Captures.Scenarios;

/// <summary>
/// A scenario that cannot be used. The message is one sentence: file, line and column, what was found, what was expected.
/// </summary>
public sealed class ScenarioException : Exception
{
    /// <summary>Says what is wrong and where.</summary>
    /// <param name="file">The file as the user named it; <c>-</c> for standard input.</param>
    /// <param name="line">The line, counted from 1.</param>
    /// <param name="column">The column in characters, counted from 1.</param>
    /// <param name="problem">What was found and what was expected, without a full stop at the end.</param>
    public ScenarioException(string file, int line, int column, string problem)
        : base(string.Create(CultureInfo.InvariantCulture, $"{file}:{line}:{column}: {problem}."))
    {
        File = file;
        Line = line;
        Column = column;
    }

    /// <summary>A problem without a place; for serializers and tests.</summary>
    public ScenarioException()
    {
    }

    /// <summary>A problem without a place; for serializers and tests.</summary>
    /// <param name="message">The sentence.</param>
    public ScenarioException(string message)
        : base(message)
    {
    }

    /// <summary>A problem without a place; for serializers and tests.</summary>
    /// <param name="message">The sentence.</param>
    /// <param name="innerException">What it came from.</param>
    public ScenarioException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>The file as the user named it.</summary>
    public string File { get; } = string.Empty;

    /// <summary>The line, counted from 1; 0 when the problem has no place.</summary>
    public int Line { get; }

    /// <summary>The column in characters, counted from 1; 0 when the problem has no place.</summary>
    public int Column { get; }
}

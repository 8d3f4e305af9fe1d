using System.Text;
using OnDemand.Captures.Replay;

namespace OnDemand.Cli;

/// <summary>Standard input, output and error of one run of the command, so that a test can hand in its own.</summary>
/// <param name="Input">Standard input.</param>
/// <param name="Output">Standard output: data only.</param>
/// <param name="Error">Standard error: sentences only.</param>
internal sealed record CommandStreams(Stream Input, Stream Output, TextWriter Error)
{
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false);

    /// <summary>Standard output as text in UTF-8; to be disposed, which leaves the stream open.</summary>
    /// <returns>The writer.</returns>
    public TextWriter OpenText() => new StreamWriter(Output, Utf8, bufferSize: 1 << 14, leaveOpen: true) { NewLine = "\n" };

    /// <summary>Opens a file to read, or standard input.</summary>
    /// <param name="path">The path; <c>-</c> for standard input.</param>
    /// <returns>The stream, to be disposed.</returns>
    /// <exception cref="UsageException">It is a directory.</exception>
    public Stream OpenInput(string path) => path == ReplayOptions.StandardStream ? Input
        : Directory.Exists(path) ? throw new UsageException($"'{path}' is a directory, expected a file.")
        : new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0, FileOptions.SequentialScan);

    /// <summary>Creates a file, or opens standard output.</summary>
    /// <param name="path">The path; <c>-</c> for standard output.</param>
    /// <returns>The stream, to be disposed.</returns>
    public Stream CreateOutput(string path) => path == ReplayOptions.StandardStream
        ? new SharedStream(Output)
        : new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0);

    /// <summary>Creates a text file in UTF-8, or opens standard output.</summary>
    /// <param name="path">The path; <c>-</c> for standard output.</param>
    /// <returns>The writer, to be disposed.</returns>
    public TextWriter CreateText(string path) =>
        path == ReplayOptions.StandardStream ? OpenText() : new StreamWriter(path, append: false, Utf8) { NewLine = "\n" };
}

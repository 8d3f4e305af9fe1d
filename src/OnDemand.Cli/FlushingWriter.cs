using System.Text;

namespace OnDemand.Cli;

/// <summary>Shows each line at once: a story is told as it happens, also into a pipe.</summary>
/// <param name="output">Where to.</param>
internal sealed class FlushingWriter(TextWriter output) : TextWriter
{
    /// <inheritdoc/>
    public override Encoding Encoding => output.Encoding;

    /// <inheritdoc/>
    public override void Write(char value) => output.Write(value);

    /// <inheritdoc/>
    public override void Write(string? value) => output.Write(value);

    /// <inheritdoc/>
    public override void WriteLine()
    {
        output.WriteLine();
        output.Flush();
    }

    /// <inheritdoc/>
    public override void WriteLine(string? value)
    {
        output.WriteLine(value);
        output.Flush();
    }
}

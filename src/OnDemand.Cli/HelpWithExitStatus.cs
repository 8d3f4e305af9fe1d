using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace OnDemand.Cli;

/// <summary>The usual help, with the exit statuses below.</summary>
/// <param name="help">The usual help.</param>
internal sealed class HelpWithExitStatus(HelpAction help) : SynchronousCommandLineAction
{
    /// <inheritdoc/>
    public override bool ClearsParseErrors => true;

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        int status = help.Invoke(parseResult);
        parseResult.InvocationConfiguration.Output.Write(ExitStatus.Help);
        return status;
    }
}

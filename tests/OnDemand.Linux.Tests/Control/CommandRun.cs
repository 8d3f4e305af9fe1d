using System.Text;
using OnDemand.Cli;

namespace OnDemand.Linux.Tests.Control;

/// <summary>One run of the command in this process.</summary>
internal sealed record CommandRun(int Status, string Output, string Error)
{
    public static Task<CommandRun> OnAsync(ControlScene scene, params string[] arguments) =>
        OfAsync([.. arguments, "--control", scene.Path]);

    public static Task<CommandRun> OfAsync(params string[] arguments) => OfAsync(string.Empty, arguments);

    public static async Task<CommandRun> OfAsync(string input, string[] arguments)
    {
        using var standardInput = new MemoryStream(Encoding.UTF8.GetBytes(input));
        using var output = new MemoryStream();
        await using var error = new StringWriter();
        int status = await CommandLine.RunAsync(arguments, new CommandStreams(standardInput, output, error), replay: null);
        return new CommandRun(status, Encoding.UTF8.GetString(output.ToArray()), error.ToString());
    }
}

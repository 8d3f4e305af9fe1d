using OnDemand.Cli;

using Stream input = Console.OpenStandardInput();
using Stream output = Console.OpenStandardOutput();
return await CommandLine.RunAsync(args, new CommandStreams(input, output, Console.Error), ReplayJob.RunAsync).ConfigureAwait(false);

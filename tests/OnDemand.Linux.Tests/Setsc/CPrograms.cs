using System.Diagnostics;
using System.Text;
using Xunit;

namespace OnDemand.Linux.Tests.Setsc;

/// <summary>libsetsc and the tests' C programs, built once into a temporary directory.</summary>
internal static class CPrograms
{
    private static readonly Lazy<string> Built = new(Build);

    /// <summary>The root of the repository.</summary>
    public static string Root { get; } = FindRoot();

    public static string Source => Path.Combine(Root, "src", "setsc");

    /// <summary>Where a program or the library stands; skips the test where there is no compiler.</summary>
    public static string Find(string name)
    {
        Assert.SkipWhen(!Exists("gcc") || !Exists("make"), "gcc and make are not installed.");
        return Path.Combine(Built.Value, name);
    }

    /// <summary>Compiles one file in the way given; what the compiler says is empty when nothing is wrong.</summary>
    public static string Compile(string compiler, string file, string text, params string[] arguments)
    {
        string directory = Directory.CreateTempSubdirectory("setsc-compile-").FullName;
        try
        {
            string path = Path.Combine(directory, file);
            File.WriteAllText(path, text);
            (int status, string output) = Run(compiler, [.. arguments, "-I" + Source, "-fsyntax-only", path]);
            return status == 0 ? output : $"{output}status {status}";
        }
        finally
        {
            Directory.Delete(directory, true);
        }
    }

    /// <summary>Runs a program to its end.</summary>
    public static (int Status, string Output) Run(string program, params IEnumerable<string> arguments)
    {
        using Process process = Start(program, null, arguments);
        process.StandardInput.Close();
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd() + error.GetAwaiter().GetResult();
        process.WaitForExit();
        return (process.ExitCode, output);
    }

    /// <summary>Starts a program with its standard streams in our hands.</summary>
    public static Process Start(string program, string? socket, params IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8
        };
        start.Environment["ONDEMAND_PROGRAMS"] = socket ?? "/nonexistent/programs.sock";
        return Process.Start(start)!;
    }

    public static bool Exists(string command) => (Environment.GetEnvironmentVariable("PATH") ?? "/usr/bin:/bin").Split(':')
        .Any(folder => File.Exists(Path.Combine(folder, command)));

    private static string Build()
    {
        string directory = Directory.CreateTempSubdirectory("setsc-").FullName;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(directory, true);
        Must("make", "-s", "-C", Source, "CC=gcc", "OUT=" + directory, "all", "examples");
        string programs = Path.Combine(Root, "tests", "OnDemand.Linux.Tests", "Setsc", "programs");
        string[] strict = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-g", "-O1", "-pthread", "-I" + Source];
        Must("gcc", [.. strict, Path.Combine(programs, "probe.c"), "-L" + directory, "-lsetsc", "-Wl,-rpath," + directory, "-o",
            Path.Combine(directory, "probe")]);

        // The same with the sanitizers, where the compiler has them: the library's parts are compiled in.
        string[] sanitizers = Sanitizers(directory);
        string[] parts = [.. new[] { "setsc.c", "answer.c", "json.c", "preferences.c" }.Select(part => Path.Combine(Source, part))];
        Must("gcc", [.. strict, "-fexceptions", .. sanitizers, Path.Combine(programs, "probe.c"), .. parts, "-o", Path.Combine(directory, "probe-checked")]);
        Must("gcc", [.. strict, .. sanitizers, Path.Combine(programs, "fuzz.c"), .. parts[1..3], "-o", Path.Combine(directory, "fuzz")]);
        return directory;
    }

    private static string[] Sanitizers(string directory)
    {
        string[] flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
        string empty = Path.Combine(directory, "empty.c");
        File.WriteAllText(empty, "int main(void) { return 0; }\n");
        string program = Path.Combine(directory, "empty");
        return Run("gcc", [.. flags, empty, "-o", program]).Status == 0 && Run(program).Status == 0 ? flags : [];
    }

    private static void Must(string program, params string[] arguments)
    {
        (int status, string output) = Run(program, arguments);
        if (status != 0)
        {
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} failed with {status}:\n{output}");
        }
    }

    private static string FindRoot()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "OnDemand.Dataplane.sln")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException("The repository's root is not above the tests.");
    }
}

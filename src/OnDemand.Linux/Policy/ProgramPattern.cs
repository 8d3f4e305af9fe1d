using System.Globalization;
using System.Text.RegularExpressions;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Policy;

/// <summary>
/// The program of a condition: an absolute path in which <c>*</c> stands for any characters but <c>/</c>, and <c>**</c> for any at all.
/// </summary>
/// <remarks>
/// A process's program is what <c>/proc/PID/exe</c> leads to: of a script, its interpreter. Its path is as the process's own mount namespace has
/// it, where whoever may make namespaces can put any file at any path; so the file must be the one that is at the path here, and a program
/// whose file has been deleted or replaced since it was started is not meant until it is started again.
/// </remarks>
internal sealed class ProgramPattern
{
    private readonly Regex _path;

    /// <summary>Makes a pattern.</summary>
    /// <param name="pattern">The path with its stars.</param>
    public ProgramPattern(string pattern)
    {
        string expression = Regex.Escape(pattern).Replace(@"\*\*", ".*", StringComparison.Ordinal).Replace(@"\*", "[^/]*", StringComparison.Ordinal);

        // Takes time in proportion to the path's length, whatever a user calls his programs.
        _path = new Regex($@"\A{expression}\z", RegexOptions.NonBacktracking | RegexOptions.Singleline | RegexOptions.CultureInvariant);
    }

    /// <summary>Whether a path is meant.</summary>
    /// <param name="path">The path.</param>
    /// <returns>Whether it is.</returns>
    public bool Matches(string path) => _path.IsMatch(path);

    /// <summary>Whether a process runs the very file that is at a path here.</summary>
    /// <param name="process">The process.</param>
    /// <param name="path">The path.</param>
    /// <returns>Whether it does; false also if either cannot be looked at.</returns>
    public static bool Runs(int process, string path)
    {
        string link = string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/exe");
        return FileIdentity.TryGet(link, out FileIdentity running) && FileIdentity.TryGet(path, out FileIdentity here) && running == here;
    }
}

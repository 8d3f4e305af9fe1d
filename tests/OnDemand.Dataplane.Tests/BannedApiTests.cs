using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using OnDemand.Dataplane.Tests.Wire.Support;
using Xunit;

namespace OnDemand.Dataplane.Tests;

/// <summary>Sans-IO is held by the compiler; these tests hold the guard.</summary>
public sealed class BannedApiTests
{
    private const string Project = "src/OnDemand.Dataplane";

    [Fact]
    public void The_analyzer_and_its_list_are_part_of_the_engines_project()
    {
        string project = File.ReadAllText(Path.Combine(Tools.Root, Project, "OnDemand.Dataplane.csproj"));
        string shared = File.ReadAllText(Path.Combine(Tools.Root, "Directory.Build.props"));

        Assert.Contains("Microsoft.CodeAnalysis.BannedApiAnalyzers", project, StringComparison.Ordinal);
        Assert.Contains("<AdditionalFiles Include=\"BannedSymbols.txt\" />", project, StringComparison.Ordinal);
        Assert.Contains("<TreatWarningsAsErrors>true</TreatWarningsAsErrors>", shared, StringComparison.Ordinal);
        Assert.DoesNotContain("RS0030", project + shared, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("P:System.DateTime.Now")]
    [InlineData("P:System.DateTime.UtcNow")]
    [InlineData("P:System.DateTimeOffset.UtcNow")]
    [InlineData("P:System.Environment.TickCount64")]
    [InlineData("T:System.TimeProvider")]
    [InlineData("T:System.Diagnostics.Stopwatch")]
    [InlineData("T:System.Threading.Timer")]
    [InlineData("T:System.Random")]
    [InlineData("T:System.Security.Cryptography.RandomNumberGenerator")]
    [InlineData("M:System.Guid.NewGuid")]
    [InlineData("T:System.HashCode")]
    [InlineData("T:System.Threading.Thread")]
    [InlineData("T:System.Threading.Tasks.Task")]
    [InlineData("T:System.Threading.Monitor")]
    [InlineData("T:System.Threading.Interlocked")]
    [InlineData("N:System.IO")]
    [InlineData("N:System.Net.Sockets")]
    [InlineData("T:System.Console")]
    public void The_list_bans_clocks_randomness_threads_files_and_sockets_and_says_why(string symbol)
    {
        string[] lines = File.ReadAllLines(Path.Combine(Tools.Root, Project, "BannedSymbols.txt"));

        string line = Assert.Single(lines, line => line.StartsWith(symbol + ';', StringComparison.Ordinal));
        Assert.True(line.Length > symbol.Length + 10);
    }

    [Fact]
    public void No_source_file_of_the_engine_switches_the_guard_off() =>
        Assert.DoesNotContain(
            Directory.EnumerateFiles(Path.Combine(Tools.Root, Project), "*.cs", SearchOption.AllDirectories)
                .Where(file => !file.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal)),
            file => File.ReadAllText(file) is string text
                && (text.Contains("#pragma warning disable", StringComparison.Ordinal) || text.Contains("SuppressMessage", StringComparison.Ordinal)));

    [Fact]
    public void The_compiled_engine_refers_to_none_of_them()
    {
        HashSet<string> references = MemberReferences();

        // The scan sees what is there …
        Assert.Contains("System.Security.Cryptography.SHA256.HashData", references);

        // … and none of what may not be.
        string[] types =
        [
            "System.TimeProvider", "System.Diagnostics.Stopwatch", "System.Threading.Timer", "System.Random", "System.HashCode",
            "System.Security.Cryptography.RandomNumberGenerator", "System.Threading.Thread", "System.Threading.ThreadPool",
            "System.Threading.Monitor", "System.Threading.Lock", "System.Threading.Interlocked", "System.Console", "System.Environment",
            "System.Diagnostics.Debug", "System.Diagnostics.Trace",
        ];
        string[] spaces = ["System.IO.", "System.Net.Sockets.", "System.Threading.Tasks."];
        string[] members = ["System.DateTime.get_Now", "System.DateTime.get_UtcNow", "System.DateTimeOffset.get_UtcNow", "System.Guid.NewGuid"];
        Assert.DoesNotContain(references, reference =>
            types.Any(type => reference.StartsWith(type + '.', StringComparison.Ordinal))
            || spaces.Any(space => reference.StartsWith(space, StringComparison.Ordinal)) || members.Contains(reference));
    }

    private static HashSet<string> MemberReferences()
    {
        using FileStream stream = File.OpenRead(typeof(DataplaneEngine).Assembly.Location);
        using var file = new PEReader(stream);
        MetadataReader metadata = file.GetMetadataReader();
        HashSet<string> references = [];
        foreach (MemberReferenceHandle handle in metadata.MemberReferences)
        {
            MemberReference member = metadata.GetMemberReference(handle);
            if (member.Parent.Kind == HandleKind.TypeReference)
            {
                TypeReference type = metadata.GetTypeReference((TypeReferenceHandle)member.Parent);
                references.Add($"{metadata.GetString(type.Namespace)}.{metadata.GetString(type.Name)}.{metadata.GetString(member.Name)}");
            }
        }

        return references;
    }
}

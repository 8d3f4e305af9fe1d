using OnDemand.Linux.Policy;
using Xunit;

namespace OnDemand.Linux.Tests.Policy;

public sealed class ProgramPatternTests
{
    [Theory]
    [InlineData("/usr/bin/ssh", "/usr/bin/ssh", true)]
    [InlineData("/usr/bin/ssh", "/usr/bin/sshd", false)]
    [InlineData("/usr/bin/ssh", "/tmp/usr/bin/ssh", false)]
    [InlineData("/usr/bin/ssh", "/usr/bin/ssh (deleted)", false)]
    [InlineData("/usr/bin/ssh", "/usr/bin/ssh\n", false)]
    [InlineData("/usr/bin/s*", "/usr/bin/s", true)]
    [InlineData("/usr/bin/s*", "/usr/bin/sshd", true)]
    [InlineData("/usr/bin/s*", "/usr/bin/s/x", false)]
    [InlineData("/opt/*/bin/sync", "/opt/one/bin/sync", true)]
    [InlineData("/opt/*/bin/sync", "/opt/one/two/bin/sync", false)]
    [InlineData("/usr/lib/firefox/**", "/usr/lib/firefox/a/b/c", true)]
    [InlineData("/usr/lib/firefox/**", "/usr/lib/firefox-bin", false)]
    [InlineData("/a/**/z", "/a/b/c/z", true)]
    [InlineData("/a.b+(c)", "/a.b+(c)", true)]
    [InlineData("/a.b", "/axb", false)]
    [InlineData("/a/*", "/a/new\nline", true)]
    public void A_star_stands_for_anything_but_a_slash_and_two_for_anything(string pattern, string path, bool matches) =>
        Assert.Equal(matches, new ProgramPattern(pattern).Matches(path));

    [Fact]
    public void Many_stars_and_a_long_path_take_no_longer()
    {
        var pattern = new ProgramPattern("/" + string.Concat(Enumerable.Repeat("a*", 200)) + "b");

        Assert.False(pattern.Matches("/" + new string('a', 4000)));
        Assert.True(pattern.Matches("/" + new string('a', 4000) + "b"));
    }

    [Fact]
    public void A_process_runs_the_file_that_is_at_its_path_and_no_other()
    {
        Assert.True(ProgramPattern.Runs(Environment.ProcessId, Environment.ProcessPath!));
        Assert.False(ProgramPattern.Runs(Environment.ProcessId, "/bin/sh"));
        Assert.False(ProgramPattern.Runs(Environment.ProcessId, "/nonexistent"));
        Assert.False(ProgramPattern.Runs(int.MaxValue, Environment.ProcessPath!));
    }
}

using System.Runtime.Versioning;
using System.Text.Json;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Audit;
using Xunit;

namespace OnDemand.Linux.Tests.Audit;

[SupportedOSPlatform("linux")]
public sealed class AuditLogTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("ondemand-audit-").FullName;

    private string FileName => Path.Combine(_directory, "deep", "audit.jsonl");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void An_entry_is_a_line_of_json_that_no_program_can_break_by_its_name()
    {
        using (var log = new AuditLog(new AuditSettings(FileName, 1 << 20, 1), Fail))
        {
            log.Add(Entry(7) with { Program = "/tmp/a\nb\e[31m\"}", Cookie = "12", Type = "fixed", Address = IpAddress.Parse("2001:db8::7") });
            log.Add(Entry(8));
        }

        string[] lines = File.ReadAllLines(FileName);
        Assert.Equal(2, lines.Length);
        JsonElement first = JsonDocument.Parse(lines[0]).RootElement;
        Assert.Equal("/tmp/a\nb\e[31m\"}", first.GetProperty("program").GetString());
        Assert.DoesNotContain(lines[0], char.IsControl);
        Assert.Equal(("1700000007.000000000", 7, "12", "fixed", "2001:db8::7"), (
            first.GetProperty("time").GetString(), first.GetProperty("pid").GetInt32(), first.GetProperty("cookie").GetString(),
            first.GetProperty("type").GetString(), first.GetProperty("address").GetString()));
        Assert.Equal(["time", "uid", "pid", "result"], JsonDocument.Parse(lines[1]).RootElement.EnumerateObject().Select(one => one.Name));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(FileName));
    }

    [Fact]
    public void It_never_grows_beyond_its_size_and_keeps_the_latest()
    {
        const int entries = 2000;
        using (var log = new AuditLog(new AuditSettings(FileName, 4096, 3), Fail))
        {
            for (int i = 0; i < entries; i++)
            {
                log.Add(Entry(i));
            }
        }

        string[] files = [.. Directory.GetFiles(Path.GetDirectoryName(FileName)!).Order(StringComparer.Ordinal)];
        Assert.Equal([FileName, FileName + ".1", FileName + ".2", FileName + ".3"], files);
        Assert.All(files, file => Assert.InRange(new FileInfo(file).Length, 1, 4096));
        int[] kept = [.. files.Reverse().SelectMany(File.ReadAllLines).Select(line => JsonDocument.Parse(line).RootElement.GetProperty("pid").GetInt32())];
        Assert.Equal(kept.Order(), kept);
        Assert.Equal(Enumerable.Range(entries - kept.Length, kept.Length), kept.Order());
    }

    [Fact]
    public void A_second_run_goes_on_where_the_first_one_stopped()
    {
        for (int run = 0; run < 2; run++)
        {
            using var log = new AuditLog(new AuditSettings(FileName, 1 << 20, 0), Fail);
            log.Add(Entry(run));
        }

        Assert.Equal(2, File.ReadAllLines(FileName).Length);
    }

    [Fact]
    public void What_is_lost_is_counted_where_it_is_missing_and_said_once()
    {
        List<string> said = [];
        using (var log = new AuditLog(new AuditSettings(FileName, 4096, 1), said.Add))
        {
            log.Add(Entry(1));
            Assert.True(SpinWait.SpinUntil(() => new FileInfo(FileName).Length > 0, TimeSpan.FromSeconds(30)));
            Directory.CreateDirectory(FileName + ".1");    // nothing can be moved there
            File.WriteAllText(FileName + ".1/x", "");
            for (int i = 0; i < 3 * 4096; i++)
            {
                log.Add(Entry(2));
            }

            Assert.True(SpinWait.SpinUntil(() => said.Count > 0, TimeSpan.FromSeconds(30)));
            Directory.Delete(FileName + ".1", recursive: true);
            log.Add(Entry(3));
            Assert.True(SpinWait.SpinUntil(
                () =>
                {
                    log.Add(Entry(3));
                    return ReadAll().Contains("\"pid\":3,", StringComparison.Ordinal);
                },
                TimeSpan.FromSeconds(30)));
        }

        Assert.Contains("cannot be written any more", Assert.Single(said), StringComparison.Ordinal);
        long lost = ReadAll().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)
            .Where(line => line.TryGetProperty("lost", out _)).Sum(line => line.GetProperty("lost").GetInt64());
        Assert.True(lost > 0);
    }

    [Fact]
    public void A_file_that_cannot_be_written_is_named_at_the_start()
    {
        Directory.CreateDirectory(FileName);

        HostException refused = Assert.Throws<HostException>(() => new AuditLog(new AuditSettings(FileName, 4096, 1), Fail));

        Assert.Contains(FileName, refused.Message, StringComparison.Ordinal);
    }

    // While the files are renamed, one of them may not be there.
    private string ReadAll()
    {
        try
        {
            return string.Concat(new[] { FileName + ".1", FileName }.Where(File.Exists).Select(File.ReadAllText));
        }
        catch (FileNotFoundException)
        {
            return string.Empty;
        }
    }

    private static AuditEntry Entry(int pid) => new()
    {
        Time = Timestamp.FromSeconds(1_700_000_000 + pid),
        Uid = 5,
        Pid = pid,
        Result = "granted",
    };

    private static void Fail(string sentence) => Assert.Fail(sentence);
}

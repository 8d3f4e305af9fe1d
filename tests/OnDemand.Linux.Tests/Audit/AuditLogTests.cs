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
        const int size = 1 << 19;
        const int more = AuditLog.Room + 500;
        List<string> said = [];
        using var resumes = new ManualResetEventSlim();
        Directory.CreateDirectory(FileName + ".1/x");    // nothing can be moved there
        File.WriteAllText(FileName, new string('\n', size - 10));
        using (var log = new AuditLog(new AuditSettings(FileName, size, 1), Say))
        {
            log.Add(Entry(1));
            Assert.True(SpinWait.SpinUntil(() => said.Count > 0, TimeSpan.FromSeconds(30)));

            // While its thread complains, more come than there is room for.
            for (int i = 0; i < more; i++)
            {
                log.Add(Entry(2));
            }

            Directory.Delete(FileName + ".1", recursive: true);
            resumes.Set();
        }

        JsonElement[] lines = [.. File.ReadLines(FileName).Select(line => JsonDocument.Parse(line).RootElement)];
        long lost = lines.Where(line => line.TryGetProperty("lost", out _)).Sum(line => line.GetProperty("lost").GetInt64());
        Assert.Contains("cannot be written any more", Assert.Single(said), StringComparison.Ordinal);
        Assert.Equal(1 + 500, lost);
        Assert.Equal(AuditLog.Room, lines.Count(line => line.TryGetProperty("pid", out _)));

        void Say(string sentence)
        {
            said.Add(sentence);
            resumes.Wait();
        }
    }

    [Fact]
    public void A_line_that_a_power_cut_left_unfinished_does_not_spoil_the_next_one()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(FileName)!);
        File.WriteAllText(FileName, "{\"time\":\"17000");
        for (int run = 0; run < 2; run++)
        {
            using var log = new AuditLog(new AuditSettings(FileName, 1 << 20, 0), Fail);
            log.Add(Entry(run));
        }

        string[] lines = File.ReadAllLines(FileName);
        Assert.Equal(3, lines.Length);
        Assert.Equal([0, 1], lines[1..].Select(line => JsonDocument.Parse(line).RootElement.GetProperty("pid").GetInt32()));
    }

    [Fact]
    public void What_a_full_disk_took_of_a_line_is_taken_back()
    {
        Assert.SkipUnless(Linux.Lab.LabPrivileges.IsRoot, "A small file system takes root.");
        string small = Path.Combine(_directory, "small");
        Directory.CreateDirectory(small);
        _ = Netlink.NetworkNamespace.ShellHere($"mount -t tmpfs -o size=16k tmpfs '{small}'");
        try
        {
            string file = Path.Combine(small, "audit.jsonl");
            string filler = Path.Combine(small, "filler");
            File.WriteAllBytes(filler, new byte[8192]);
            List<string> said = [];
            using (var log = new AuditLog(new AuditSettings(file, 1 << 20, 0), said.Add))
            {
                for (int i = 0; said.Count == 0 && i < AuditLog.Room; i++)
                {
                    long before = new FileInfo(file).Length;
                    log.Add(Entry(i));
                    Assert.True(SpinWait.SpinUntil(() => said.Count > 0 || new FileInfo(file).Length > before, TimeSpan.FromSeconds(30)));
                }

                File.Delete(filler);
                log.Add(Entry(99_999));
            }

            JsonElement[] lines = [.. File.ReadLines(file).Select(line => JsonDocument.Parse(line).RootElement)];
            Assert.Contains("cannot be written any more", Assert.Single(said), StringComparison.Ordinal);
            Assert.Contains(lines, line => line.TryGetProperty("lost", out _));
            Assert.Equal(99_999, lines[^1].GetProperty("pid").GetInt32());
        }
        finally
        {
            _ = Netlink.NetworkNamespace.ShellHere($"umount '{small}'");
        }
    }

    [Fact]
    public void A_file_that_cannot_be_written_is_named_at_the_start()
    {
        Directory.CreateDirectory(FileName);

        HostException refused = Assert.Throws<HostException>(() => new AuditLog(new AuditSettings(FileName, 4096, 1), Fail));

        Assert.Contains(FileName, refused.Message, StringComparison.Ordinal);
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

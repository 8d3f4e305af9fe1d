using System.Globalization;
using OnDemand.Linux.Sockets;
using Xunit;

namespace OnDemand.Linux.Tests.Sockets;

public sealed class CgroupPathsTests
{
    [Theory]
    [InlineData("36 25 0:30 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw", "/sys/fs/cgroup")]
    [InlineData("36 25 0:30 / /mnt/a\\040b\\134c rw - cgroup2 none rw", "/mnt/a b\\c")]
    [InlineData("36 25 0:30 / /sys/fs/cgroup/cpu rw shared:1 master:2 - cgroup cgroup rw,cpu", null)]
    [InlineData("36 25 0:30 / /cgroup2 rw - tmpfs cgroup2 rw", null)]
    [InlineData("36 -", null)]
    [InlineData("", null)]
    public void The_mount_of_version_2_is_found_among_others(string line, string? expected) =>
        Assert.Equal(expected, CgroupPaths.FindMount(["25 1 8:1 / / rw - ext4 /dev/sda1 rw", line]));

    [Fact]
    public void A_socket_leads_to_the_cgroup_of_the_program_that_made_it()
    {
        string root = Mount();
        string directory = MakeCgroup(root);
        try
        {
            SocketDiagTests.InScene((scene, diag) =>
            {
                scene.ForeignProgram(4242, before: $"echo $$ > {directory}/cgroup.procs");
                SocketRecord record = SocketOwnersTests.Foreign(diag);
                CgroupPaths paths = new(root);

                Assert.Equal(CgroupPaths.IdOf(directory), record.CgroupId);
                Assert.Equal(directory[root.Length..], paths.Find(record.CgroupId));
                Assert.Equal(directory[root.Length..], paths.Find(record.CgroupId));
                Assert.Equal(1, paths.Searches);
            });
        }
        finally
        {
            // The kernel lets go of a process that has ended a moment later.
            Assert.True(SpinWait.SpinUntil(() => TryRemove(directory), TimeSpan.FromSeconds(30)));
        }
    }

    [Fact]
    public void A_cgroup_that_is_gone_or_moved_is_not_found_where_it_was()
    {
        string root = Mount();
        string directory = MakeCgroup(root);
        CgroupPaths paths = new(root);
        ulong id = CgroupPaths.IdOf(directory);
        Assert.Equal(directory[root.Length..], paths.Find(id));
        Directory.Delete(directory);
        Assert.Null(paths.Find(id));
        Directory.CreateDirectory(directory);
        try
        {
            Assert.NotEqual(id, CgroupPaths.IdOf(directory));
            Assert.Null(paths.Find(id));
        }
        finally
        {
            Directory.Delete(directory);
        }
    }

    [Fact]
    public void A_search_ends_at_its_limit_and_is_nearest_to_the_root_first()
    {
        string root = Directory.CreateTempSubdirectory("od-cgroups-").FullName;
        try
        {
            string deep = Directory.CreateDirectory(Path.Combine(root, "a", "b", "c")).FullName;
            string near = Path.Combine(root, "a");
            Assert.Equal("/a/b/c", new CgroupPaths(root).Find(CgroupPaths.IdOf(deep)));
            Assert.Equal("/", new CgroupPaths(root).Find(CgroupPaths.IdOf(root)));
            CgroupPaths few = new(root, limit: 2);
            Assert.Equal("/a", few.Find(CgroupPaths.IdOf(near)));
            Assert.Null(few.Find(CgroupPaths.IdOf(deep)));
            Assert.Null(few.Find(0));
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    private static string Mount()
    {
        string? root = CgroupPaths.FindMount(File.ReadLines("/proc/self/mountinfo"));
        Assert.SkipWhen(root is null, "No cgroup hierarchy of version 2 is mounted here.");
        return root;
    }

    private static string MakeCgroup(string root)
    {
        string directory = $"{root}/od-test-{Environment.ProcessId.ToString(CultureInfo.InvariantCulture)}-{Guid.NewGuid():N}";
        try
        {
            return Directory.CreateDirectory(directory).FullName;
        }
        catch (Exception exception) when (exception is UnauthorizedAccessException or IOException)
        {
            Assert.Skip($"Making a cgroup needs root: {exception.Message}");
            throw;
        }
    }

    private static bool TryRemove(string directory)
    {
        try
        {
            Directory.Delete(directory);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }
}

using OnDemand.Linux.Run;
using Xunit;

namespace OnDemand.Linux.Tests.Run;

public sealed class InstanceLockTests
{
    [Fact]
    public void A_second_instance_is_refused_and_told_who_the_first_is()
    {
        string directory = Directory.CreateTempSubdirectory("ondemand-lock").FullName;
        string socket = Path.Combine(directory, "deeper", "od0.sock");
        try
        {
            using (InstanceLock.Take(socket, "od0"))
            {
                HostException problem = Assert.Throws<HostException>(() => InstanceLock.Take(socket, "od0"));
                Assert.StartsWith(
                    $"Another ondemand (process {Environment.ProcessId}) runs already for od0 with the control socket {socket}",
                    problem.Message, StringComparison.Ordinal);
            }

            InstanceLock.Take(socket, "od0").Dispose();
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Theory]
    [InlineData("od.1", "od.2")]
    [InlineData("od.sock", "od")]
    [InlineData("od.lock", "od.sock")]
    public void Control_sockets_whose_names_differ_somehow_are_locked_and_noted_apart(string one, string other)
    {
        string[] files =
        [
            one, other, InstanceLock.PathFor(one), InstanceLock.PathFor(other), InstanceLock.NotesFor(one), InstanceLock.NotesFor(other),
        ];

        Assert.Equal(files, files.Distinct());
    }
}

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
}

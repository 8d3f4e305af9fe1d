using OnDemand.Linux.Run;
using Xunit;

namespace OnDemand.Linux.Tests.Run;

public sealed class WakeUpTests
{
    private const int Attempts = 200;

    [Fact]
    public void Who_rings_too_late_writes_into_nobody_elses_file()
    {
        string path = Path.GetTempFileName();
        try
        {
            for (int attempt = 0; attempt < Attempts; attempt++)
            {
                var bell = new WakeUp();
                int number = bell.Descriptor;
                bell.Dispose();
                using FileStream next = File.Open(path, FileMode.Open, FileAccess.ReadWrite);    // gets the lowest free number
                if ((int)next.SafeFileHandle.DangerousGetHandle() != number)
                {
                    continue;                        // another test was faster
                }

                bell.Ring();

                Assert.Equal(0, next.Length);
                return;
            }

            Assert.Fail("No file got the number of a bell that is gone.");
        }
        finally
        {
            File.Delete(path);
        }
    }
}

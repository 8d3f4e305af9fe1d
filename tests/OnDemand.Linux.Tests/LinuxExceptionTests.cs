using OnDemand.Linux.Interop;
using Xunit;

namespace OnDemand.Linux.Tests;

public sealed class LinuxExceptionTests
{
    [Fact]
    public void It_names_the_call_and_the_error_in_words()
    {
        var exception = new LinuxException("ioctl TUNSETIFF od0", Errno.Ebusy);

        Assert.Equal("ioctl TUNSETIFF od0: Device or resource busy", exception.Message);
        Assert.Equal(Errno.Ebusy, exception.Error);
    }
}

using System.Globalization;

namespace OnDemand.Dataplane.Tests.Support;

/// <summary>How much is tried: <c>ONDEMAND_TEST_SCALE</c> multiplies the number of random cases, for long runs.</summary>
internal static class TestScale
{
    public static int Times(int count) =>
        int.TryParse(Environment.GetEnvironmentVariable("ONDEMAND_TEST_SCALE"), NumberStyles.None, CultureInfo.InvariantCulture, out int scale) && scale > 0
            ? count * scale
            : count;
}

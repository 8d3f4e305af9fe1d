using System.Globalization;
using FsCheck;

namespace OnDemand.Dataplane.Tests.Support;

/// <summary>How much is tried: <c>ONDEMAND_TEST_SCALE</c> multiplies the number of random cases, for long runs.</summary>
internal static class TestScale
{
    public static int Times(int count) =>
        int.TryParse(Environment.GetEnvironmentVariable("ONDEMAND_TEST_SCALE"), NumberStyles.None, CultureInfo.InvariantCulture, out int scale) && scale > 0
            ? count * scale
            : count;

    /// <summary>The same cases in every default run, so that a change is judged by itself; other cases every time in a long one.</summary>
    public static Config Seeded(Config config) => Times(1) == 1 ? config.WithReplay(8653, 17) : config;
}

using System.Globalization;
using FsCheck;

namespace OnDemand.Dataplane.Tests.Support;

/// <summary>
/// How much is tried: <c>ONDEMAND_TEST_SCALE</c> multiplies the number of random cases, for long runs. A random walk that fails names three
/// numbers to replay its last step directly; <c>ONDEMAND_TEST_SEED=1234,5679,1</c> begins with that one.
/// </summary>
internal static class TestScale
{
    public static int Times(int count) =>
        int.TryParse(Environment.GetEnvironmentVariable("ONDEMAND_TEST_SCALE"), NumberStyles.None, CultureInfo.InvariantCulture,
            out int scale) && scale > 0
            ? count * scale
            : count;

    /// <summary>Whether this is a long run.</summary>
    public static bool IsLong => Times(1) > 1;

    /// <summary>Other cases every time, unless a seed is given.</summary>
    public static Config Fresh(Config config) => Seed is (ulong first, ulong second, int size) ? config.WithReplay(first, second, size) : config;

    /// <summary>Whether a seed is given.</summary>
    public static bool HasSeed => Seed is not null;

    private static (ulong First, ulong Second, int Size)? Seed
    {
        get
        {
            string[] seed = (Environment.GetEnvironmentVariable("ONDEMAND_TEST_SEED") ?? string.Empty).Split(',');
            return seed.Length == 3 && ulong.TryParse(seed[0], NumberStyles.None, CultureInfo.InvariantCulture, out ulong first)
                && ulong.TryParse(seed[1], NumberStyles.None, CultureInfo.InvariantCulture, out ulong second)
                && int.TryParse(seed[2], NumberStyles.None, CultureInfo.InvariantCulture, out int size)
                ? (first, second, size) : null;
        }
    }
}

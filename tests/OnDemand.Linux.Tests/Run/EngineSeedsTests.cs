using System.Text;
using OnDemand.Dataplane;
using OnDemand.Linux.Config;
using OnDemand.Linux.Run;
using Xunit;

namespace OnDemand.Linux.Tests.Run;

public sealed class EngineSeedsTests
{
    [Fact]
    public void Without_a_seed_every_start_is_different_but_the_secret_of_fixed_addresses_stays()
    {
        string directory = Directory.CreateTempSubdirectory("ondemand-state").FullName;
        try
        {
            HostConfig config = Parse($"internal: [fd00:a::2]\nhost: {{state: {directory}/new}}");

            DataplaneOptions first = EngineSeeds.BuildOptions(config);
            DataplaneOptions second = EngineSeeds.BuildOptions(config);

            Assert.NotEqual(first.AddressSeed, second.AddressSeed);
            Assert.NotEqual(first.HashSeed, second.HashSeed);
            Assert.Equal(32, first.IdentifierSecret.Length);
            Assert.Equal(first.IdentifierSecret.ToArray(), second.IdentifierSecret.ToArray());
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, ModeOf($"{directory}/new/secret"));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public void With_a_seed_nothing_is_random_and_nothing_is_kept()
    {
        HostConfig config = Parse("internal: [fd00:a::2]\nseed: 9\nhost: {state: /nowhere/at/all}");

        Assert.Equal(9UL, EngineSeeds.BuildOptions(config).AddressSeed);
        Assert.Equal(EngineSeeds.BuildOptions(config).HashSeed, EngineSeeds.BuildOptions(config).HashSeed);
    }

    [Fact]
    public void A_secret_that_was_cut_short_is_not_silently_replaced()
    {
        string directory = Directory.CreateTempSubdirectory("ondemand-state").FullName;
        try
        {
            File.WriteAllBytes($"{directory}/secret", new byte[5]);

            HostException problem = Assert.Throws<HostException>(
                () => EngineSeeds.BuildOptions(Parse($"internal: [fd00:a::2]\nhost: {{state: {directory}}}")));

            Assert.Contains("has 5 octets instead of 32", problem.Message, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static HostConfig Parse(string text) => HostConfigReader.Parse("host.yaml", Encoding.UTF8.GetBytes(text));

    private static UnixFileMode ModeOf(string path) => OperatingSystem.IsWindows() ? default : File.GetUnixFileMode(path);
}

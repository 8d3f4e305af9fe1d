using System.Security.Cryptography;
using OnDemand.Dataplane;
using OnDemand.Linux.Config;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Run;

/// <summary>
/// The engine's options on a live host. Where the configuration names no seed, hashes and opaque addresses differ from start to start; the
/// secret behind Fixed addresses (RFC 7217) is made once and kept in the state directory, so that those stay.
/// </summary>
internal static class EngineSeeds
{
    private const int SecretLength = 32;
    private const int MaximumEvents = 1 << 14;       // more than a batch, a slice of expiry and a slice of the sweep can give
    private const int MaximumReplies = 1 << 10;
    private const int MaximumSocketRequests = 16_000;   // as many as there may be
    private const uint OnlyOwner = 0x180;            // 0600

    /// <summary>Makes the options.</summary>
    /// <param name="config">The configuration.</param>
    /// <returns>The options.</returns>
    /// <exception cref="HostException">The secret can be neither read nor kept.</exception>
    public static DataplaneOptions BuildOptions(HostConfig config)
    {
        DataplaneOptions options = config.Scenario.BuildOptions() with
        {
            MaximumEvents = MaximumEvents,
            MaximumReplies = MaximumReplies,
            MaximumSocketRequests = MaximumSocketRequests,
        };
        if (config.HasSeed)
        {
            return options;
        }

        return options with
        {
            AddressSeed = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))),
            HashSeed = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))),
            IdentifierSecret = options.IdentifierSecret.IsEmpty ? KeepSecret(config.Host.State) : options.IdentifierSecret,
        };
    }

    private static byte[] KeepSecret(string directory)
    {
        string path = Path.Combine(directory, "secret");
        try
        {
            if (File.Exists(path))
            {
                byte[] kept = File.ReadAllBytes(path);
                return kept.Length == SecretLength ? kept : throw new HostException(
                    $"{path} has {kept.Length} octets instead of {SecretLength}: put the right file back, or remove it and get other Fixed "
                    + "addresses.");
            }

            Directory.CreateDirectory(directory);
            byte[] secret = RandomNumberGenerator.GetBytes(SecretLength);
            string draft = path + ".new";
            Write(draft, secret);
            File.Move(draft, path, overwrite: true);
            return secret;
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            throw new HostException(
                $"The secret behind Fixed addresses cannot be kept in {directory}: choose another directory under 'host: state', or name a "
                + "'seed'.",
                problem);
        }
    }

    private static void Write(string path, byte[] secret)
    {
        using FileDescriptor file = Libc.Open(path, Libc.ReadWrite | Libc.Create | Libc.Truncate | Libc.CloseOnExec, OnlyOwner);
        if (file.IsInvalid || Libc.Write(file.Number, secret, secret.Length) != secret.Length || Libc.Synchronize(file.Number) < 0)
        {
            throw new LinuxException($"write {path}", Libc.LastError);
        }
    }
}

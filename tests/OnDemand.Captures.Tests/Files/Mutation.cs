namespace OnDemand.Captures.Tests.Files;

/// <summary>Makes damaged files from sound ones.</summary>
internal static class Mutation
{
    private static readonly byte[] Interesting = [0, 1, 4, 0x0a, 0x0d, 0x7f, 0x80, 0xff];

    public static byte[] Of(byte[] file, Random random)
    {
        List<byte> octets = [.. file];
        int changes = random.Next(0, 4);
        for (int i = 0; i < changes && octets.Count > 0; i++)
        {
            int at = random.Next(octets.Count);
            switch (random.Next(5))
            {
                case 0:
                    octets[at] = Interesting[random.Next(Interesting.Length)];
                    break;
                case 1:
                    octets[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 2:
                    octets.RemoveRange(at, Math.Min(random.Next(1, 9), octets.Count - at));
                    break;
                case 3:
                    octets.InsertRange(at, file.AsSpan(random.Next(file.Length / 2), random.Next(1, 40)).ToArray());
                    break;
                default:
                    octets.RemoveRange(at, octets.Count - at);
                    break;
            }
        }

        return [.. octets];
    }
}

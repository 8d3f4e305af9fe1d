using System.Buffers.Binary;

namespace OnDemand.Dataplane.Tests.Fuzz;

/// <summary>Spoils frames of a corpus, the same way for the same seed; allocates nothing per frame.</summary>
internal sealed class FrameMutator(IReadOnlyList<FrameSeed> corpus, int seed)
{
    private static readonly byte[] Interesting = [0, 1, 4, 6, 17, 41, 43, 44, 50, 51, 58, 59, 60, 127, 128, 129, 132, 135, 136, 139, 140,
        254, 255];

    private readonly Random _random = new(seed);
    private readonly byte[] _frame = new byte[1 << 16];

    public ReadOnlySpan<byte> Frame => _frame;

    /// <summary>Writes the next frame to <see cref="Frame"/> and gives its length.</summary>
    public int Next(int longest, out bool inbound, out FrameInfo info)
    {
        FrameSeed start = corpus[_random.Next(corpus.Count)];
        int length = Math.Min(start.Frame.Length, longest);
        start.Frame.AsSpan(0, length).CopyTo(_frame);
        inbound = start.Inbound ^ (_random.Next(32) == 0);
        int network = start.NetworkOffset;
        int mutations = _random.Next(5);
        for (int index = 0; index < mutations && length > 0; index++)
        {
            Mutate(ref length, longest, network);
        }

        network = _random.Next(64) == 0 ? _random.Next(-2, length + 3) : network;
        info = new FrameInfo(network, _random.Next(16) == 0);
        return length;
    }

    private void Mutate(ref int length, int longest, int network)
    {
        int place = _random.Next(length);
        int header = Math.Min(Math.Max(network, 0) + _random.Next(80), length - 1);
        switch (_random.Next(10))
        {
            case 0:
                _frame[place] ^= (byte)(1 << _random.Next(8));
                break;
            case 1 or 2:
                _frame[header] = Interesting[_random.Next(Interesting.Length)];
                break;
            case 3:
                _frame[header] = (byte)_random.Next(256);
                break;
            case 4:
                length = place;
                break;
            case 5:
                int more = Math.Min(_random.Next(64), longest - length);
                _random.NextBytes(_frame.AsSpan(length, more));
                length += more;
                break;
            case 6 when network >= 0 && length >= network + 40:
                BinaryPrimitives.WriteUInt16BigEndian(_frame.AsSpan(network + 4), (ushort)_random.Next(length));
                break;
            case 7 when network >= 0 && length > network + 40:
                _frame[network + 6] = Interesting[_random.Next(Interesting.Length)];
                break;
            case 8:
                FrameSeed other = corpus[_random.Next(corpus.Count)];
                int piece = Math.Min(Math.Min(other.Frame.Length, length - place), 48);
                other.Frame.AsSpan(0, piece).CopyTo(_frame.AsSpan(place));
                break;
            default:
                if (length >= network + 60 && network >= 0)
                {
                    _frame[network + 40 + _random.Next(4)] = (byte)_random.Next(8);   // other ports, other flows
                }

                break;
        }
    }
}

using BenchmarkDotNet.Attributes;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Benchmarks;

/// <summary>The full parse, for the common packet and for one with three extension headers; and checksums. The set-up proves the results.</summary>
[MemoryDiagnoser]
public class WireBenchmarks
{
    private readonly byte[] _plain = new byte[FlowLoad.FrameLength];
    private readonly byte[] _extended = new byte[FlowLoad.FrameLength + 24];
    private readonly byte[] _octets = new byte[1460];
    private ushort _checksum = 0x1234;

    [GlobalSetup]
    public void MakeFrames()
    {
        FlowLoad.WriteSyn(_plain, 1);
        _plain.AsSpan(0, 54).CopyTo(_extended);
        _plain.AsSpan(54).CopyTo(_extended.AsSpan(54 + 24));
        _extended[14 + 5] += 24;
        _extended[14 + 6] = IpProtocol.HopByHop;
        ReadOnlySpan<byte> options = [IpProtocol.DestinationOptions, 0, 1, 4, 0, 0, 0, 0, IpProtocol.Fragment, 0, 1, 4, 0, 0, 0, 0, IpProtocol.Tcp, 0, 0, 0, 0, 0, 0, 1];
        options.CopyTo(_extended.AsSpan(54));
        new Random(1).NextBytes(_octets);
        if (ParsePlain() != 54 || ParseExtended() != 54 + 24 || SumOf1460() != SlowSum(_octets))
        {
            throw new InvalidOperationException("The parser or the checksum is not what it must be.");
        }
    }

    [Benchmark]
    public int ParsePlain()
    {
        FrameParser.Parse(_plain, 14, out FrameLayout layout);
        return layout.Shape == FrameShape.Transport ? layout.UpperOffset : -1;
    }

    [Benchmark]
    public int ParseExtended()
    {
        FrameParser.Parse(_extended, 14, out FrameLayout layout);
        return layout.Shape == FrameShape.Transport ? layout.UpperOffset : -1;
    }

    [Benchmark]
    public ushort SumOf1460() => InternetChecksum.Sum(_octets);

    [Benchmark]
    public ushort Update() => _checksum = InternetChecksum.Update(_checksum, 0x5678);

    private static ushort SlowSum(ReadOnlySpan<byte> octets)
    {
        uint sum = 0;
        for (int i = 0; i < octets.Length; i += 2)
        {
            sum += (uint)((octets[i] << 8) | octets[i + 1]);
            sum = (sum >> 16) + (sum & 0xffff);
        }

        return (ushort)sum;
    }
}

using System.Runtime.CompilerServices;
using OnDemand.Dataplane;

namespace OnDemand.Captures.Files;

/// <summary>Cuts a pcap file of any of the three kinds into its header and its records.</summary>
internal sealed class PcapParser(CaptureFormat format, ByteOrder order, CaptureReaderOptions options) : CaptureParser(options)
{
    // A link type that does not fit 16 bits is none that is assigned; this value is not assigned either.
    private const ushort UnassignedLinkType = ushort.MaxValue;

    private readonly int _headerLength = Pcap.GetRecordHeaderLength(format);
    private readonly uint _unit = format == CaptureFormat.PcapNanoseconds ? 1U : 1_000U;
    private readonly uint _longestData = (uint)(options.MaxRecordLength - Pcap.GetRecordHeaderLength(format));
    private bool _headerRead;
    private ushort _linkType;

    public override CaptureFormat Format => format;

    public override int Measure(ReadOnlySpan<byte> window)
    {
        if (!_headerRead)
        {
            return Pcap.FileHeaderLength;
        }

        if (window.Length < _headerLength)
        {
            return _headerLength;
        }

        uint captured = order.ReadUInt32(window[8..]);
        return captured > _longestData ? _headerLength : _headerLength + (int)captured;
    }

    public override bool IsAtPacket(ReadOnlySpan<byte> window) => _headerRead;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override int Parse(ReadOnlySpan<byte> window, long offset, out CaptureRecord record)
    {
        record = default;
        if (!_headerRead)
        {
            return ParseFileHeader(window, offset, out record);
        }

        if (window.Length < _headerLength)
        {
            return 0;
        }

        uint captured = order.ReadUInt32(window[8..]);
        if (captured > _longestData)
        {
            return Stop(Damages.RecordTooLong(offset, captured, _longestData));
        }

        int length = _headerLength + (int)captured;
        if (window.Length < length)
        {
            return 0;
        }

        record = new CaptureRecord
        {
            Kind = CaptureRecordKind.Packet,
            Format = format,
            IsBigEndian = order.IsBigEndian,
            Octets = window[..length],
            FileOffset = offset,
            DataOffset = _headerLength,
            CapturedLength = (int)captured,
            OriginalLength = order.ReadUInt32(window[12..]),
            LinkType = _linkType,
            HasTimestamp = true,

            // 2^32 seconds and 2^32 fractions of any kind are less than 2^63 nanoseconds.
            Timestamp = (order.ReadUInt32(window) * Timestamp.NanosecondsPerSecond) + ((long)order.ReadUInt32(window[4..]) * _unit),
        };
        return length;
    }

    public override CaptureDamage? JudgeEnd(ReadOnlySpan<byte> window, long offset)
    {
        if (!_headerRead)
        {
            return Damages.FileHeaderCutShort(offset, window.Length);
        }

        if (window.IsEmpty)
        {
            return null;
        }

        return window.Length < _headerLength
            ? Damages.RecordHeaderCutShort(offset, _headerLength, window.Length)
            : Damages.RecordPastTheEnd(offset, order.ReadUInt32(window[8..]), window.Length - _headerLength);
    }

    private int ParseFileHeader(ReadOnlySpan<byte> window, long offset, out CaptureRecord record)
    {
        record = default;
        if (window.Length < Pcap.FileHeaderLength)
        {
            return 0;
        }

        ushort major = order.ReadUInt16(window[4..]);
        if (major != Pcap.MajorVersion)
        {
            return Stop(Damages.Version(offset, "file", major, order.ReadUInt16(window[6..]), Pcap.MajorVersion));
        }

        uint network = order.ReadUInt32(window[20..]) & Pcap.LinkTypeMask;
        _linkType = network > ushort.MaxValue ? UnassignedLinkType : (ushort)network;
        AddInterface(new CaptureInterface(0, _linkType, order.ReadUInt32(window[16..]), Pcap.GetResolution(format), offsetSeconds: 0));
        _headerRead = true;
        record = new CaptureRecord
        {
            Kind = CaptureRecordKind.Header,
            Format = format,
            IsBigEndian = order.IsBigEndian,
            Octets = window[..Pcap.FileHeaderLength],
            FileOffset = offset,
            LinkType = _linkType,
        };
        return Pcap.FileHeaderLength;
    }
}

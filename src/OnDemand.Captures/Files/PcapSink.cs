using System.Globalization;
using System.Runtime.CompilerServices;
using OnDemand.Dataplane;

namespace OnDemand.Captures.Files;

/// <summary>Writes a pcap file of any of the three kinds.</summary>
internal sealed class PcapSink(CaptureFormat format, OutputBatch batch) : CaptureSink(batch)
{
    private readonly List<CaptureInterface> _interfaces = [];   // of a pcapng input
    private readonly int _headerLength = Pcap.GetRecordHeaderLength(format);
    private readonly uint _unit = format == CaptureFormat.PcapNanoseconds ? 1U : 1_000U;
    private ByteOrder _order;
    private bool _headerWritten;
    private ushort _linkType = Link.LinkType.Ethernet;   // that of a file without any packet or interface

    public override CaptureFormat Format => format;

    public override void Begin(ushort linkType, ByteOrder order)
    {
        _order = order;
        WriteFileHeader(linkType, Pcap.DefaultSnapLength);
    }

    public override int AddInterface(ushort linkType, TimestampResolution resolution) =>
        throw new InvalidOperationException("A pcap file has one interface only, which its header describes.");

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override int Append(in CaptureRecord record, long? newTimestamp, ReadOnlySpan<char> comment)
    {
        if (record.Format != format)
        {
            return AppendConverted(record, newTimestamp);
        }

        int at = AppendRaw(record);
        if (at == NoPacket)
        {
            _order = record.Order;
            _linkType = record.LinkType;
            _headerWritten = true;
        }
        else if (newTimestamp is long timestamp)
        {
            WriteTimestamp(Batch.Written[(at - _headerLength)..], timestamp);
        }

        return at;
    }

    public override int AppendPacket(
        int interfaceIndex,
        long timestamp,
        uint originalLength,
        ReadOnlySpan<byte> data,
        ReadOnlySpan<char> comment)
    {
        if (_interfaces.Count == 0)
        {
            ArgumentOutOfRangeException.ThrowIfNotEqual(interfaceIndex, 0);
            return WriteRecord(timestamp, originalLength, data);
        }

        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)interfaceIndex, (uint)_interfaces.Count, nameof(interfaceIndex));
        CaptureInterface source = _interfaces[interfaceIndex];
        return AdmitLinkType(source.LinkType, source.SnapLength) ? WriteRecord(timestamp, originalLength, data) : NoPacket;
    }

    public override void Complete()
    {
        if (!_headerWritten)
        {
            WriteFileHeader(_interfaces.Count > 0 ? _interfaces[0].LinkType : _linkType, Pcap.DefaultSnapLength);
        }
    }

    private int AppendConverted(in CaptureRecord record, long? newTimestamp)
    {
        switch (record.Kind)
        {
            case CaptureRecordKind.Packet:
                uint snapLength = record.InterfaceIndex < _interfaces.Count ? _interfaces[record.InterfaceIndex].SnapLength : 0;
                return AdmitLinkType(record.LinkType, snapLength)
                    ? WriteRecord(newTimestamp ?? record.Timestamp, record.OriginalLength, record.Data)
                    : NoPacket;

            case CaptureRecordKind.Header when record.Format != CaptureFormat.PcapNg:
                _order = record.Order;
                WriteFileHeader(record.LinkType, _order.ReadUInt32(record.Octets[16..]));
                break;

            case CaptureRecordKind.Header when !_headerWritten:
                _order = record.Order;   // the first section's holds for the whole file
                break;

            case CaptureRecordKind.Interface:
                _interfaces.Add(CaptureInterface.Read(record.Octets, record.Order, _interfaces.Count));
                break;

            default:
                break;   // pcap has no place for it
        }

        return NoPacket;
    }

    // The header needs a link type, which is known for certain with the first packet.
    private bool AdmitLinkType(ushort linkType, uint snapLength)
    {
        if (!_headerWritten)
        {
            WriteFileHeader(linkType, snapLength);
            return true;
        }

        if (linkType != _linkType)
        {
            Failure = string.Create(
                CultureInfo.InvariantCulture,
                $"A pcap file holds one link type, but the input has packets of link types {_linkType} and {linkType}; write pcapng.");
        }

        return Failure is null;
    }

    private void WriteFileHeader(ushort linkType, uint snapLength)
    {
        Span<byte> header = Batch.Append(Pcap.FileHeaderLength);
        header.Clear();
        _order.WriteUInt32(header, Pcap.GetMagic(format));
        _order.WriteUInt16(header[4..], Pcap.MajorVersion);
        _order.WriteUInt16(header[6..], Pcap.MinorVersion);
        _order.WriteUInt32(header[16..], Math.Max(snapLength, Pcap.DefaultSnapLength));
        _order.WriteUInt32(header[20..], linkType);
        _linkType = linkType;
        _headerWritten = true;
    }

    private int WriteRecord(long timestamp, uint originalLength, ReadOnlySpan<byte> data)
    {
        Span<byte> record = Batch.Append(_headerLength + data.Length);
        record[.._headerLength].Clear();
        WriteTimestamp(record, timestamp);
        _order.WriteUInt32(record[8..], (uint)data.Length);
        _order.WriteUInt32(record[12..], originalLength);
        data.CopyTo(record[_headerLength..]);
        return Batch.Length - data.Length;
    }

    // The format's time is 0 to 2^32 - 1 seconds after 1970.
    private void WriteTimestamp(Span<byte> record, long timestamp)
    {
        const long Latest = (uint.MaxValue * Timestamp.NanosecondsPerSecond) + (Timestamp.NanosecondsPerSecond - 1);
        (long seconds, long rest) = Math.DivRem(Math.Clamp(timestamp, 0, Latest), Timestamp.NanosecondsPerSecond);
        _order.WriteUInt32(record, (uint)seconds);
        _order.WriteUInt32(record[4..], (uint)(rest / _unit));
    }
}

using OnDemand.Captures.Files;

namespace OnDemand.Captures.Replay;

/// <summary>A copy of a capture record, for one that cannot be written yet.</summary>
internal sealed class StoredRecord
{
    private readonly byte[] _octets;
    private readonly CaptureRecordKind _kind;
    private readonly CaptureFormat _format;
    private readonly bool _bigEndian;
    private readonly long _remaining;
    private readonly long _fileOffset;
    private readonly int _dataOffset;
    private readonly int _capturedLength;
    private readonly uint _originalLength;
    private readonly int _interfaceIndex;
    private readonly ushort _linkType;
    private readonly bool _hasTimestamp;
    private readonly long _timestamp;

    public StoredRecord(in CaptureRecord record)
    {
        _octets = record.Octets.ToArray();
        _kind = record.Kind;
        _format = record.Format;
        _bigEndian = record.IsBigEndian;
        _remaining = record.Remaining;
        _fileOffset = record.FileOffset;
        _dataOffset = record.DataOffset;
        _capturedLength = record.CapturedLength;
        _originalLength = record.OriginalLength;
        _interfaceIndex = record.InterfaceIndex;
        _linkType = record.LinkType;
        _hasTimestamp = record.HasTimestamp;
        _timestamp = record.Timestamp;
    }

    /// <summary>Octets that the copy takes.</summary>
    public int Length => _octets.Length;

    /// <summary>The packet's octets; may be overwritten.</summary>
    public Span<byte> Data => _octets.AsSpan(_dataOffset, _capturedLength);

    /// <summary>The record again.</summary>
    public CaptureRecord View() => new()
    {
        Octets = _octets,
        Kind = _kind,
        Format = _format,
        IsBigEndian = _bigEndian,
        Remaining = _remaining,
        FileOffset = _fileOffset,
        DataOffset = _dataOffset,
        CapturedLength = _capturedLength,
        OriginalLength = _originalLength,
        InterfaceIndex = _interfaceIndex,
        LinkType = _linkType,
        HasTimestamp = _hasTimestamp,
        Timestamp = _timestamp,
    };
}

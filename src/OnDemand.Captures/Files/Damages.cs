using System.Globalization;

namespace OnDemand.Captures.Files;

/// <summary>What is said of damage: one sentence each, with the place and what was expected there.</summary>
internal static class Damages
{
    public static CaptureDamage Empty { get; } = At(0, $"The file is empty: expected the header of a pcap or pcapng file at byte 0.");

    public static CaptureDamage MagicCutShort { get; } =
        At(0, $"The file header is cut short: expected the magic number of pcap or pcapng at byte 0.");

    public static CaptureDamage NotACapture(ReadOnlySpan<byte> magic)
    {
        string found = Convert.ToHexStringLower(magic);
        string hint = found.StartsWith("1f8b", StringComparison.Ordinal) ? " (it is compressed with gzip)" : string.Empty;
        return At(0, $"The file is not a capture: expected the magic number of pcap or pcapng at byte 0, found {found}{hint}.");
    }

    public static CaptureDamage FileHeaderCutShort(long at, int there) =>
        At(at, $"The file header is cut short: expected {Pcap.FileHeaderLength} octets, the file has {there}.");

    public static CaptureDamage Version(long at, string header, int major, int minor, int expected) =>
        At(at, $"The {header} header at byte {at} says version {major}.{minor}; expected version {expected}.");

    public static CaptureDamage RecordHeaderCutShort(long at, int expected, int left) =>
        At(at, $"The record header at byte {at} is cut short: expected {expected} octets, {left} are left in the file.");

    public static CaptureDamage RecordPastTheEnd(long at, uint captured, int left) =>
        At(at, $"The record at byte {at} is longer than the file: expected {captured} captured octets, {left} are left.");

    public static CaptureDamage RecordTooLong(long at, uint captured, uint longest) =>
        At(at, $"The record at byte {at} claims {captured} captured octets; expected at most {longest}.");

    public static CaptureDamage BlockHeaderCutShort(long at, int left) =>
        At(at, $"The block header at byte {at} is cut short: expected at least 12 octets, {left} are left in the file.");

    public static CaptureDamage BlockPastTheEnd(long at, uint length, long left) =>
        At(at, $"The block at byte {at} is longer than the file: expected {length} octets, {left} are left.");

    public static CaptureDamage ByteOrderMagic(long at) =>
        At(at, $"The byte-order magic of the section header at byte {at} is wrong: expected 1a2b3c4d or 4d3c2b1a.");

    public static CaptureDamage BlockLength(long at, uint length) =>
        At(at, $"The block at byte {at} claims {length} octets; expected a multiple of four, at least 12.");

    public static CaptureDamage BlockTooLong(long at, uint length, int longest) =>
        At(at, $"The block at byte {at} claims {length} octets; expected at most {longest}.");

    public static CaptureDamage LengthsDisagree(long at, uint first, uint second) =>
        At(at, $"The two lengths of the block at byte {at} disagree: expected {first} at its end, found {second}.");

    public static CaptureDamage BlockTooShort(long at, string block, int shortest, int length) =>
        At(at, $"The {block} at byte {at} is too short: expected at least {shortest} octets, it has {length}.");

    public static CaptureDamage TooManyInterfaces(long at, int most) =>
        At(at, $"The interface block at byte {at} is one too many: expected at most {most} interfaces.");

    public static CaptureDamage UnknownInterface(long at, uint number, int described) =>
        At(at, $"The packet block at byte {at} names interface {number}; expected one of the {described} its section describes.");

    public static CaptureDamage CapturedPastTheBlock(long at, uint captured, uint room) =>
        At(at, $"The packet block at byte {at} claims {captured} captured octets; expected at most {room}, which is what it holds.");

    private static CaptureDamage At(long at, FormattableString sentence) => new(at, sentence.ToString(CultureInfo.InvariantCulture));
}

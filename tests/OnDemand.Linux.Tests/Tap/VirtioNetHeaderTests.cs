using OnDemand.Linux.Tap;
using Xunit;

namespace OnDemand.Linux.Tests.Tap;

public sealed class VirtioNetHeaderTests
{
    [Fact]
    public void A_header_is_written_as_the_kernel_lays_it_out()
    {
        var header = new VirtioNetHeader(1, 4, 0x0102, 0x0304, 0x0506, 0x0010);
        byte[] octets = new byte[VirtioNetHeader.Length];

        header.Write(octets);

        // struct virtio_net_hdr: flags, gso_type, then hdr_len, gso_size, csum_start, csum_offset in the machine's byte order.
        Assert.Equal([1, 4, 2, 1, 4, 3, 6, 5, 0x10, 0], BitConverter.IsLittleEndian ? octets : Swapped(octets));
        Assert.Equal(header, VirtioNetHeader.Read(octets));
        Assert.True(header.HasPartialChecksum);
        Assert.True(header.IsSuperpacket);
    }

    [Fact]
    public void Every_header_that_the_kernel_makes_survives_in_a_tag()
    {
        // No segmentation, TCP over IPv4, UDP fragmentation, TCP over IPv6, UDP segmentation; and the TCP ones with ECN.
        foreach (byte type in (byte[])[0, 1, 3, 4, 5, 0x81, 0x84])
        {
            foreach (byte flags in (byte[])[0, 1, 2, 3, 4])
            {
                foreach (ushort offset in (ushort[])[2, 6, 16, 255])
                {
                    var header = new VirtioNetHeader(flags, type, ushort.MaxValue, 1440, 0xfffe, offset);
                    Assert.Equal(header, VirtioNetHeader.FromTag(header.ToTag()));
                }
            }
        }
    }

    [Fact]
    public void The_empty_header_is_the_empty_tag()
    {
        Assert.Equal(0, default(VirtioNetHeader).ToTag());
        Assert.Equal(default, VirtioNetHeader.FromTag(0));
    }

    private static byte[] Swapped(byte[] octets) =>
        [octets[0], octets[1], octets[3], octets[2], octets[5], octets[4], octets[7], octets[6], octets[9], octets[8]];
}

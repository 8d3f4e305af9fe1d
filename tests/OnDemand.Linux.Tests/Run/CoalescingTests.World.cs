using System.Buffers.Binary;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Tap;

namespace OnDemand.Linux.Tests.Run;

/// <content>What the programs and their peers send.</content>
public sealed partial class CoalescingTests
{
    /// <summary>Three TCP connections and three UDP flows, whose sequence numbers go on.</summary>
    private sealed class World
    {
        private readonly uint[] _sent;
        private readonly uint[] _received = [102, 102, 102];
        private readonly string _typed;
        private int _content;

        public World(HostRig rig, uint sent = 2)
        {
            _sent = [sent, sent, sent];
            rig.Put(TestFrames.Udp(HostRig.Inside, HostRig.Server, 2000, 53, new byte[20]));
            _typed = TestFrames.SourceOf(rig.Last).ToString();
            for (ushort flow = 0; flow < Flows; flow++)
            {
                ushort port = (ushort)(1000 + flow);
                rig.Put(TestFrames.Udp(HostRig.Inside, HostRig.Server, (ushort)(2000 + flow), 53, new byte[20]));
                rig.Put(TestFrames.Tcp(HostRig.Inside, HostRig.Server, port, 80, TestFrames.Syn, 1, 0));
                rig.Put(TestFrames.Tcp(HostRig.Server, TestFrames.SourceOf(rig.Last).ToString(), 80, port, TestFrames.Syn | Ack, 101, 2));
                rig.Put(TestFrames.Tcp(HostRig.Inside, HostRig.Server, port, 80, Ack, 2, 102));
            }

            rig.Tap.Written.Clear();
        }

        /// <summary>The next segment. Mode 0 and 1: a partial checksum; 2: a finished one; 3: one that the kernel found right.</summary>
        public byte[] Segment(int flow, bool inbound, int length, int mode)
        {
            ref uint sequence = ref (inbound ? ref _received[flow] : ref _sent[flow]);
            ushort port = (ushort)(1000 + flow);
            byte[] frame = inbound
                ? TestFrames.Tcp(HostRig.Server, _typed, 80, port, Ack, sequence, 2, length)
                : TestFrames.Tcp(HostRig.Inside, HostRig.Server, port, 80, Ack, sequence, 102, length);
            sequence += (uint)length;
            return Whole(frame, 74, 16, mode);
        }

        /// <summary>A datagram.</summary>
        public byte[] Datagram(int flow, bool inbound, int length, int mode)
        {
            ushort port = (ushort)(2000 + flow);
            byte[] payload = new byte[length];
            return Whole(
                inbound ? TestFrames.Udp(HostRig.Server, _typed, 53, port, payload) : TestFrames.Udp(HostRig.Inside, HostRig.Server, port, 53, payload),
                62, 6, mode);
        }

        /// <summary>Gives a frame its finished checksum.</summary>
        public static void Finish(Span<byte> frame)
        {
            int at = 14 + TestFrames.ChecksumAt(frame[20]);
            BinaryPrimitives.WriteUInt16BigEndian(frame[at..], 0);
            byte[] made = TestFrames.Ipv6(
                IpAddress.Read(frame[22..]), IpAddress.Read(frame[38..]), frame[20], frame[54..].ToArray());
            made.AsSpan(at, 2).CopyTo(frame[at..]);
        }

        private byte[] Whole(byte[] frame, int start, byte offset, int mode)
        {
            for (int i = start; i < frame.Length; i++)
            {
                frame[i] = (byte)(_content++ * 7);
            }

            Finish(frame);
            byte[] whole = [.. new byte[VirtioNetHeader.Length], .. frame];
            if (mode < 2)
            {
                new VirtioNetHeader(1, 0, 0, 0, 54, offset).Write(whole);
                BinaryPrimitives.WriteUInt16BigEndian(whole.AsSpan(10 + 54 + offset), TestFrames.PseudoHeaderSum(frame));
            }

            whole[0] |= (byte)(mode == 3 ? 2 : 0);
            return whole;
        }
    }
}

using System.Buffers.Binary;
using OnDemand.Captures.Files;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Replay;

/// <content>
/// Fragments towards the host in a capture taken inside: only the first says which typed address the remote used, so the others follow
/// it, and those that came before it keep their place until it is known.
/// </content>
internal sealed partial class ReplaySession
{
    private const int MostDatagrams = 4096;
    private const int MostHeld = 1 << 16;

    private readonly Dictionary<Datagram, IpAddress> _addressOf = [];
    private readonly Queue<Datagram> _datagrams = new();
    private readonly LinkedList<PendingFragment> _pending = new();
    private readonly Duration _fragmentTimeout;
    private int _moves;

    private bool TryFollowFirst(Span<byte> frame, int offset)
    {
        if (!_addressOf.TryGetValue(DatagramOf(frame, offset), out IpAddress external))
        {
            return false;
        }

        external.Write(frame[(offset + 24)..]);
        return true;
    }

    private void RememberFirst(ReadOnlySpan<byte> frame, int offset, ReadOnlySpan<byte> captured, IpAddress external)
    {
        FrameParser.Parse(frame, offset, out FrameLayout layout);
        if (!layout.Has(FrameMarks.Fragment))
        {
            return;
        }

        Datagram datagram = DatagramOf(captured, offset);
        if (_addressOf.TryAdd(datagram, external))
        {
            _datagrams.Enqueue(datagram);
        }

        if (_datagrams.Count > MostDatagrams)
        {
            _addressOf.Remove(_datagrams.Dequeue());
        }
    }

    private void KeepFragment(in CaptureRecord record, ReadOnlySpan<byte> frame, int offset)
    {
        if (_pending.Count >= MostDatagrams)
        {
            Counts.Drop("fragment-without-first");
            return;
        }

        _pending.AddLast(new PendingFragment(DatagramOf(frame, offset), new StoredRecord(record), _network.Reserve(record), offset, _now));
    }

    private void ReleaseFragments(ReadOnlySpan<byte> frame, int offset, ReadOnlySpan<byte> captured)
    {
        FrameParser.Parse(frame, offset, out FrameLayout layout);
        if (_pending.Count == 0 || !layout.Has(FrameMarks.Fragment))
        {
            return;
        }

        Datagram datagram = DatagramOf(captured, offset);
        for (LinkedListNode<PendingFragment>? node = _pending.First; node is not null;)
        {
            LinkedListNode<PendingFragment>? next = node.Next;
            PendingFragment fragment = node.Value;
            if (fragment.Datagram == datagram)
            {
                _pending.Remove(node);
                byte[] asRemote = fragment.Record.Data.ToArray();
                _ = TryFollowFirst(asRemote, fragment.Offset);
                DeliverChecked(fragment.Record.View(), asRemote, new FrameInfo(fragment.Offset, false, Counts.PacketsRead), fragment.Place);
            }

            node = next;
        }
    }

    private void ExpireFragments()
    {
        while (_pending.First is { } first && _now.Since(first.Value.Since) > _fragmentTimeout)
        {
            _pending.RemoveFirst();
            LetGo(first.Value);
        }
    }

    // Its first fragment never came: nobody knows what it would have become.
    private void LetGo(PendingFragment fragment)
    {
        bool passes = _scenario.Untranslatable == UntranslatablePolicy.Pass;
        _ = _network.Fill(fragment.Place, passes ? fragment.Record.Data : default, null);
        if (passes)
        {
            Counts.Pass("fragment-without-first");
            _host?.Write(fragment.Record.View(), default, null, null);
        }
        else
        {
            Counts.Drop("fragment-without-first");
        }
    }

    private static Datagram DatagramOf(ReadOnlySpan<byte> frame, int offset)
    {
        FrameParser.Parse(frame, offset, out FrameLayout layout);
        return new Datagram(
            IpAddress.Read(frame[(offset + 8)..]),
            IpAddress.Read(frame[(offset + 24)..]),
            BinaryPrimitives.ReadUInt32BigEndian(frame[(layout.FragmentHeaderOffset + 4)..]));
    }

    private readonly record struct Datagram(IpAddress Source, IpAddress Destination, uint Identification);

    private sealed record PendingFragment(Datagram Datagram, StoredRecord Record, object Place, int Offset, Timestamp Since);
}

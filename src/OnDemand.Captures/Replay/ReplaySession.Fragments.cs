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

    private readonly Dictionary<Datagram, FirstFragment> _firsts = [];
    private readonly Queue<Datagram> _firstOrder = new();
    private readonly LinkedList<PendingFragment> _pending = new();

    // An identification may come again; what its first fragment was before says nothing then.
    private bool TryGetFirst(in Datagram datagram, out FirstFragment first) =>
        _firsts.TryGetValue(datagram, out first) && _now.Since(first.Since) <= _sizes.FragmentTimeout;

    private void KeepFragment(in CaptureRecord record, in Datagram datagram, int offset)
    {
        if (_pending.Count >= MostDatagrams && _pending.First is { } oldest)
        {
            _pending.RemoveFirst();
            LetGo(oldest.Value);
        }

        var places = new Places(_network.Reserve(record), _host?.Reserve(record));
        _pending.AddLast(new PendingFragment(datagram, new StoredRecord(record), places, offset, Counts.PacketsRead, _now, _stamp));
    }

    // A first fragment is known: those that came before it follow, and those that will come too.
    private void ReleaseFragments(in Datagram datagram, in FirstFragment first)
    {
        if (!_firsts.ContainsKey(datagram))
        {
            _firstOrder.Enqueue(datagram);
        }

        _firsts[datagram] = first;
        if (_firstOrder.Count > MostDatagrams)
        {
            _firsts.Remove(_firstOrder.Dequeue());
        }

        for (LinkedListNode<PendingFragment>? node = _pending.First; node is not null;)
        {
            LinkedListNode<PendingFragment>? next = node.Next;
            PendingFragment fragment = node.Value;
            if (fragment.Datagram == datagram)
            {
                _pending.Remove(node);
                var info = new FrameInfo(fragment.Offset, false, fragment.Tag);
                _stamp = fragment.Stamp;
                Follow(first, fragment.Record.View(), fragment.Record.Data.ToArray(), info, fragment.Places);
            }

            node = next;
        }
    }

    private void Follow(in FirstFragment first, in CaptureRecord record, Span<byte> frame, in FrameInfo info, Places places)
    {
        if (first.View == RemoteView.NoAddress)
        {
            Counts.Drop("no-typed-address");
            GiveUp(places);
            return;
        }

        if (first.View == RemoteView.Rewritten)
        {
            first.External.Write(frame[(info.NetworkOffset + 24)..]);
        }

        DeliverChecked(record, frame, info, places);
    }

    private void ExpireFragments()
    {
        while (_pending.First is { } first && _now.Since(first.Value.Since) > _sizes.FragmentTimeout)
        {
            _pending.RemoveFirst();
            LetGo(first.Value);
        }
    }

    // Its first fragment never came: nobody knows what it would have become.
    private void LetGo(PendingFragment fragment)
    {
        if (_scenario.Untranslatable == UntranslatablePolicy.Pass)
        {
            Counts.Pass("fragment-without-first");
            WriteAt(_network, fragment.Places.Network, fragment.Record.View(), fragment.Record.Data, null);
            WriteAt(_host, fragment.Places.Host, fragment.Record.View(), fragment.Record.Data, null);
        }
        else
        {
            Counts.Drop("fragment-without-first");
            GiveUp(fragment.Places);
        }
    }

    private static Datagram DatagramOf(ReadOnlySpan<byte> frame, in FrameLayout layout) => new(
        IpAddress.Read(frame[(layout.NetworkOffset + 8)..]),
        IpAddress.Read(frame[(layout.NetworkOffset + 24)..]),
        BinaryPrimitives.ReadUInt32BigEndian(frame[(layout.FragmentHeaderOffset + 4)..]));

    private readonly record struct Datagram(IpAddress Source, IpAddress Destination, uint Identification);

    private readonly record struct FirstFragment(RemoteView View, IpAddress External, Timestamp Since);

    private sealed record PendingFragment(Datagram Datagram, StoredRecord Record, Places Places, int Offset, long Tag, Timestamp Since, Timestamp Stamp);
}

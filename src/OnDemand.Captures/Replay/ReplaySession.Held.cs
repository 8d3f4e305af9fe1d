using OnDemand.Captures.Files;
using OnDemand.Captures.Reports;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Replay;

/// <content>
/// Packets that wait in the engine, and packets that it makes. One that waits for its first fragment keeps its place in the outputs; one
/// that waits for the network goes out when the network has answered. The engine does not say which waiting packets it has dropped, so
/// they are forgotten here when they cannot be waiting any more.
/// </content>
internal sealed partial class ReplaySession
{
    private readonly Dictionary<long, HeldPacket> _held = [];
    private readonly Queue<long> _heldWithPlace = new();
    private readonly Queue<long> _heldWithout = new();

    private Duration LongestHold =>
        Sum(_sizes.NetworkAnswerTimeout > _sizes.FragmentTimeout ? _sizes.NetworkAnswerTimeout : _sizes.FragmentTimeout, _sizes.FragmentTimeout);

    private void KeepForLater(in CaptureRecord record, long tag, Places places, bool outbound, ReadOnlySpan<byte> asRemote = default)
    {
        _held[tag] = new HeldPacket(new StoredRecord(record), places, _now, _stamp, outbound, asRemote.ToArray(), _section);
        (places.Network is not null ? _heldWithPlace : _heldWithout).Enqueue(tag);
    }

    // A packet that had to wait goes on now.
    private void Release(in OutputFrame info, ReadOnlySpan<byte> frame)
    {
        if (!_held.Remove(info.Tag, out HeldPacket? held))
        {
            return;
        }

        CaptureRecord record = held.Record.View();
        bool hasPlace = held.Places.Network is not null;
        if (!hasPlace && held.Section != _section)
        {
            Counts.Drop("section-ended");
            return;
        }

        Counts.Release(untouched: frame.SequenceEqual(held.Outbound ? record.Data : held.AsRemote));
        NoteRelease(info, held, frame.Length, hasPlace);
        if (_outside is not null)
        {
            ReleaseOutside(held, record, frame, info);
        }
        else if (!held.Outbound)
        {
            Verify(record.Data, frame, info.NetworkOffset);
            WriteAt(_network, held.Places.Network, record, held.AsRemote, null);
            WriteAt(_host, held.Places.Host, record, frame, null);
        }
        else if (info.Direction == OutputDirection.Host)
        {
            GiveUp(held.Places);
            _host?.Write(record, frame, _now.Nanoseconds, null);
        }
        else
        {
            string? comment = _options.Explain
                ? $"ondemand: {string.Join("; ", _explained.Prepend($"waited {ScenarioText.Format(_now.Since(held.Since))}"))}" : null;
            WriteAt(_network, held.Places.Network, record, frame, comment, late: true);
        }

        _explained.Clear();
    }

    // What the host sent was written when it was read, only the check had to wait; what came to it is known only now.
    private void ReleaseOutside(HeldPacket held, in CaptureRecord record, ReadOnlySpan<byte> frame, in OutputFrame info)
    {
        if (held.Outbound)
        {
            Verify(record.Data, frame, info.NetworkOffset);
            return;
        }

        WriteAt(_network, held.Places.Network, record, frame, null);
        WriteAt(_host, held.Places.Host, record, frame, null);
    }

    private void NoteRelease(in OutputFrame info, HeldPacket held, int length, bool hasPlace)
    {
        LastOutput = _now;
        if (_ledger.Find(info.Flow) is not { } flow)
        {
            return;
        }

        flow.Count(held.Outbound, length - info.NetworkOffset, _now, dropped: false);
        if (hasPlace)
        {
            flow.Claim(held.Stamp);
        }

        Duration waited = _now.Since(held.Since);
        if (!hasPlace && waited.Nanoseconds > 0 && !flow.Events.Any(known => known.What == FlowEventKind.Held))
        {
            flow.Note(held.Since, FlowEventKind.Held, ScenarioText.Format(waited));
        }
    }

    private void Inject(in OutputFrame info, ReadOnlySpan<byte> packet)
    {
        Counts.Replies++;
        if (_held.Remove(info.Tag, out HeldPacket? refused))
        {
            GiveUp(refused.Places);
        }

        LastOutput = _now;
        if (_host is null || _templates.Interface < 0)
        {
            return;
        }

        string? comment = _options.Explain ? $"ondemand: made by the dataplane, {Explanation.Name(info.Kind)} because of {Explanation.Name(info.About)}" : null;
        _host.Inject(_templates.Interface, _now.Nanoseconds, _templates.Frame(packet, toHost: true), comment);
    }

    // Into its place, or to where the file is if it has none or the place was given up.
    private void WriteAt(OrderedOutput? output, object? place, in CaptureRecord record, ReadOnlySpan<byte> data, string? comment, bool late = false)
    {
        if (output is not null && (place is null || !output.Fill(place, data, comment)))
        {
            output.Write(record, data, late || place is not null ? _now.Nanoseconds : null, comment);
        }
    }

    private void GiveUp(Places places)
    {
        _ = places.Network is not null && _network.Fill(places.Network, default, null);
        _ = places.Host is not null && (_host?.Fill(places.Host, default, null) ?? true);
    }

    private void ForgetHeld()
    {
        Forget(_heldWithPlace, Sum(_sizes.FragmentTimeout, _sizes.FragmentTimeout));
        Forget(_heldWithout, LongestHold);
    }

    // And a second more; what is infinite stays so.
    private static Duration Sum(Duration one, Duration other) => new(new Timestamp(one.Nanoseconds).Add(other).Add(Duration.FromSeconds(1)).Nanoseconds);

    private void Forget(Queue<long> tags, Duration longest)
    {
        while (tags.TryPeek(out long tag)
            && (!_held.TryGetValue(tag, out HeldPacket? held) || _now.Since(held.Since) > longest || tags.Count > 4 * _sizes.MaximumHeldFrames))
        {
            tags.Dequeue();
            if (_held.Remove(tag, out HeldPacket? gone))
            {
                GiveUp(gone.Places);
            }
        }
    }

    private readonly record struct Places(object? Network, object? Host);

    private sealed record HeldPacket(StoredRecord Record, Places Places, Timestamp Since, Timestamp Stamp, bool Outbound, byte[] AsRemote, int Section);
}

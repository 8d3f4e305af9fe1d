using System.Diagnostics;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Benchmarks;

/// <summary>
/// A move with live TCP flows whose Nonpersistent prefix the new network does not have: the call itself, then the sweep that tells every
/// program with a RST, in slices between which packets are handled.
/// </summary>
internal sealed class Move
{
    private readonly NewFlows _flows;
    private readonly int _count;
    private readonly byte[] _output;
    private readonly PrefixAdvertisement[] _elsewhere;
    private readonly Timestamp _now = Timestamp.FromSeconds(60);

    public Move(int flows)
    {
        _count = flows;
        _flows = new NewFlows(flows, AddressType.Nonpersistent);
        _flows.OpenEstablished();
        _output = new byte[_flows.Engine.MaximumOutputLength];
        _elsewhere = [new PrefixAdvertisement(IpPrefix.Parse("2001:db8:b::/64"), AddressType.Nonpersistent)];

        // The time between the last packet and the move passes as it would with a TAP, which wakes at each deadline.
        for (DataplaneEngine engine = _flows.Engine; engine.NextDeadline <= _now;)
        {
            engine.Advance(engine.NextDeadline);
        }
    }

    /// <summary>The attachment to a network with another prefix.</summary>
    public void Attach() => _flows.Engine.Attach(2, _elsewhere, null, _now);

    /// <summary>Everything after it, until nothing is left to do; throws unless every flow got its RST.</summary>
    public MoveResult Sweep(TimeSpan attach)
    {
        DataplaneEngine engine = _flows.Engine;
        long begin = Stopwatch.GetTimestamp();
        var slices = new List<double>(1 << 16);
        long resets = 0;
        bool again = true;
        while (again)
        {
            long start = Stopwatch.GetTimestamp();
            engine.Advance(_now);
            slices.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
            again = engine.NextDeadline <= _now;
            while (engine.TryTakeOutput(_output, _now, out OutputFrame output, out _))
            {
                resets += output.Kind == OutputKind.Reset ? 1 : 0;
                again = true;
            }
        }

        double whole = Stopwatch.GetElapsedTime(begin).TotalMilliseconds;
        Verdict late = _flows.SendAck(0, _now);
        if (resets != _count || late.Kind != VerdictKind.Reply)
        {
            throw new InvalidOperationException($"{resets} of {_count} flows got a RST; a late packet met {late}.");
        }

        slices.Sort();
        return new MoveResult(
            _count, attach.TotalMicroseconds, slices.Count, slices[slices.Count / 2], slices[slices.Count * 99 / 100], slices[^1], whole, resets);
    }
}

/// <summary>Microseconds of the attachment and of the sweep's slices, milliseconds of the whole sweep with its RSTs taken out.</summary>
internal sealed record MoveResult(
    int Flows, double Attach, int Slices, double SliceMedian, double Slice99, double SliceLongest, double SweepMilliseconds, long Resets);

using System.Globalization;
using System.Text;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Model;

/// <summary>
/// Drives the engine and its twin with the same calls at the same times, and compares verdicts, octets, outputs, questions and replies
/// after every one. Keeps a script of what it did, in words.
/// </summary>
internal sealed class Twins
{
    private static readonly Duration Margin = Duration.FromMilliseconds(2300);

    private readonly DataplaneEngine _engine;
    private readonly byte[] _output;
    private readonly List<(OutputFrame Info, byte[] Frame)> _outputs = [];
    private readonly List<SetscReply> _replies = [];
    private readonly List<PrefixRequest> _questions = [];
    private readonly StringBuilder _script = new();
    private ulong _attachment;
    private long _tag;
    private bool _draining;

    public Twins(DataplaneOptions options)
    {
        Options = options;
        Now = Timestamp.FromSeconds(1000);
        _engine = new DataplaneEngine(options, Now);
        Model = new ReferenceDataplane(options);
        _output = new byte[_engine.MaximumOutputLength];
    }

    public DataplaneOptions Options { get; }

    public ReferenceDataplane Model { get; }

    public DataplaneEngine Engine => _engine;

    public Timestamp Now { get; private set; }

    /// <summary>What was done so far.</summary>
    public string Script => _script.ToString();

    /// <summary>What came out in the last call.</summary>
    public IReadOnlyList<(OutputFrame Info, byte[] Frame)> Outputs => _outputs;

    public IReadOnlyList<SetscReply> Replies => _replies;

    public IReadOnlyList<PrefixRequest> Questions => _questions;

    public (Verdict Verdict, byte[] Frame) Outbound(TestFrame frame) => Send(frame.Build(), frame.Tagged(++_tag), inbound: false);

    public (Verdict Verdict, byte[] Frame) Inbound(TestFrame frame) => Send(frame.Build(), frame.Tagged(++_tag), inbound: true);

    public (Verdict Verdict, byte[] Frame) Send(byte[] frame, FrameInfo info, bool inbound)
    {
        FrameInfo tagged = info.Tag == 0 ? info with { Tag = ++_tag } : info;
        Say($"{(inbound ? "in " : "out")} #{tagged.Tag} {Describe(frame, tagged)}");
        byte[] after = [.. frame];
        Verdict verdict = inbound ? _engine.HandleInbound(after, tagged, Now) : _engine.HandleOutbound(after, tagged, Now);
        Drain();
        ModelVerdict expected = Model.Handle([.. frame], tagged, inbound, IsRewritten(verdict) ? after : null, Now);
        _script.Append(CultureInfo.InvariantCulture, $"      -> {Text(verdict)}").AppendLine();
        if (!ReferenceEquals(CompareVerdict(verdict, expected, after), expected))
        {
            Model.Outputs.RemoveAll(output => output.Tag == tagged.Tag);
        }

        Compare();
        return (verdict, after);
    }

    public void Attach(IReadOnlyList<PrefixAdvertisement> prefixes, Duration? window)
    {
        string open = window is Duration time ? Seconds(time) : "default";
        Say($"attach {_attachment + 1}, window {open}: {string.Join(", ", prefixes.Select(Describe))}");
        _engine.Attach(++_attachment, [.. prefixes], window, Now);
        Drain();
        Model.Attach(prefixes, window, Now);
        Compare();
    }

    public void Detach()
    {
        Say("detach");
        _engine.Detach(Now);
        Drain();
        Model.Detach(Now);
        Compare();
    }

    public void Withdraw(IpPrefix prefix, Duration window)
    {
        Say($"withdraw {prefix}, window {Seconds(window)}");
        bool there = _engine.Withdraw(prefix, window, Now);
        Drain();
        bool expected = Model.Withdraw(prefix, window, Now);
        ModelMismatchException.If(there != expected, $"withdrawal gives {there}, not {expected}");
        Compare();
    }

    public void Advertise(IReadOnlyList<PrefixAdvertisement> prefixes, bool authenticated)
    {
        Say($"advertise{(authenticated ? " authenticated" : string.Empty)}: {string.Join(", ", prefixes.Select(Describe))}");
        _engine.Advertise([.. prefixes], authenticated, Now);
        Drain();
        Model.Advertise(prefixes, authenticated, Now);
        Compare();
    }

    public void Answer(PrefixAnswer answer)
    {
        Say($"answer {answer.Id} {answer.Kind} {(answer.Kind == PrefixAnswerKind.Granted ? Describe(answer.Prefix) : string.Empty)}");
        _engine.Answer(answer, Now);
        Drain();
        Model.Answer(answer, Now);
        Compare();
    }

    public void Request(SetscRequest request)
    {
        Say($"request {request.Token}: protocol {request.Protocol} {request.Internal} port {request.LocalPort}: type {request.Type} "
            + $"prefix {request.Prefix} on-net {request.OnNet} preferences {request.Preferences}");
        _engine.Handle(request, Now);
        Drain();
        Model.Handle(request, Now);
        Compare();
    }

    public void CloseSocket(byte protocol, IpAddress internalAddress, ushort localPort)
    {
        Say($"close protocol {protocol} {internalAddress} port {localPort}");
        _engine.CloseSocket(protocol, internalAddress, localPort, Now);
        Drain();
        Model.CloseSocket(protocol, internalAddress, localPort, Now);
        Compare();
    }

    public void SetPolicy(ServicePolicy policy)
    {
        Say("other policy");
        _engine.SetPolicy(policy);
        Model.SetPolicy(policy);
    }

    /// <summary>Lets the engine do what is due, as its caller would: until nothing is.</summary>
    public void Advance()
    {
        Say("advance");
        int rounds = 0;
        do
        {
            _engine.Advance(Now);
            Drain();
            ModelMismatchException.If(++rounds > 1000, "the engine is never done with what is due");
        }
        while (_engine.NextDeadline <= Now);
        Model.Advance(Now);
        Compare();
        ModelMismatchException.If(_engine.FlowCount != Model.FlowCount, $"{_engine.FlowCount} flows, not {Model.FlowCount}");
    }

    /// <summary>Lets time pass, stopping wherever something falls due.</summary>
    public void Pass(Duration duration)
    {
        Timestamp target = Apart(Now.Add(duration));
        while (true)
        {
            Timestamp next = Model.Deadlines()
                .Select(deadline => deadline.Soft ? deadline.Time.Add(Margin) : deadline.Time)
                .Where(time => time > Now)
                .Append(Timestamp.Never)
                .Min();
            if (next > target)
            {
                break;
            }

            Now = Apart(next);
            Advance();
            target = Apart(target > Now ? target : Now);
        }

        Now = target;
    }

    /// <summary>
    /// Goes to the next time at which a state changes by itself, without telling the engine, if nothing else lies
    /// between.
    /// </summary>
    public void PassUntilNextDeadline(Duration atMost)
    {
        Timestamp next = Model.Deadlines().Where(deadline => !deadline.Soft && deadline.Time > Now).Select(deadline => deadline.Time)
            .Append(Timestamp.Never).Min();
        if (next <= Now.Add(atMost) && !Model.Deadlines().Any(deadline => deadline.Soft && deadline.Time > Now
            && deadline.Time <= next.Add(Margin)))
        {
            Now = next;
        }
    }

    // What is idle, or waits, leaves the table when the engine next looks, within two seconds; a test does not look in between.
    private Timestamp Apart(Timestamp time)
    {
        while (true)
        {
            Timestamp near = Model.Deadlines()
                .Where(deadline => deadline.Soft && deadline.Time.Add(Margin) > time && deadline.Time < time.Add(Margin))
                .Select(deadline => deadline.Time)
                .Append(Timestamp.Never)
                .Min();
            if (near == Timestamp.Never)
            {
                return time;
            }

            time = near.Add(Margin);
        }
    }

    private void Drain()
    {
        if (!_draining)
        {
            _outputs.Clear();
            _replies.Clear();
            _questions.Clear();
            Model.ShownFrames.Clear();
            Model.ShownGrants.Clear();
        }

        _draining = true;
        while (_engine.TryTakeOutput(_output, Now, out OutputFrame info, out int length))
        {
            byte[] frame = _output[..length];
            _outputs.Add((info, frame));
            if (info.Kind == OutputKind.Released)
            {
                Model.ShownFrames[info.Tag] = frame;
            }
        }

        while (_engine.TryTakeReply(out SetscReply reply))
        {
            _replies.Add(reply);
            if (reply.Status == SetscStatus.Granted)
            {
                Model.ShownGrants[reply.Token] = reply.Address;
            }
        }

        while (_engine.TryTakePrefixRequest(out PrefixRequest question))
        {
            _questions.Add(question);
        }

        while (_engine.TryTakeEvent(out _))
        {
            // Events are told elsewhere; here they only must not pile up.
        }
    }

    private void Compare()
    {
        _draining = false;
        foreach ((OutputFrame info, byte[] frame) in _outputs)
        {
            _script.Append(CultureInfo.InvariantCulture,
                $"      => {info.Kind} #{info.Tag} to {info.Direction}: {Describe(frame, new FrameInfo(info.NetworkOffset))}").AppendLine();
        }

        foreach (SetscReply reply in _replies)
        {
            _script.Append(CultureInfo.InvariantCulture, $"      => reply {reply.Token} {reply.Status} {reply.Address}").AppendLine();
        }

        foreach (PrefixRequest question in _questions)
        {
            _script.Append(CultureInfo.InvariantCulture,
                $"      => question {question.Id}: {question.Type}{(question.OnNet ? " on-net" : string.Empty)}").AppendLine();
        }

        TwinComparison.Outputs(_outputs, Model.Outputs, _tag);
        TwinComparison.Replies(_replies, Model.Replies);
        TwinComparison.Questions(_questions, Model);
        Model.Outputs.Clear();
        Model.Replies.Clear();
        Model.Questions.Clear();
        Timestamp due = Model.Deadlines().Where(deadline => !deadline.Soft).Select(deadline => deadline.Time).Append(Timestamp.Never).Min();
        ModelMismatchException.If(_engine.NextDeadline > due,
            $"the engine wants to be called at {_engine.NextDeadline}, but something is due at {due}");
    }

    private static ModelVerdict CompareVerdict(Verdict verdict, ModelVerdict expected, byte[] after)
    {
        ModelVerdict? same = expected;
        while (same is not null && !IsSame(verdict, same))
        {
            same = same.Or;
        }

        ModelMismatchException.If(same is null, $"the verdict is {Text(verdict)}, not {Text(expected)}");
        if (same!.Kind == VerdictKind.Forward)
        {
            TwinComparison.Frame(after, same.Frame!);
        }

        return same;
    }

    private static bool IsSame(Verdict verdict, ModelVerdict one) => verdict.Kind == one.Kind && one.Kind switch
    {
        VerdictKind.Forward => verdict.Forward == one.Forward,
        VerdictKind.Hold => true,
        _ => verdict.Drop == one.Drop,
    };

    private static bool IsRewritten(Verdict verdict) =>
        verdict is { Kind: VerdictKind.Forward, Forward: ForwardReason.Rewritten or ForwardReason.Hairpin };

    private void Say(string text) =>
        _script.Append(CultureInfo.InvariantCulture, $"{(Now.Nanoseconds / 1e9) - 1000:F3} {text}").AppendLine();

    private static string Seconds(Duration duration) =>
        duration == Duration.Infinite ? "infinite" : string.Create(CultureInfo.InvariantCulture, $"{duration.Nanoseconds / 1e9}s");

    private static string Describe(PrefixAdvertisement advertisement) =>
        $"{advertisement.Prefix} {AddressTypes.ToName(advertisement.Type)} "
        + $"{Seconds(advertisement.PreferredLifetime)}/{Seconds(advertisement.ValidLifetime)}";

    private static string Text(Verdict verdict) => verdict.Kind switch
    {
        VerdictKind.Forward => $"Forward {verdict.Forward}",
        VerdictKind.Hold => "Hold",
        _ => $"{verdict.Kind} {verdict.Drop}",
    };

    private static string Text(ModelVerdict verdict) => verdict.Kind switch
    {
        VerdictKind.Forward => $"Forward {verdict.Forward}",
        VerdictKind.Hold => "Hold",
        _ => $"{verdict.Kind} {verdict.Drop}",
    };

    /// <summary>A frame in words.</summary>
    public static string Describe(byte[] frame, FrameInfo info)
    {
        var packet = new NaivePacket(frame, info.NetworkOffset);
        if (packet.Shape == NaiveShape.NotIpv6)
        {
            return "not IPv6";
        }

        string more = packet.Shape switch
        {
            NaiveShape.LaterFragment => $"fragment {packet.Identification} at {packet.FragmentOffset}",
            NaiveShape.Transport when packet.Protocol == IpProtocol.Tcp =>
                $"{packet.Control} seq {packet.Sequence} ack {packet.Acknowledgment} end {packet.SequenceEnd}",
            NaiveShape.Transport when packet.Protocol == IpProtocol.Icmpv6 => $"message {packet.IcmpType}",
            NaiveShape.Error => $"error {packet.IcmpType}",
            _ => packet.Shape.ToString(),
        };
        string marks = (packet.IsFragment ? " (fragment)" : string.Empty) + (info.PartialChecksum ? " (partial)" : string.Empty);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{packet.Source} {packet.SourcePort} > {packet.Destination} {packet.DestinationPort} protocol "
            + $"{packet.Protocol} {more}{marks}");
    }
}

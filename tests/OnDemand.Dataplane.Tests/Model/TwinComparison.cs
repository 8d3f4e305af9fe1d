using System.Globalization;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Model;

/// <summary>Holds what the engine gave out against what the model says.</summary>
internal static class TwinComparison
{
    private const int HeaderLength = 40;
    private const int MinimumMtu = 1280;   // RFC 4443 §2.4 (c): an error is no longer than this

    public static void Frame(byte[] actual, byte[] expected)
    {
        if (!actual.AsSpan().SequenceEqual(expected))
        {
            int at = actual.AsSpan().CommonPrefixLength(expected);
            throw new ModelMismatchException(
                $"the frame differs at octet {at} of {actual.Length} (expected {expected.Length}):\n"
                + $"  is     {Convert.ToHexString(actual)}\n  should {Convert.ToHexString(expected)}");
        }
    }

    /// <summary>Compares outputs: those about one frame, those about others and later fragments, each in their own order.</summary>
    public static void Outputs(List<(OutputFrame Info, byte[] Frame)> actual, List<ModelOutput> expected, long tag)
    {
        // Resets of the sweep have no frame that they answer, and come in the order of the engine's table.
        List<(OutputFrame Info, byte[] Frame)> swept = [.. actual.Where(IsSwept).OrderBy(Key)];
        List<(OutputFrame Info, byte[] Frame)> ordered = [.. actual.Where(output => !IsSwept(output))
            .OrderBy(output => output.Info.Tag == tag).ThenBy(output => IsLater(output.Frame, output.Info.NetworkOffset))
            .ThenBy(output => Stream(output.Info.Kind, output.Frame, output.Info.NetworkOffset, output.Info.Tag), StringComparer.Ordinal)];
        List<ModelOutput> sweeping = [.. expected.Where(output => output.Unordered).OrderBy(Key)];
        List<ModelOutput> ordering = [.. expected.Where(output => !output.Unordered).OrderBy(output => output.Tag == tag)
            .ThenBy(output => IsLater(output.Frame, output.NetworkOffset))
            .ThenBy(output => Stream(output.Kind, output.Frame, output.NetworkOffset, output.Tag), StringComparer.Ordinal)];
        ModelMismatchException.If(
            swept.Count != sweeping.Count, $"{swept.Count} resets out of the sweep, not {sweeping.Count}: {string.Join("; ", sweeping)}");
        ModelMismatchException.If(
            ordered.Count != ordering.Count, $"{ordered.Count} outputs, not {ordering.Count}: {string.Join("; ", ordering)}");
        foreach (((OutputFrame Info, byte[] Frame) output, ModelOutput should) in swept.Zip(sweeping).Concat(ordered.Zip(ordering)))
        {
            Output(output.Info, output.Frame, should);
        }
    }

    public static void Replies(List<SetscReply> actual, List<SetscReply> expected)
    {
        ModelMismatchException.If(actual.Count != expected.Count,
            $"{actual.Count} replies, not {expected.Count}: {string.Join("; ", expected)}");
        foreach ((SetscReply reply, SetscReply should) in actual.Zip(expected))
        {
            bool granted = should.Status == SetscStatus.Granted;
            bool same = granted ? reply == should : (reply.Token, reply.Status) == (should.Token, should.Status);
            ModelMismatchException.If(!same, $"the reply is {reply}, not {should}");
        }
    }

    public static void Questions(List<PrefixRequest> actual, ReferenceDataplane model)
    {
        ModelMismatchException.If(
            actual.Count != model.Questions.Count,
                $"{actual.Count} questions to the network, not {model.Questions.Count}: {string.Join("; ", model.Questions)}");
        foreach ((PrefixRequest question, PrefixRequest should) in actual.OrderBy(Kind).Zip(model.Questions.OrderBy(Kind)))
        {
            ModelMismatchException.If((question.Type, question.OnNet) != (should.Type, should.OnNet),
                $"the question is {question}, not {should}");
            ModelMismatchException.If(model.OpenQuestions.Any(open => open.Id == question.Id), $"question {question.Id} is open already");
            ModelQuestion? asked = model.OpenQuestions.FirstOrDefault(open =>
                open.Id is null && (open.Type, open.OnNet) == (question.Type, question.OnNet));
            if (asked is not null)
            {
                asked.Id = question.Id;
            }
        }
    }

    private static (AddressType, bool) Kind(PrefixRequest question) => (question.Type, question.OnNet);

    // A datagram's other fragments follow its first; how they stand to frames of other datagrams is not said.
    private static bool IsLater(byte[] frame, int networkOffset) => new NaivePacket(frame, networkOffset).Shape == NaiveShape.LaterFragment;

    // Frames of one conversation keep their order; of questions that are settled at once, which comes first is not said.
    private static string Stream(OutputKind kind, byte[] frame, int networkOffset, long tag)
    {
        if (kind is OutputKind.Icmpv6Error or OutputKind.Reset)
        {
            return string.Create(CultureInfo.InvariantCulture, $"answer {tag:D9}");
        }

        var packet = new NaivePacket(frame, networkOffset);
        return $"{packet.Protocol} {packet.Destination} {packet.SourcePort} {packet.DestinationPort} {packet.Identification}";
    }

    private static bool IsSwept((OutputFrame Info, byte[] Frame) output) => output.Info is { Kind: OutputKind.Reset, Tag: 0 };

    // With the numbers: an address that ended, was given again and ended again has two connections of the same ports, each with its reset.
    private static string Key((OutputFrame Info, byte[] Frame) output)
    {
        var packet = new NaivePacket(output.Frame, 0);
        return $"{packet.Source} {packet.Destination} {packet.SourcePort} {packet.DestinationPort} {packet.Sequence} {packet.Acknowledgment}";
    }

    private static string Key(ModelOutput output) =>
        $"{output.Source} {output.Destination} {output.SourcePort} {output.DestinationPort} {output.Sequence} {output.Acknowledgment}";

    private static void Output(OutputFrame info, byte[] frame, ModelOutput should)
    {
        ModelMismatchException.If(
            (info.Kind, info.Direction) != (should.Kind, should.Direction) || info.Tag != should.Tag,
            $"the output is {info}, not {should}");
        if (info.Kind == OutputKind.Released)
        {
            Frame(frame, should.Frame);
            return;
        }

        var packet = new NaivePacket(frame, 0);
        ModelMismatchException.If(packet.PacketLength != frame.Length, "the engine's packet has another length than its header says");
        ModelMismatchException.If(packet.Destination != should.Destination,
            $"the answer goes to {packet.Destination}, not to {should.Destination}");
        ModelMismatchException.If(info.About != should.About, $"the answer is about {info.About}, not {should.About}");
        ModelMismatchException.If(
            packet.Shape is not (NaiveShape.Transport or NaiveShape.Error) || !packet.HasRightChecksum,
                "the engine's packet has a wrong checksum");
        if (info.Kind == OutputKind.Reset)
        {
            Reset(frame, packet, should);
        }
        else
        {
            Error(frame, packet, should);
        }
    }

    private static void Reset(byte[] frame, NaivePacket packet, ModelOutput should)
    {
        bool same = frame.Length == HeaderLength + 20
            && (packet.Source, packet.SourcePort, packet.DestinationPort) == (should.Source, should.SourcePort, should.DestinationPort)
            && (packet.Sequence, packet.Acknowledgment) == (should.Sequence, should.Acknowledgment)
            && packet.Control == (TcpControl.Rst | TcpControl.Ack);
        ModelMismatchException.If(
            !same,
            $"the reset is {packet.Source} {packet.SourcePort} > {packet.DestinationPort} {packet.Control} {packet.Sequence} "
            + $"{packet.Acknowledgment}, not {should}");
    }

    private static void Error(byte[] frame, NaivePacket packet, ModelOutput should)
    {
        ModelMismatchException.If(
            packet.Protocol != IpProtocol.Icmpv6 || frame[HeaderLength] != 1 || frame[HeaderLength + 1] != should.Code,
            $"the error is {frame[HeaderLength]}/{frame[HeaderLength + 1]}, not 1/{should.Code}");
        byte[] quoted = should.Frame[..Math.Min(should.Frame.Length, MinimumMtu - HeaderLength - 8)];
        Frame(frame[(HeaderLength + 8)..], quoted);
    }
}

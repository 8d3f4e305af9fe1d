using System.Buffers.Binary;
using System.Security.Cryptography;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Replay;

/// <summary>
/// Which of the scenario's answers a request gets: one by one, or drawn (<see cref="AnswerOrder"/>). What is drawn depends on the seed, the
/// type, the number of the request and on which prefixes are in use then; so the same course of events has the same answers.
/// </summary>
/// <param name="scenario">The scenario.</param>
internal sealed class NetworkAnswers(Scenario scenario)
{
    // What is hashed begins with what it is for, as with typed addresses (InterfaceIdentifier): the seed serves both.
    private const ulong Domain = 0x4F44_416E_7377_6572;   // "ODAnswer"
    private const int MessageLength = 3 * sizeof(ulong);

    private readonly int[] _asked = new int[AddressTypes.Count];
    private readonly Dictionary<IpPrefix, AddressType> _inUse = [];
    private readonly Dictionary<IpPrefix, AddressType> _promised = [];
    private IpPrefix? _givenUp;

    /// <summary>The answer to the next request for a type.</summary>
    /// <param name="type">The type.</param>
    /// <returns>The answer.</returns>
    public NetworkAnswer Next(AddressType type)
    {
        int number = _asked[(int)type]++;
        return scenario.AnswerOrder == AnswerOrder.Random
            && scenario.OnDemand.TryGetValue(type, out IReadOnlyList<NetworkAnswer>? answers) && answers is [{ Prefix: not null }, ..]
            ? Draw(type, number, answers)
            : scenario.AnswerTo(type, number);
    }

    /// <summary>An answer that grants a prefix is given now: what becomes of it is followed from here on.</summary>
    /// <param name="prefix">The prefix.</param>
    public void Deliver(IpPrefix prefix) => _promised.Remove(prefix);

    /// <summary>Takes notice of which prefixes are in use.</summary>
    /// <param name="happened">What happened in the engine.</param>
    public void Follow(in EngineEvent happened)
    {
        switch (happened.Kind)
        {
            case EngineEventKind.PrefixAdded:
                _inUse[happened.Prefix] = happened.Type;
                break;
            case EngineEventKind.PrefixEnded:
                _inUse.Remove(happened.Prefix);
                _givenUp = happened.Prefix;
                break;
        }
    }

    private NetworkAnswer Draw(AddressType type, int number, IReadOnlyList<NetworkAnswer> answers)
    {
        List<NetworkAnswer> free = [.. answers.Where(answer => UseOf(answer) is null)];
        if (free.Count > 1)
        {
            free.RemoveAll(answer => answer.Prefix!.Value.Prefix == _givenUp);
        }

        // A network that has nothing else gives again what it gave; what it gave as another type it does not have.
        List<NetworkAnswer> eligible = free.Count > 0 ? free : [.. answers.Where(answer => UseOf(answer) == type)];
        if (eligible.Count == 0)
        {
            return new NetworkAnswer(NetworkAnswerKind.Refuse, null, answers[Pick(type, number, answers.Count)].Delay);
        }

        NetworkAnswer drawn = eligible[Pick(type, number, eligible.Count)];
        _promised[drawn.Prefix!.Value.Prefix] = type;
        return drawn;
    }

    private AddressType? UseOf(NetworkAnswer answer)
    {
        IpPrefix prefix = answer.Prefix!.Value.Prefix;
        return _inUse.TryGetValue(prefix, out AddressType use) || _promised.TryGetValue(prefix, out use) ? use : null;
    }

    // The most significant half of hash times count: for so few, as even as a division, and without one.
    private int Pick(AddressType type, int number, int count)
    {
        Span<byte> message = stackalloc byte[MessageLength];
        BinaryPrimitives.WriteUInt64BigEndian(message, Domain);
        BinaryPrimitives.WriteUInt64BigEndian(message[sizeof(ulong)..], scenario.Seed);
        BinaryPrimitives.WriteInt32BigEndian(message[(2 * sizeof(ulong))..], (int)type);
        BinaryPrimitives.WriteInt32BigEndian(message[((2 * sizeof(ulong)) + sizeof(int))..], number);
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(message, digest);
        return (int)Math.BigMul(BinaryPrimitives.ReadUInt64BigEndian(digest), (ulong)count, out _);
    }
}

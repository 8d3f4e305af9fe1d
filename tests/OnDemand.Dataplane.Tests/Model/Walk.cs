using FsCheck;
using FsCheck.Fluent;

namespace OnDemand.Dataplane.Tests.Model;

/// <summary>What a random walk does next.</summary>
public enum StepKind
{
    Outbound,
    Inbound,
    Mirror,
    Native,
    Errors,
    Fragments,
    Hairpin,
    Request,
    CloseSocket,
    Answer,
    Attach,
    Advertise,
    Withdraw,
    Detach,
    Pass,
    Until,
    Advance,
    Policy,
}

/// <summary>One step of a random walk; what its numbers mean depends on the kind and on what is there when it is walked.</summary>
public readonly record struct WalkStep(StepKind Kind, int A, int B, int C, int D);

/// <summary>A random walk: a world to walk in and steps. Shrinks by leaving steps out.</summary>
public sealed record Walk(int World, IReadOnlyList<WalkStep> Steps)
{
    public override string ToString() => $"world {World}, {Steps.Count} steps";
}

/// <summary>Draws random walks.</summary>
internal static class Walks
{
    private const int Weeks = 1 << 20;

    private static readonly (int Weight, StepKind Kind)[] Weights =
    [
        (30, StepKind.Outbound), (8, StepKind.Inbound), (24, StepKind.Mirror), (3, StepKind.Native), (6, StepKind.Errors),
        (6, StepKind.Fragments), (2, StepKind.Hairpin), (5, StepKind.Request), (2, StepKind.CloseSocket), (7, StepKind.Answer),
        (5, StepKind.Attach), (2, StepKind.Advertise), (2, StepKind.Withdraw), (1, StepKind.Detach), (5, StepKind.Pass),
        (3, StepKind.Until), (5, StepKind.Advance), (1, StepKind.Policy),
    ];

    public static Arbitrary<Walk> Arbitrary(int length, params StepKind[] without) => Arb.From(Generator(length, without), Shrink);

    private static Gen<Walk> Generator(int length, StepKind[] without)
    {
        Gen<StepKind> kinds = Gen.Frequency(Weights
            .Where(entry => !without.Contains(entry.Kind))
            .Select(entry => (entry.Weight, Gen.Constant(entry.Kind))));
        Gen<int> number = Gen.Choose(0, Weeks);
        Gen<WalkStep> step =
            from kind in kinds
            from a in number
            from b in number
            from c in number
            from d in number
            select new WalkStep(kind, a, b, c, d);
        var start = new WalkStep(StepKind.Attach, 0x3ff, 0, 0, 0);
        return
            from world in number
            from size in Gen.Choose(length / 2, length * 3 / 2)
            from attached in Gen.Elements(true, true, true, false)
            from steps in Gen.ListOf(step, size)
            select new Walk(world, attached ? [start, .. steps] : [.. steps]);
    }

    private static IEnumerable<Walk> Shrink(Walk walk)
    {
        for (int piece = walk.Steps.Count; piece > 0; piece /= 2)
        {
            for (int begin = 0; begin < walk.Steps.Count; begin += piece)
            {
                yield return walk with { Steps = [.. walk.Steps.Take(begin), .. walk.Steps.Skip(begin + piece)] };
            }
        }
    }
}

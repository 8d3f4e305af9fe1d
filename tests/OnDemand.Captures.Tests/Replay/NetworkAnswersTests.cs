using FsCheck;
using FsCheck.Fluent;
using OnDemand.Captures.Replay;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Captures.Tests.Replay;

/// <summary>Which of several prefixes a request gets when the scenario says <c>order: random</c>.</summary>
public class NetworkAnswersTests
{
    private static readonly AddressType[] Types =
        [AddressType.Fixed, AddressType.SessionLasting, AddressType.Nonpersistent, AddressType.GracefulReplacement];

    [Fact]
    public void As_many_grants_as_there_are_prefixes_are_a_permutation_of_them() => Prop.ForAll<ulong, byte>((seed, size) =>
    {
        int count = 1 + (size % 12);
        var answers = new NetworkAnswers(Pool(seed, count, AddressType.SessionLasting));

        int[] granted = [.. Enumerable.Range(0, count).Select(_ => Use(answers, AddressType.SessionLasting)!.Value)];

        return granted.Order().SequenceEqual(Enumerable.Range(0, count));
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Every_permutation_is_about_equally_frequent_over_the_seeds()
    {
        const int seeds = 6000;
        Dictionary<string, int> seen = [];
        for (ulong seed = 0; seed < seeds; seed++)
        {
            var answers = new NetworkAnswers(Pool(seed, 3, AddressType.Nonpersistent));
            string order = string.Concat(Enumerable.Range(0, 3).Select(_ => Use(answers, AddressType.Nonpersistent)));
            seen[order] = seen.GetValueOrDefault(order) + 1;
        }

        // Six of them, a thousand each; the standard deviation is 29. The seeds are always the same, so this either holds or does not.
        Assert.Equal(6, seen.Count);
        Assert.All(seen.Values, count => Assert.InRange(count, 870, 1130));
    }

    [Fact]
    public void Over_time_every_type_has_every_prefix_about_equally_often()
    {
        const int rounds = 4000;
        const int prefixes = 5;
        var answers = new NetworkAnswers(Pool(42, prefixes, Types));
        int[] counts = new int[Types.Length * prefixes];
        for (int round = 0; round < rounds; round++)
        {
            int type = round % Types.Length;
            int drawn = Use(answers, Types[type])!.Value;
            counts[(type * prefixes) + drawn]++;
            GiveUp(answers, drawn);
        }

        // Two hundred each; the standard deviation of one is 13.
        Assert.All(counts, count => Assert.InRange(count, 140, 260));
    }

    [Fact]
    public void Types_do_not_draw_in_the_same_order() => Assert.Equal(
        Types.Length, Types.Select(type => string.Concat(Sequence(7, 8, type))).Distinct().Count());

    [Fact]
    public void What_was_given_up_last_is_not_drawn_next_if_another_is_free() => Prop.ForAll<ulong, byte>((seed, size) =>
    {
        int count = 2 + (size % 6);
        var answers = new NetworkAnswers(Pool(seed, count, AddressType.GracefulReplacement));
        int before = -1;
        for (int i = 0; i < 20; i++)
        {
            int drawn = Use(answers, AddressType.GracefulReplacement)!.Value;
            if (drawn == before)
            {
                return false;
            }

            GiveUp(answers, before = drawn);
        }

        return true;
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Any_course_of_events_keeps_the_rules_and_gives_the_same_again() => Prop.ForAll<ulong, byte[]>((seed, steps) =>
    {
        const int prefixes = 4;
        var first = new NetworkAnswers(Pool(seed, prefixes, Types));
        var second = new NetworkAnswers(Pool(seed, prefixes, Types));
        Dictionary<int, AddressType> used = [];
        int givenUp = -1;
        foreach (byte step in steps ?? [])
        {
            if (step >= 160)
            {
                givenUp = step % prefixes;
                if (used.Remove(givenUp))
                {
                    GiveUp(first, givenUp);
                    GiveUp(second, givenUp);
                }

                continue;
            }

            AddressType type = Types[step % Types.Length];
            int? drawn = Use(first, type);
            bool isFree = used.Count < prefixes;
            bool isMine = used.ContainsValue(type);
            bool right = drawn == Use(second, type) && drawn switch
            {
                null => !isFree && !isMine,
                int one => used.TryGetValue(one, out AddressType other) ? !isFree && other == type : isFree,
            };
            if (!right)
            {
                return false;
            }

            if (drawn is { } added)
            {
                used[added] = type;
            }
        }

        return true;
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_prefix_that_is_on_its_way_is_not_promised_to_another()
    {
        Scenario pool = Pool(3, 2, AddressType.Fixed, AddressType.Nonpersistent);
        var answers = new NetworkAnswers(pool);

        IpPrefix first = answers.Next(AddressType.Fixed).Prefix!.Value.Prefix;
        IpPrefix second = answers.Next(AddressType.Nonpersistent).Prefix!.Value.Prefix;
        Assert.NotEqual(first, second);
        Assert.Equal(second, answers.Next(AddressType.Nonpersistent).Prefix!.Value.Prefix);
        answers.Deliver(first);                      // and the engine did not want it any more

        Assert.Equal(first, answers.Next(AddressType.Nonpersistent).Prefix!.Value.Prefix);
    }

    [Fact]
    public void A_network_that_has_only_prefixes_of_other_types_refuses()
    {
        var answers = new NetworkAnswers(Pool(3, 1, AddressType.Fixed, AddressType.Nonpersistent));
        Use(answers, AddressType.Fixed);

        Assert.Equal(new NetworkAnswer(NetworkAnswerKind.Refuse, null, Duration.FromMilliseconds(1)), answers.Next(AddressType.Nonpersistent));
        Assert.Equal(NetworkAnswerKind.Unsupported, answers.Next(AddressType.SessionLasting).Kind);
    }

    private static IEnumerable<int> Sequence(ulong seed, int count, AddressType type)
    {
        var answers = new NetworkAnswers(Pool(seed, count, type));
        return [.. Enumerable.Range(0, count).Select(_ => Use(answers, type)!.Value)];
    }

    // The prefix that is granted, which is then in use; null if the network refuses.
    private static int? Use(NetworkAnswers answers, AddressType type)
    {
        if (answers.Next(type).Prefix is not { } granted)
        {
            return null;
        }

        Assert.Equal(type, granted.Type);
        answers.Deliver(granted.Prefix);
        answers.Follow(new EngineEvent { Kind = EngineEventKind.PrefixAdded, Prefix = granted.Prefix, Type = type });
        return (int)(granted.Prefix.Address.High & 0xff);
    }

    private static void GiveUp(NetworkAnswers answers, int number) =>
        answers.Follow(new EngineEvent { Kind = EngineEventKind.PrefixEnded, Prefix = Prefix(number) });

    private static IpPrefix Prefix(int number) => new(new IpAddress(0x2001_0db8_0000_0000UL | (uint)number, 0), 64);

    private static Scenario Pool(ulong seed, int count, params AddressType[] types) => new()
    {
        Seed = seed,
        AnswerOrder = AnswerOrder.Random,
        OnDemand = types.ToDictionary(type => type, type => (IReadOnlyList<NetworkAnswer>)[
            .. Enumerable.Range(0, count).Select(number => new NetworkAnswer(
                NetworkAnswerKind.Grant, new PrefixAdvertisement(Prefix(number), type), Duration.FromMilliseconds(1))),
        ]),
    };
}

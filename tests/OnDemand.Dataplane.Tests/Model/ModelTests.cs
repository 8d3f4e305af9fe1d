using FsCheck;
using FsCheck.Fluent;
using OnDemand.Dataplane.Tests.Support;
using Xunit;

namespace OnDemand.Dataplane.Tests.Model;

/// <summary>
/// The engine and its naive twin walk side by side. A difference is shown as the shortest script that leads to it, in words, with the seed
/// that repeats it: <c>ONDEMAND_TEST_SEED=first,second,size dotnet test --project tests/OnDemand.Dataplane.Tests</c>.
/// </summary>
public sealed class ModelTests
{
    private const int KnownWalks = 300;
    private const int FreshWalks = 1000;
    private const int Steps = 100;

    [Fact]
    [Rfc(8653, "3.2")]
    [Rfc(8653, "3.4")]
    public void Engine_and_model_agree_on_every_verdict_octet_output_question_and_reply_of_random_walks()
    {
        Config known = Config.QuickThrowOnFailure.WithMaxTest(KnownWalks).WithReplay(8653, 17);
        Check.One(known, Agreement());
        if (TestScale.IsLong || TestScale.HasSeed)
        {
            Check.One(TestScale.Fresh(Config.QuickThrowOnFailure.WithMaxTest(TestScale.Times(FreshWalks))), Agreement());
        }
    }

    private static Property Agreement() => Prop.ForAll(Walks.Arbitrary(Steps), walk =>
    {
        RandomWalk.Run(walk);
        return true;
    });
}

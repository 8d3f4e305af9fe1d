using FsCheck;
using FsCheck.Fluent;
using OnDemand.Dataplane.Tests.Support;
using Xunit;

namespace OnDemand.Dataplane.Tests.Model;

public sealed class ModelTests
{
    private const int Walks = 300;
    private const int Steps = 100;

    [Fact]
    [Rfc(8653, "3.2")]
    [Rfc(8653, "3.4")]
    public void Engine_and_model_agree_on_every_verdict_octet_output_question_and_reply_of_random_walks() =>
        Check.One(
            TestScale.Seeded(Config.QuickThrowOnFailure.WithMaxTest(TestScale.Times(Walks))),
            Prop.ForAll(Model.Walks.Arbitrary(Steps), walk =>
            {
                RandomWalk.Run(walk);
                return true;
            }));
}

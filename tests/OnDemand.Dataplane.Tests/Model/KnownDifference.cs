namespace OnDemand.Dataplane.Tests.Model;
internal static class KnownDifference
{
    public static bool SynAck => true;
}

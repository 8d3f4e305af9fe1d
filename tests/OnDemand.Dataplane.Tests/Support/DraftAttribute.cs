using Xunit.v3;

namespace OnDemand.Dataplane.Tests.Support;

/// <summary>
/// Says which section of draft-ietf-dmm-ondemand-mobility-17 a test is evidence for; gives the trait <c>RFC</c>, as in
/// <c>draft-17 §3.5</c>.
/// </summary>
[AttributeUsage(AttributeTargets.Method | AttributeTargets.Class, AllowMultiple = true)]
internal sealed class DraftAttribute(string section) : Attribute, ITraitAttribute
{
    public string Section => section;

    public IReadOnlyCollection<KeyValuePair<string, string>> GetTraits() => [new("RFC", $"draft-17 §{section}")];
}

using System.Globalization;
using Xunit.v3;

namespace OnDemand.Dataplane.Tests.Support;

/// <summary>Says which section of an RFC a test is evidence for; gives the trait <c>RFC</c>, as in <c>8653 §3.4</c>.</summary>
[AttributeUsage(AttributeTargets.Method | AttributeTargets.Class, AllowMultiple = true)]
internal sealed class RfcAttribute(int number, string section) : Attribute, ITraitAttribute
{
    public int Number => number;

    public string Section => section;

    public IReadOnlyCollection<KeyValuePair<string, string>> GetTraits() =>
        [new("RFC", string.Create(CultureInfo.InvariantCulture, $"{number} §{section}"))];
}

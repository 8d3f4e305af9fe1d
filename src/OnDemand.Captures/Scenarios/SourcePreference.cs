namespace OnDemand.Captures.Scenarios;

/// <summary>One wish of a program about its source address, as <c>IPV6_ADDR_PREFERENCES</c> names it (RFC 5014 §3).</summary>
public enum SourcePreference : byte
{
    /// <summary><c>IPV6_PREFER_SRC_HOME</c>: home addresses rather than care-of addresses.</summary>
    Home,

    /// <summary><c>IPV6_PREFER_SRC_COA</c>: care-of addresses rather than home addresses.</summary>
    CareOf,

    /// <summary><c>IPV6_PREFER_SRC_TMP</c>: temporary addresses rather than public ones.</summary>
    Temporary,

    /// <summary><c>IPV6_PREFER_SRC_PUBLIC</c>: public addresses rather than temporary ones.</summary>
    Public,

    /// <summary><c>IPV6_PREFER_SRC_CGA</c>: cryptographically generated addresses.</summary>
    Cga,

    /// <summary><c>IPV6_PREFER_SRC_NONCGA</c>: addresses that are not cryptographically generated.</summary>
    NonCga,
}

/// <summary>The names of <see cref="SourcePreference"/> in scenario files.</summary>
internal static class SourcePreferences
{
    /// <summary>The names, by number.</summary>
    public static readonly string[] Names = ["home", "coa", "tmp", "public", "cga", "noncga"];

    /// <summary>Reads a name, with or without RFC 5014's <c>IPV6_PREFER_SRC_</c>; case does not matter.</summary>
    public static bool TryParse(string text, out SourcePreference preference)
    {
        const string rfc = "IPV6_PREFER_SRC_";
        string name = text.StartsWith(rfc, StringComparison.OrdinalIgnoreCase) ? text[rfc.Length..] : text;
        int index = Array.FindIndex(Names, known => string.Equals(known, name, StringComparison.OrdinalIgnoreCase));
        preference = (SourcePreference)Math.Max(0, index);
        return index >= 0;
    }

    /// <summary>The wish that says the opposite: the two together are an error (RFC 5014 §3).</summary>
    public static SourcePreference Opposite(SourcePreference preference) => (SourcePreference)((byte)preference ^ 1);
}

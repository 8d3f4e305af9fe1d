using System.Diagnostics.CodeAnalysis;

namespace OnDemand.Dataplane.Selection;

/// <summary>Which preferences contradict each other (RFC 5014 §3, and what Linux answers with EINVAL), and how they are written.</summary>
public static class AddressPreferenceRules
{
    private const AddressPreferences PrivacyGroup =
        AddressPreferences.Temporary | AddressPreferences.Public | AddressPreferences.PublicTemporaryDefault;

    private const AddressPreferences HomeGroup = AddressPreferences.Home | AddressPreferences.CareOf;

    private const AddressPreferences CgaGroup = AddressPreferences.Cga | AddressPreferences.NonCga;

    private static readonly char[] Separators = [',', '+', '|', ' ', '\t'];

    private const AddressPreferences WithEffect = AddressPreferences.Temporary | AddressPreferences.Public | AddressPreferences.CareOf;

    /// <summary>All that <see cref="EffectOf"/> can give.</summary>
    internal static ReadOnlySpan<AddressPreferences> Effective =>
    [
        AddressPreferences.None, AddressPreferences.Temporary, AddressPreferences.Public, AddressPreferences.CareOf,
        AddressPreferences.CareOf | AddressPreferences.Temporary, AddressPreferences.CareOf | AddressPreferences.Public,
    ];

    /// <summary>What of preferences makes a difference to selection: neither what states the defaults nor what is accepted without effect.</summary>
    /// <param name="preferences">The preferences.</param>
    /// <returns>What makes a difference; none if they contradict each other.</returns>
    public static AddressPreferences EffectOf(AddressPreferences preferences) =>
        AreConsistent(preferences, out _) ? preferences & WithEffect : AddressPreferences.None;

    /// <summary>
    /// Whether preferences can hold together; where they cannot, Linux fails with EINVAL. Unknown bits do no harm: they are ignored, as
    /// RFC 5014 and Linux have it.
    /// </summary>
    /// <param name="preferences">The preferences.</param>
    /// <param name="contradiction">A sentence that says what contradicts what.</param>
    /// <returns>Whether they can.</returns>
    public static bool AreConsistent(AddressPreferences preferences, [NotNullWhen(false)] out string? contradiction)
    {
        AddressPreferences privacy = preferences & PrivacyGroup;
        contradiction = privacy switch
        {
            AddressPreferences.Temporary | AddressPreferences.Public =>
                "A socket cannot prefer temporary addresses (tmp) and public addresses (public) at once.",
            AddressPreferences.Temporary | AddressPreferences.PublicTemporaryDefault =>
                "A socket cannot prefer temporary addresses (tmp) and leave the choice to the default (pubtmp-default) at once.",
            AddressPreferences.Public | AddressPreferences.PublicTemporaryDefault =>
                "A socket cannot prefer public addresses (public) and leave the choice to the default (pubtmp-default) at once.",
            PrivacyGroup =>
                "A socket cannot prefer temporary addresses (tmp), public addresses (public) and the default (pubtmp-default) at once.",
            _ => null,
        };
        contradiction ??= (preferences & HomeGroup) == HomeGroup
            ? "A socket cannot prefer home addresses (home) and care-of addresses (coa) at once."
            : null;
        contradiction ??= (preferences & CgaGroup) == CgaGroup
            ? "A socket cannot prefer cryptographically generated addresses (cga) and all others (noncga) at once."
            : null;
        return contradiction is null;
    }

    /// <summary>
    /// Reads names separated by comma, plus, bar or blank: <c>tmp</c>, <c>public</c>, <c>pubtmp-default</c>, <c>coa</c>, <c>home</c>,
    /// <c>cga</c>, <c>noncga</c>, <c>on-net</c> or the constants (IPV6_PREFER_SRC_TMP, IPV6_REQUIRE_SRC_ON_NET). Case does not matter,
    /// nor whether hyphen or underscore.
    /// </summary>
    /// <param name="text">The names; an empty text is <see cref="AddressPreferences.None"/>.</param>
    /// <param name="preferences">The preferences; whether they contradict each other is a question to <see cref="AreConsistent"/>.</param>
    /// <returns>Whether every name is known.</returns>
    public static bool TryParse(string? text, out AddressPreferences preferences)
    {
        preferences = AddressPreferences.None;
        AddressPreferences read = AddressPreferences.None;
        foreach (string name in (text ?? string.Empty).Split(Separators, StringSplitOptions.RemoveEmptyEntries))
        {
            AddressPreferences preference = Named(name);
            if (preference == AddressPreferences.None)
            {
                return false;
            }

            read |= preference;
        }

        preferences = read;
        return true;
    }

    /// <summary>The short names, in ascending order of the bits and separated by commas.</summary>
    /// <param name="preferences">The preferences; bits without a name are left out.</param>
    /// <returns>The text, empty for none; <see cref="TryParse"/> reads it back.</returns>
    public static string ToText(AddressPreferences preferences)
    {
        List<string> names = [];
        for (int bit = 1; bit <= (int)AddressPreferences.RequireOnNet; bit <<= 1)
        {
            if (((int)preferences & bit) != 0 && NameOf((AddressPreferences)bit) is string name)
            {
                names.Add(name);
            }
        }

        return string.Join(',', names);
    }

    private static AddressPreferences Named(string name) => name.ToUpperInvariant().Replace('-', '_') switch
    {
        "TMP" or "TEMPORARY" or "IPV6_PREFER_SRC_TMP" => AddressPreferences.Temporary,
        "PUBLIC" or "IPV6_PREFER_SRC_PUBLIC" => AddressPreferences.Public,
        "PUBTMP_DEFAULT" or "IPV6_PREFER_SRC_PUBTMP_DEFAULT" => AddressPreferences.PublicTemporaryDefault,
        "COA" or "CARE_OF" or "IPV6_PREFER_SRC_COA" => AddressPreferences.CareOf,
        "HOME" or "IPV6_PREFER_SRC_HOME" => AddressPreferences.Home,
        "CGA" or "IPV6_PREFER_SRC_CGA" => AddressPreferences.Cga,
        "NONCGA" or "IPV6_PREFER_SRC_NONCGA" => AddressPreferences.NonCga,
        "ON_NET" or "IPV6_REQUIRE_SRC_ON_NET" => AddressPreferences.RequireOnNet,
        _ => AddressPreferences.None,
    };

    private static string? NameOf(AddressPreferences preference) => preference switch
    {
        AddressPreferences.Temporary => "tmp",
        AddressPreferences.Public => "public",
        AddressPreferences.PublicTemporaryDefault => "pubtmp-default",
        AddressPreferences.CareOf => "coa",
        AddressPreferences.Home => "home",
        AddressPreferences.Cga => "cga",
        AddressPreferences.NonCga => "noncga",
        AddressPreferences.RequireOnNet => "on-net",
        _ => null,
    };
}

using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Rights;

/// <summary>What a user has already.</summary>
/// <param name="Cookie">The socket.</param>
/// <param name="Type">The type of its address.</param>
/// <param name="Prefix">The address's prefix.</param>
internal readonly record struct Possession(ulong Cookie, AddressType Type, IpPrefix Prefix);

/// <summary>Whether somebody may have something. Nothing here knows of time or of requests that are under way.</summary>
/// <param name="config">The rules.</param>
internal sealed class RightsCheck(RightsConfig config)
{
    /// <summary>Whether what a user has already matters at all.</summary>
    public bool CountsPossessions => config.Quotas is { Addresses: not null } or { Prefixes: not null };

    /// <summary>Why somebody may not have a type.</summary>
    /// <param name="applicant">Who.</param>
    /// <param name="type">The type; none for RFC 5014 preferences alone, which everybody may have.</param>
    /// <returns>A sentence; null if he may.</returns>
    public string? WhyNot(IApplicant applicant, AddressType type)
    {
        if (applicant.User == 0 || !config.Types.TryGetValue(type, out TypeRights? rights))
        {
            return null;
        }

        if (!IsOneOf(applicant, rights))
        {
            return NotThisUser(applicant, type);
        }

        return rights.Programs is null || rights.Programs.Any(applicant.Runs)
            ? null
            : $"This program may not have {AddressTypes.ToName(type)} addresses on this host.";
    }

    /// <summary>Why somebody may not have a type, whatever program it is for.</summary>
    /// <param name="applicant">Who.</param>
    /// <param name="type">The type.</param>
    /// <param name="programs">The only programs that may have it, if there is nothing else against it; null for all.</param>
    /// <returns>A sentence; null if he may, with one of those programs.</returns>
    public string? WhyNever(IApplicant applicant, AddressType type, out IReadOnlyList<string>? programs)
    {
        programs = null;
        if (applicant.User == 0 || !config.Types.TryGetValue(type, out TypeRights? rights))
        {
            return null;
        }

        bool isOne = IsOneOf(applicant, rights);
        programs = isOne ? rights.Programs : null;
        return isOne ? null : NotThisUser(applicant, type);
    }

    /// <summary>Why a user may not have an address more.</summary>
    /// <param name="user">The user.</param>
    /// <param name="cookie">The socket that it is for; what it has itself makes room.</param>
    /// <param name="type">The type.</param>
    /// <param name="has">What the user has.</param>
    /// <param name="underWay">The user's sockets whose requests are under way, this one among them or not.</param>
    /// <returns>A sentence; null if he may.</returns>
    public string? WhyNoMore(
        uint user, ulong cookie, AddressType type, IReadOnlyCollection<Possession> has, IReadOnlyCollection<ulong> underWay)
    {
        if (user == 0)
        {
            return null;
        }

        if (config.Quotas.Addresses is { } addresses)
        {
            int count = has.Select(one => one.Cookie).Concat(underWay).Where(other => other != cookie).Distinct().Count();
            if (count >= addresses)
            {
                return $"User {user} may have {addresses} sockets with an address of their own at once, and has them.";
            }
        }

        // A type that none of the user's prefixes has would need one more for sure; what is got otherwise is looked at afterwards.
        Possession[] others = [.. has.Where(one => one.Cookie != cookie)];
        return config.Quotas.Prefixes is { } prefixes && CountPrefixes(others) >= prefixes && !others.Any(one => one.Type == type)
            ? TooManyPrefixes(user, prefixes)
            : null;
    }

    /// <summary>Why a user may not keep what he has got, because of the prefix it comes from.</summary>
    /// <param name="user">The user.</param>
    /// <param name="got">What he has got.</param>
    /// <param name="has">What he has besides.</param>
    /// <returns>A sentence; null if he may.</returns>
    public string? WhyNotKeep(uint user, Possession got, IReadOnlyCollection<Possession> has)
    {
        if (user == 0 || config.Quotas.Prefixes is not { } prefixes)
        {
            return null;
        }

        Possession[] others = [.. has.Where(one => one.Cookie != got.Cookie)];
        return others.Any(one => one.Prefix == got.Prefix) || CountPrefixes(others) < prefixes ? null : TooManyPrefixes(user, prefixes);
    }

    private static string NotThisUser(IApplicant applicant, AddressType type) =>
        $"User {applicant.User} may not have {AddressTypes.ToName(type)} addresses on this host.";

    private static bool IsOneOf(IApplicant applicant, TypeRights rights) =>
        rights is { Users: null, Groups: null }
        || rights.Users?.Contains(applicant.User) == true
        || rights.Groups?.Any(applicant.IsInGroup) == true;

    private static int CountPrefixes(IEnumerable<Possession> all) => all.Select(one => one.Prefix).Distinct().Count();

    private static string TooManyPrefixes(uint user, int most) =>
        $"User {user} may have addresses out of {most} prefixes at once, and this would be one more.";
}

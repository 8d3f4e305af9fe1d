namespace OnDemand.Linux.Control;

/// <summary>What went wrong with a request (RFC 9457).</summary>
/// <param name="Type">Which kind of problem: a URN under <c>urn:ondemand:problem:</c>, see <see cref="ProblemTypes"/>.</param>
/// <param name="Title">The kind in a few words.</param>
/// <param name="Status">The HTTP status.</param>
/// <param name="Detail">This occurrence in one sentence.</param>
internal sealed record ControlProblem(string Type, string Title, int Status, string? Detail);

/// <summary>The kinds of problems; programs tell them apart by these names, which do not change.</summary>
internal static class ProblemTypes
{
    /// <summary>The request says something that cannot be; nothing was done.</summary>
    public const string Invalid = "urn:ondemand:problem:invalid-request";

    /// <summary>There is no such resource, or it does not take that method; nothing was done.</summary>
    public const string Resource = "urn:ondemand:problem:no-such-resource";

    /// <summary>The prefix to be withdrawn is not there.</summary>
    public const string UnknownPrefix = "urn:ondemand:problem:unknown-prefix";

    /// <summary>Such an address is not to be had here (EAI_REQUIREDIPNOTSUPPORTED of draft-17).</summary>
    public const string TypeNotSupported = "urn:ondemand:problem:type-not-supported";

    /// <summary>The network refused to give such an address (EAI_REQUIREDIPFAILED).</summary>
    public const string NetworkRefused = "urn:ondemand:problem:network-refused";

    /// <summary>The network did not answer in time (EAI_REQUIREDIPFAILED).</summary>
    public const string NetworkSilent = "urn:ondemand:problem:network-silent";

    /// <summary>There is no such socket, or it has no binding (EBADF, ENOTSOCK).</summary>
    public const string UnknownSocket = "urn:ondemand:problem:unknown-socket";

    /// <summary>The user has as much as one user may have (EDQUOT).</summary>
    public const string Quota = "urn:ondemand:problem:quota";

    /// <summary>A table is full (ENOBUFS).</summary>
    public const string NoRoom = "urn:ondemand:problem:no-room";

    /// <summary>Whoever asks may not.</summary>
    public const string Forbidden = "urn:ondemand:problem:forbidden";

    /// <summary>The request broke a limit of size or time.</summary>
    public const string Limit = "urn:ondemand:problem:limit";

    /// <summary>The dataplane is shutting down, has too much to do, or did not answer in time.</summary>
    public const string Unavailable = "urn:ondemand:problem:unavailable";

    /// <summary>The host's network could not be changed as the request needs it.</summary>
    public const string Host = "urn:ondemand:problem:host";

    /// <summary>A mistake of the program itself.</summary>
    public const string Internal = "urn:ondemand:problem:internal";

    /// <summary>The kind in a few words.</summary>
    /// <param name="type">One of the names above.</param>
    /// <returns>The title.</returns>
    public static string TitleOf(string type) => type switch
    {
        Invalid => "The request is not valid",
        Resource => "There is no such resource",
        UnknownPrefix => "The prefix is not there",
        TypeNotSupported => "The address type is not supported",
        NetworkRefused => "The network refused",
        NetworkSilent => "The network did not answer",
        UnknownSocket => "There is no such socket",
        Quota => "A quota is used up",
        NoRoom => "There is no room",
        Forbidden => "Not allowed",
        Limit => "A limit was exceeded",
        Unavailable => "The dataplane is not available",
        Host => "The host's network could not be changed",
        _ => "A mistake of the program",
    };
}

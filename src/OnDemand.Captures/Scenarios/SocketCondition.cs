namespace OnDemand.Captures.Scenarios;

/// <summary>
/// What a policy rule demands of a flow's socket; at least one part is there, and all that are must hold. Two with the same parts are equal
/// wherever they stand. In the replay of a capture nobody knows the socket, so none is ever met; a recording says of each socket which it met.
/// </summary>
public sealed record SocketCondition
{
    /// <summary>The user who made the socket, by name or number; null for any.</summary>
    public string? User { get; init; }

    /// <summary>A group of that user, primary or supplementary, by name or number; null for any.</summary>
    public string? Group { get; init; }

    /// <summary>
    /// The program that has the socket: an absolute path, in which <c>*</c> stands for anything but <c>/</c> and <c>**</c> for anything; null
    /// for any.
    /// </summary>
    public string? Program { get; init; }

    /// <summary>The cgroup (version 2) in or below which the socket was made: its path below the hierarchy's root; null for any.</summary>
    public string? Cgroup { get; init; }

    /// <summary>Where the scenario names the user; without meaning if it does not.</summary>
    public ScenarioPlace UserPlace { get; init; }

    /// <summary>Where the scenario names the group; without meaning if it does not.</summary>
    public ScenarioPlace GroupPlace { get; init; }

    /// <summary>Whether another condition demands the same.</summary>
    /// <param name="other">The other one.</param>
    /// <returns>Whether it does.</returns>
    public bool Equals(SocketCondition? other) =>
        other is not null && (User, Group, Program, Cgroup) == (other.User, other.Group, other.Program, other.Cgroup);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(User, Group, Program, Cgroup);
}

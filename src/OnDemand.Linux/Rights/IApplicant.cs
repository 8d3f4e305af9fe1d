namespace OnDemand.Linux.Rights;

/// <summary>Whoever wants something, as the kernel knows him.</summary>
internal interface IApplicant
{
    /// <summary>The user; 0 is root.</summary>
    uint User { get; }

    /// <summary>Whether he is in a group.</summary>
    /// <param name="group">The group.</param>
    /// <returns>Whether he is.</returns>
    bool IsInGroup(uint group);

    /// <summary>Whether his process runs a program.</summary>
    /// <param name="program">The executable's absolute path.</param>
    /// <returns>Whether it does: the very same file, whatever it is called where he is.</returns>
    bool Runs(string program);
}

using OnDemand.Captures.Scenarios;

namespace OnDemand.Linux.Audit;

/// <summary>Reads the map <c>audit</c>.</summary>
/// <param name="fields">Reads single values.</param>
internal sealed class AuditReader(ScenarioFields fields)
{
    /// <summary>Reads it.</summary>
    /// <param name="node">The map.</param>
    /// <returns>The settings.</returns>
    /// <exception cref="ScenarioException">It is wrong.</exception>
    public AuditSettings Read(ScenarioNode node)
    {
        ScenarioMap map = fields.Map(node, "an audit log", "file", "size", "keep");
        return new AuditSettings(
            Path.GetFullPath(fields.Text(map.Need("file"), "a file")),
            map.Get("size", ReadSize, AuditSettings.DefaultSize),
            map.Get("keep", ReadKeep, AuditSettings.DefaultKeep));
    }

    private long ReadSize(ScenarioNode node)
    {
        long size = fields.Size(node);
        return size >= AuditSettings.LeastSize ? size : throw fields.Wrong(node, node.Description, "a size of at least 4KiB");
    }

    private int ReadKeep(ScenarioNode node) =>
        (int)fields.Number(node, 0, AuditSettings.MostKept, $"a whole number from 0 to {AuditSettings.MostKept}");
}

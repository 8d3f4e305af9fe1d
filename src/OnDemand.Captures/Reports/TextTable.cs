namespace OnDemand.Captures.Reports;

/// <summary>A column of a table.</summary>
/// <param name="Title">What stands above it.</param>
/// <param name="Widest">The most characters it may take.</param>
/// <param name="IsNumber">Whether its cells stand at the right.</param>
internal sealed record TextColumn(string Title, int Widest, bool IsNumber = false);

/// <summary>Rows of text in aligned columns, two spaces apart. What is too wide for its column loses its middle.</summary>
internal sealed class TextTable(params TextColumn[] columns)
{
    private const string Gap = "  ";

    private readonly List<string[]> _rows = [];

    /// <summary>Adds a row; one cell for each column.</summary>
    public void Add(params string[] cells)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(cells.Length, columns.Length);
        _rows.Add([.. cells.Select((cell, i) => ReportText.Elide(ReportText.Printable(cell), columns[i].Widest))]);
    }

    /// <summary>Writes the titles and the rows; columns are as wide as they must be.</summary>
    public void Write(TextWriter output)
    {
        int[] widths = [.. columns.Select((column, i) => _rows.Select(row => row[i].Length).Append(column.Title.Length).Max())];
        WriteRow(output, [.. columns.Select(column => column.Title)], widths);
        foreach (string[] row in _rows)
        {
            WriteRow(output, row, widths);
        }
    }

    private void WriteRow(TextWriter output, string[] cells, int[] widths)
    {
        IEnumerable<string> aligned = cells.Select((cell, i) => columns[i].IsNumber ? cell.PadLeft(widths[i]) : cell.PadRight(widths[i]));
        output.Write((Gap + string.Join(Gap, aligned)).TrimEnd() + "\n");
    }
}

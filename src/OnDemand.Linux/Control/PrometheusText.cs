using System.Globalization;
using System.Text;

namespace OnDemand.Linux.Control;

/// <summary>Writes metrics in Prometheus's text exposition format, version 0.0.4.</summary>
internal static class PrometheusText
{
    /// <summary>The media type.</summary>
    public const string MediaType = "text/plain; version=0.0.4; charset=utf-8";

    /// <summary>Writes all metrics of a reading.</summary>
    /// <param name="reading">The reading.</param>
    /// <returns>The text.</returns>
    public static string Write(DataplaneReading reading)
    {
        var text = new StringBuilder(8192);
        foreach (Metric metric in Metrics.All)
        {
            string name = NameOf(metric);
            text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {Escape(metric.Help, quoted: false)}\n");
            text.Append(CultureInfo.InvariantCulture, $"# TYPE {name} {(metric.IsCounter ? "counter" : "gauge")}\n");
            foreach (MetricSample sample in metric.Read(reading))
            {
                string labels = sample.Label is null ? string.Empty : $"{{{metric.LabelName}=\"{Escape(sample.Label, quoted: true)}\"}}";
                text.Append(CultureInfo.InvariantCulture, $"{name}{labels} {sample.Value}\n");
            }
        }

        return text.ToString();
    }

    /// <summary>The name that Prometheus knows a metric by.</summary>
    /// <param name="metric">The metric.</param>
    /// <returns>The name.</returns>
    public static string NameOf(Metric metric) => metric.Name.Replace('.', '_') + (metric.IsCounter ? "_total" : string.Empty);

    /// <summary>Escapes a text: backslash and line feed, and within a label's value the quotation mark too.</summary>
    /// <param name="text">The text.</param>
    /// <param name="quoted">Whether it stands in quotation marks.</param>
    /// <returns>The text as it is written.</returns>
    public static string Escape(string text, bool quoted)
    {
        string escaped = text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
        return quoted ? escaped.Replace("\"", "\\\"", StringComparison.Ordinal) : escaped;
    }
}

using System.Diagnostics;
using Xunit;

namespace OnDemand.Dataplane.Tests.Wire.Support;

/// <summary>Programs that judge the engine from outside: scapy and tshark. Where one is missing its tests are skipped and say so.</summary>
internal static class Tools
{
    private const string Python = "/usr/bin/python3";
    private const string Tshark = "/usr/bin/tshark";

    private static readonly Lazy<bool> HasScapy = new(() =>
        File.Exists(Python) && Run(Python, string.Empty, ["-c", "import scapy.layers.inet6"]).Code == 0);

    /// <summary>Where the repository begins.</summary>
    public static string Root
    {
        get
        {
            DirectoryInfo? directory = new(AppContext.BaseDirectory);
            while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "OnDemand.Dataplane.sln")))
            {
                directory = directory.Parent;
            }

            return directory?.FullName ?? throw new InvalidOperationException("The tests do not run inside the repository.");
        }
    }

    /// <summary>The lines that one of the scripts in Oracles/ writes.</summary>
    public static string[] RunOracle(string script, string input = "")
    {
        Assert.SkipUnless(HasScapy.Value, "python3-scapy is not installed.");
        return Lines(Python, input, [Path.Combine(Root, "tests", "OnDemand.Dataplane.Tests", "Oracles", script)]);
    }

    /// <summary>One line for each packet, with the fields separated by tabs; only the first occurrence of a field.</summary>
    public static string[] RunTshark(IEnumerable<byte[]> packets, params string[] fields)
    {
        Assert.SkipUnless(File.Exists(Tshark), "tshark is not installed.");
        string path = Path.GetTempFileName();
        try
        {
            WritePcap(path, packets);
            string[] options =
            [
                "-r", path, "-T", "fields", "-E", "occurrence=f", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
                "-o", "ipv6.defragment:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE",
            ];
            return Lines(Tshark, string.Empty, [.. options, .. fields.SelectMany(field => new[] { "-e", field })]);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static string[] Lines(string program, string input, string[] arguments)
    {
        (int code, string output, string error) = Run(program, input, arguments);
        Assert.True(code == 0, $"{Path.GetFileName(program)} failed: {error}");
        return output.Split('\n')[..^1];
    }

    private static (int Code, string Output, string Error) Run(string program, string input, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        process.WaitForExit();
        return (process.ExitCode, output.Result, error.Result);
    }

    // LINKTYPE_RAW: packets begin with their IP header.
    private static void WritePcap(string path, IEnumerable<byte[]> packets)
    {
        using var writer = new BinaryWriter(File.Create(path));
        writer.Write(0xa1b2c3d4);
        writer.Write((ushort)2);
        writer.Write((ushort)4);
        writer.Write(0L);
        writer.Write(262144);
        writer.Write(101);
        int second = 0;
        foreach (byte[] packet in packets)
        {
            writer.Write(second++);
            writer.Write(0);
            writer.Write(packet.Length);
            writer.Write(packet.Length);
            writer.Write(packet);
        }
    }
}

using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Text;
using System.Text.Json;
using OnDemand.Linux.Audit;
using OnDemand.Linux.Control;
using OnDemand.Linux.Programs;
using OnDemand.Linux.Rights;
using Xunit;

namespace OnDemand.Linux.Tests.Programs;

/// <summary>A programs' socket in a directory that everybody may enter, and clients as which a test asks.</summary>
[SupportedOSPlatform("linux")]
internal sealed class ProgramScene : IAsyncDisposable
{
    /// <summary>A user without any rights.</summary>
    public const uint Nobody = 65534;

    private readonly string _directory = Directory.CreateTempSubdirectory("ondemand-programs-").FullName;
    private readonly SocketsHttpHandler _handler = new();
    private SocketRequests _requests = null!;
    private UnixHttpServer _server = null!;

    private ProgramScene() => Http = new HttpClient(_handler) { BaseAddress = new Uri("http://localhost"), Timeout = TimeSpan.FromSeconds(60) };

    public FakeServices Services { get; } = new();

    public HttpClient Http { get; }

    public SocketRequests Requests => _requests;

    public string Path => System.IO.Path.Combine(_directory, "od0.programs.sock");

    public string AuditFile => System.IO.Path.Combine(_directory, "audit.jsonl");

    private AuditLog? Audit { get; set; }

    public static async Task<ProgramScene> StartAsync(
        RightsConfig? rights = null, bool audits = false, TimeProvider? time = null, ISocketLookup? lookup = null,
        Func<string?>? whyNotNative = null)
    {
        var scene = new ProgramScene();
        File.SetUnixFileMode(scene._directory, (UnixFileMode)Convert.ToInt32("755", 8));
        scene.Audit = audits ? new AuditLog(new AuditSettings(scene.AuditFile, 1 << 20, 1), _ => { }) : null;
        scene._requests = new SocketRequests(
            scene.Services, lookup ?? new FakeLookup(), rights ?? RightsConfig.Unlimited, scene.Audit, () => FakeServices.Now,
            time ?? TimeProvider.System, whyNotNative);
        scene._server = await ProgramServer.StartAsync(scene._requests, scene.Path, CancellationToken.None);
        scene._handler.ConnectCallback = async (_, cancel) => await scene.OpenAsync(cancel);
        return scene;
    }

    public async Task<NetworkStream> OpenAsync(CancellationToken cancellationToken = default)
    {
        Socket? socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(Path), cancellationToken);
            var stream = new NetworkStream(socket, ownsSocket: true);
            socket = null;
            return stream;
        }
        finally
        {
            socket?.Dispose();
        }
    }

    public async Task<(HttpStatusCode Status, JsonElement Body)> SendAsync(HttpMethod method, string resource, string? json = null)
    {
        using var request = new HttpRequestMessage(method, resource);
        request.Content = json is null ? null : new StringContent(json, Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await Http.SendAsync(request, TestContext.Current.CancellationToken);
        byte[] octets = await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
        return (response.StatusCode, octets.Length == 0 ? default : JsonDocument.Parse(octets).RootElement);
    }

    public Task<(HttpStatusCode Status, JsonElement Body)> GetAsync(string resource) => SendAsync(HttpMethod.Get, resource);

    public Task<(HttpStatusCode Status, JsonElement Body)> SetAsync(string json) => SendAsync(HttpMethod.Post, "/v1/setsc", json);

    /// <summary>Runs a Python program as another user, which finds <c>ask(method, resource, body)</c> and <c>path</c> there.</summary>
    /// <returns>What it printed.</returns>
    public async Task<string> RunAsync(uint user, string program, params string[] options)
    {
        const string prelude =
            """
            import http.client, json, os, socket, sys, time
            path = sys.argv[1]
            class Connection(http.client.HTTPConnection):
                def connect(self):
                    self.sock = socket.socket(socket.AF_UNIX)
                    self.sock.connect(path)
            def ask(method, resource, body=None):
                c = Connection("localhost")
                c.request(method, resource, body and json.dumps(body), {"Content-Type": "application/json"} if body else {})
                r = c.getresponse()
                text = r.read()
                return r.status, json.loads(text) if text else None

            """;
        Assert.SkipUnless(Environment.UserName == "root" && File.Exists("/usr/bin/setpriv"), "Becoming another user takes root and setpriv.");
        string python = File.Exists("/usr/bin/python3") ? "/usr/bin/python3" : "/usr/local/bin/python3";
        Assert.SkipUnless(File.Exists(python), "There is no python3.");
        using Process process = Process.Start(new ProcessStartInfo(
            "/usr/bin/setpriv",
            [$"--reuid={user}", $"--regid={user}", .. options.Length == 0 ? ["--clear-groups"] : options, python, "-c", prelude + program, Path])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        Task<string> error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        string output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, await error);
        return output.TrimEnd('\n');
    }

    /// <summary>Closes the audit log and reads it.</summary>
    public JsonElement[] ReadAudit()
    {
        Audit!.Dispose();
        return [.. File.ReadAllLines(AuditFile).Select(line => JsonDocument.Parse(line).RootElement)];
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        _handler.Dispose();
        await _server.DisposeAsync();
        _requests.Dispose();
        Audit?.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}

using System.Globalization;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Text.Json;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Programs;
using OnDemand.Linux.Rights;
using OnDemand.Linux.Service;
using OnDemand.Linux.Sockets;
using OnDemand.Linux.Tests.Run;
using Xunit;

namespace OnDemand.Linux.Tests.Programs;

/// <summary>What one user can do to another: nothing. The clients are processes of other users.</summary>
[SupportedOSPlatform("linux")]
public sealed class OtherUsersTests
{
    private const string Own = """
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        def want(**more): return ask("POST", "/v1/setsc", {"fd": s.fileno(), "type": "session-lasting", **more})

        """;

    [Fact]
    public async Task A_program_of_another_user_gets_its_own_sockets_an_address()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync(audits: true);

        string answer = await scene.RunAsync(ProgramScene.Nobody, Own + """
            status, grant = want()
            listed = ask("GET", "/v1/bindings")[1]["bindings"]
            print(status, [one["user"] for one in listed], listed[0]["cookie"] == grant["cookie"])
            print(ask("GET", "/v1/bindings/" + grant["cookie"])[0], ask("DELETE", "/v1/bindings/" + grant["cookie"])[0])
            """);

        Assert.Equal("200 [65534] True\n200 204", answer);
        JsonElement[] audit = scene.ReadAudit();
        Assert.Equal(["granted", "released"], audit.Select(line => line.GetProperty("result").GetString()));
        Assert.All(audit, line => Assert.Equal(65534, line.GetProperty("uid").GetInt32()));
        Assert.Contains("python3", audit[0].GetProperty("program").GetString(), StringComparison.Ordinal);
        Assert.StartsWith("2001:db8:2:", audit[0].GetProperty("address").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_users_socket_can_be_neither_bound_nor_seen_nor_released()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync(audits: true);
        SocketBinding rootsBinding = scene.Services.Bind(1000, 0);

        string answer = await scene.RunAsync(ProgramScene.Nobody, """
            for body in {"cookie": "1000"}, {"cookie": "2000"}, {"flow": {"protocol": "udp", "local": "[::]:2000"}}:
                status, problem = ask("POST", "/v1/setsc", {"type": "fixed", **body})
                print(status, problem["type"])
            print(ask("GET", "/v1/bindings")[1]["bindings"])
            for method in "GET", "DELETE":
                print(ask(method, "/v1/bindings/1000"))
            """);

        const string forbidden = "403 urn:ondemand:problem:forbidden";
        string[] lines = answer.Split('\n');
        Assert.Equal([forbidden, forbidden, forbidden, "[]"], lines[..4]);
        Assert.All(lines[4..], line => Assert.Contains("belongs to another user", line, StringComparison.Ordinal));
        Assert.Equal(rootsBinding, scene.Services.Find(1000));
        Assert.Equal(0, scene.Services.Requests);
        Assert.Equal(
            Enumerable.Repeat("forbidden", 4), scene.ReadAudit().Select(line => line.GetProperty("result").GetString()));
        Assert.Equal(["1000", "2000", "2000", "1000"], scene.ReadAudit().Select(line => line.GetProperty("cookie").GetString()));
    }

    [Fact]
    public async Task A_descriptor_of_another_users_socket_is_refused_even_if_it_was_inherited()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();

        string answer = await scene.RunAsync(0, """
            s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            os.setgid(65534); os.setuid(65534)
            c = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            for one in s, c:
                status, problem = ask("POST", "/v1/setsc", {"fd": one.fileno(), "type": "fixed"})
                print(status, problem.get("detail"))
            """);

        Assert.Equal("403 That socket belongs to another user.\n200 None", answer);
    }

    [Fact]
    public async Task Root_may_ask_for_a_user_whose_binding_it_then_is()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();

        string answer = await scene.RunAsync(0, """print(ask("POST", "/v1/setsc", {"cookie": "2234", "type": "fixed"})[0])""");

        Assert.Equal("200", answer);
        Assert.Equal(1234u, scene.Services.Find(2234)!.User);
    }

    [Fact]
    public async Task A_watch_tells_of_ones_own_bindings_only()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();
        SocketBinding roots = scene.Services.Bind(1, 0);
        SocketBinding theirs = scene.Services.Bind(2, ProgramScene.Nobody);
        Task<string> watching = scene.RunAsync(ProgramScene.Nobody, """
            s = socket.socket(socket.AF_UNIX); s.connect(path)
            s.sendall(b"GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n")
            f = s.makefile("r")
            for line in f:
                if line.startswith("{"):
                    notice = json.loads(line)
                    print(notice["notice"], notice["binding"]["cookie"], notice["left"])
                    if notice["notice"] == "stranded": break
            """);
        Assert.True(SpinWait.SpinUntil(() => scene.Services.Watchers == 1, TimeSpan.FromSeconds(30)));

        scene.Services.Tell(new BindingNotice(BindingNoticeKind.Deprecated, FakeServices.Now, roots, null));
        scene.Services.Tell(new BindingNotice(
            BindingNoticeKind.Deprecated, FakeServices.Now, theirs, OnDemand.Dataplane.Duration.FromMilliseconds(9_500)));
        scene.Services.Tell(new BindingNotice(BindingNoticeKind.Stranded, FakeServices.Now, theirs, null));

        Assert.Equal("deprecated 2 9.5\nstranded 2 None", await watching);
        Assert.True(SpinWait.SpinUntil(() => scene.Services.Watchers == 0, TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task Rights_are_those_of_the_user_the_groups_and_the_program()
    {
        string python = Path.GetFullPath(File.ResolveLinkTarget("/usr/bin/python3", true)?.FullName ?? "/usr/bin/python3");
        var rights = new RightsConfig
        {
            Types = new Dictionary<AddressType, TypeRights>
            {
                [AddressType.Fixed] = new(new HashSet<uint> { 1234 }, null, null),
                [AddressType.Nonpersistent] = new(null, new HashSet<uint> { 4321 }, null),
                [AddressType.SessionLasting] = new(null, null, [python]),
                [AddressType.GracefulReplacement] = new(null, null, ["/usr/bin/setpriv"]),
            },
        };
        await using ProgramScene scene = await ProgramScene.StartAsync(rights);
        const string program = Own + """print([want(type=t)[0] for t in ("fixed", "nonpersistent", "session-lasting", "graceful-replacement")])""";

        Assert.Equal("[403, 403, 200, 403]", await scene.RunAsync(ProgramScene.Nobody, program));
        Assert.Equal("[200, 403, 200, 403]", await scene.RunAsync(1234, program));
        Assert.Equal("[403, 200, 200, 403]", await scene.RunAsync(ProgramScene.Nobody, program, "--groups=7,4321"));
        Assert.Equal("[200, 200, 200, 200]", await scene.RunAsync(0, program));
    }

    [Fact]
    public async Task A_program_is_its_file_and_not_what_it_is_called_in_a_mount_namespace()
    {
        var rights = new RightsConfig
        {
            Types = new Dictionary<AddressType, TypeRights> { [AddressType.Fixed] = new(null, null, ["/usr/bin/setpriv"]) },
        };
        await using ProgramScene scene = await ProgramScene.StartAsync(rights, audits: true);

        // Somebody who calls his own python /usr/bin/setpriv, where he is.
        string answer = await scene.RunAsync(0, """
            import subprocess
            client = r'''
            import json, os, socket, sys
            os.setgid(65534); os.setuid(65534)
            c = socket.socket(socket.AF_UNIX); c.connect(sys.argv[1])
            u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            body = json.dumps({"fd": u.fileno(), "type": "fixed"})
            c.sendall(("POST /v1/setsc HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)).encode())
            print(os.readlink("/proc/self/exe"), c.recv(12).decode())
            '''
            script = 'mount --bind "$0" /usr/bin/setpriv && exec /usr/bin/setpriv -c "$1" "$2"'
            run = subprocess.run(["unshare", "-m", "sh", "-c", script, os.path.realpath(sys.executable), client, path],
                capture_output=True, text=True)
            print(run.stdout.strip() or run.stderr)
            """);

        Assert.Equal("/usr/bin/setpriv HTTP/1.1 403", answer);
        JsonElement refused = Assert.Single(scene.ReadAudit());
        Assert.Equal("forbidden", refused.GetProperty("result").GetString());
        Assert.True(ulong.Parse(refused.GetProperty("cookie").GetString()!, CultureInfo.InvariantCulture) > 0);
    }

    [Fact]
    public async Task The_kernel_says_whose_a_socket_is_that_is_named_by_cookie_or_flow()
    {
        using var kernel = new KernelSockets();
        await using ProgramScene scene = await ProgramScene.StartAsync(lookup: kernel);
        using var roots = new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp);
        roots.Bind(new System.Net.IPEndPoint(System.Net.IPAddress.IPv6Loopback, 0));
        int port = ((System.Net.IPEndPoint)roots.LocalEndPoint!).Port;

        string answer = await scene.RunAsync(ProgramScene.Nobody, $$"""
            s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(("::1", 0))
            cookie = int.from_bytes(s.getsockopt(socket.SOL_SOCKET, 57, 8), sys.byteorder)
            def want(**one): return ask("POST", "/v1/setsc", {"type": "fixed", **one})[0]
            def flow(port): return {"protocol": "udp", "local": "[::1]:%d" % port}
            print(want(cookie=str(cookie)), want(flow=flow(s.getsockname()[1])), want(cookie="{{SocketCookie.Of(roots.SafeHandle)}}"), want(flow=flow({{port}})))
            """);

        Assert.Equal("200 200 403 403", answer);
        Assert.All(scene.Services.List(null), binding => Assert.Equal(ProgramScene.Nobody, binding.User));
    }

    [Fact]
    public async Task A_user_may_watch_so_many_times()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();

        string answer = await scene.RunAsync(ProgramScene.Nobody, """
            def watch():
                s = socket.socket(socket.AF_UNIX); s.connect(path)
                s.sendall(b"GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n")
                return s, s.recv(12)
            print([watch_[1][9:] for watch_ in [watch() for i in range(17)]].count(b"200"), ask("GET", "/v1/bindings")[0])
            """);

        Assert.Equal($"{UserAccount.MostWatches} 200", answer);
    }

    [Fact]
    public async Task Quotas_hold_for_a_user_over_all_sockets_and_requests()
    {
        var rights = new RightsConfig { Quotas = new UserQuotas { Addresses = 2, RequestsPerMinute = 5 } };
        var time = new ManualTime();
        await using ProgramScene scene = await ProgramScene.StartAsync(rights, time: time);
        scene.Services.Bind(77, 1234);
        const string program = """
            all = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for i in range(3)]
            def want(i): return ask("POST", "/v1/setsc", {"fd": all[i].fileno(), "type": "session-lasting"})[0]
            print([want(i) for i in (0, 1, 1, 2, 1, 0)])
            """;

        // Two of three sockets; one of them may ask again; the sixth request of the minute is one too many.
        Assert.Equal("[200, 200, 200, 429, 200, 429]", await scene.RunAsync(ProgramScene.Nobody, program));
        Assert.Equal("[200, 429, 429, 429, 429, 429]", await scene.RunAsync(1234, program));
        Assert.Equal("[200, 200, 200, 200, 200, 200]", await scene.RunAsync(0, program));
    }

    [Fact]
    public async Task A_prefix_too_many_is_given_back()
    {
        var rights = new RightsConfig { Quotas = new UserQuotas { Prefixes = 1 } };
        await using ProgramScene scene = await ProgramScene.StartAsync(rights);
        scene.Services.NextPrefix = 1;

        string answer = await scene.RunAsync(ProgramScene.Nobody, """
            all = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for i in range(3)]
            def want(i, t): return ask("POST", "/v1/setsc", {"fd": all[i].fileno(), "type": t})[0]
            print(want(0, "fixed"), want(1, "fixed"), want(2, "nonpersistent"), len(ask("GET", "/v1/bindings")[1]["bindings"]))
            """);

        // The second got an address out of another prefix, the third was not even asked for.
        Assert.Equal("200 429 429 1", answer);
        Assert.Equal(2, scene.Services.Requests);
    }

    [Fact]
    public async Task The_flood_of_one_user_leaves_room_for_others()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();
        Task<string> flood = scene.RunAsync(ProgramScene.Nobody, """
            def connect():
                s = socket.socket(socket.AF_UNIX)
                while True:
                    try: s.connect(path); return s
                    except BlockingIOError: time.sleep(0.01)
            all = [connect() for i in range(200)]
            refused = 0
            for s in all:
                s.settimeout(0.02)
                try:
                    if b"429" in s.recv(100): refused += 1
                except TimeoutError: pass
            print(refused)
            sys.stdout.flush()
            """);

        for (int i = 0; i < 50; i++)
        {
            (System.Net.HttpStatusCode status, _) = await scene.SetAsync($$"""{"cookie": "{{1000 + i}}", "type": "fixed"}""");
            Assert.Equal(System.Net.HttpStatusCode.OK, status);
        }

        Assert.Equal((200 - UserAccount.MostConnections).ToString(System.Globalization.CultureInfo.InvariantCulture), await flood);
        Assert.Equal("200", await scene.RunAsync(ProgramScene.Nobody, """
            until = time.time() + 30
            while True:
                try: status = ask("GET", "/v1/bindings")[0]
                except OSError: status = 0
                if status == 200 or time.time() > until: break
            print(status)
            """));
    }
}

using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>What a socket of an <see cref="AskingProgram"/> was told.</summary>
/// <param name="Result">The result of <c>setsc()</c>; of a conversation without the library 0 or the problem's name.</param>
/// <param name="Address">The address; null unless granted.</param>
internal sealed record Told(string Result, string? Address)
{
    /// <summary><c>EAI_REQUIREDIPFAILED</c> of setsc.h.</summary>
    public const string Failed = "-202";

    public bool IsGranted => Result == "0";
}

/// <summary>
/// A program on the lab's host that asks for its sockets, each on a thread of its own: by the C library, or by HTTP without it. The library
/// holds on to the socket while it asks; without it close(2) ends the socket at once.
/// </summary>
internal sealed class AskingProgram
{
    private const string Program = """
        import ctypes, http.client, json, os, queue, resource, socket, struct, sys, threading

        library = ctypes.CDLL(sys.argv[1], use_errno=True)
        path = os.environ["ONDEMAND_PROGRAMS"]
        types = ["", "fixed", "session-lasting", "nonpersistent", "graceful-replacement"]
        lock = threading.Lock()
        sockets = {}

        class Options(ctypes.Structure):
            _fields_ = [("size", ctypes.c_size_t), ("flags", ctypes.c_uint), ("timeout", ctypes.c_int)]

        class Conversation(http.client.HTTPConnection):
            def connect(self):
                self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self.sock.connect(path)

        def say(**message):
            with lock:
                print(json.dumps(message), flush=True)

        def cookie_of(one):
            return str(struct.unpack("Q", one.getsockopt(socket.SOL_SOCKET, 57, 8))[0])

        def open_socket(order):
            return socket.socket(socket.AF_INET6, socket.SOCK_DGRAM if order.get("udp") else socket.SOCK_STREAM)

        def by_library(one, order):
            address = (ctypes.c_ubyte * 16)()
            options = Options(ctypes.sizeof(Options), (1 if order.get("on-net") else 0) | (2 if order.get("map") else 0), int(1000 * order["timeout"]))
            result = library.setsc_opts(one.fileno(), address, types.index(order["type"]), ctypes.byref(options))
            return str(result), socket.inet_ntop(socket.AF_INET6, bytes(address)) if result == 0 else None

        def by_hand(one, order):
            body = {"fd": order["fd"], "type": order["type"], "timeout": order["timeout"], "on-net": order.get("on-net", False), "map": order.get("map", False)}
            try:
                conversation = Conversation("localhost", timeout=order["timeout"] + 5)
                conversation.request("POST", "/v1/setsc", json.dumps(body), {"Content-Type": "application/json", "Connection": "close"})
                answer = json.loads(conversation.getresponse().read())
            except (OSError, http.client.HTTPException) as problem:
                return type(problem).__name__, None
            return ("0", answer["address"]) if "address" in answer else (answer["type"].split(":")[-1], None)

        def ask(one, order):
            result, address = by_library(one, order) if order.get("library", True) else by_hand(one, order)
            say(told=order["socket"], result=result, address=address)

        def ask_for_many(left):
            while True:
                try:
                    one, order = left.get_nowait()
                except queue.Empty:
                    return
                result, address = by_library(one, order)
                say(told=order["socket"], result=result, address=address, cookie=cookie_of(one), type=order["type"])

        def many(order):
            resource.setrlimit(resource.RLIMIT_NOFILE, (order["many"] + 1000, max(order["many"] + 1000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
            if "user" in order:
                os.setuid(order["user"])
            left = queue.Queue()
            for number in range(order["many"]):
                sockets[number] = open_socket({"udp": number % 8 >= 4})
                left.put((sockets[number], {"socket": number, "type": types[1 + number % 4], "map": number % 3 == 0, "timeout": 60}))
            for _ in range(order["threads"]):
                threading.Thread(target=ask_for_many, args=(left,), daemon=True).start()

        def converse(one, order):
            try:
                if order["address"] is not None:
                    one.bind((order["address"], 0))
                one.settimeout(10)
                one.connect((order["to"], order["port"]))
                one.sendall(b"who\n")
                return one.recv(256).decode().strip(), None
            except OSError as problem:
                return type(problem).__name__ + " " + str(problem), None

        for line in sys.stdin:
            order = json.loads(line)
            if "many" in order:
                many(order)
                continue
            if "exit" in order:
                os._exit(0)
            if "close" in order and order["close"] is None:
                for one in sockets.values():
                    one.close()
                sockets.clear()
                say(closed=True)
                continue
            if "list" in order:
                conversation = Conversation("localhost")
                conversation.request("GET", "/v1/bindings")
                say(listed=[binding["cookie"] for binding in json.loads(conversation.getresponse().read())["bindings"]])
                continue
            if "close" in order:
                sockets.pop(order["close"]).close()
                continue
            if "converse" in order:
                result, address = converse(sockets[order["converse"]], order)
                say(told=order["converse"], result=result, address=address)
                continue
            if order["socket"] not in sockets:
                sockets[order["socket"]] = open_socket(order)
            one = sockets[order["socket"]]
            order["fd"] = one.fileno()
            say(cookie=cookie_of(one), socket=order["socket"])
            threading.Thread(target=ask, args=(one, order), daemon=True).start()
        """;

    private static readonly TimeSpan InTime = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly ConcurrentDictionary<int, TaskCompletionSource<Told>> _told = new();
    private readonly ConcurrentDictionary<int, TaskCompletionSource<string>> _cookies = new();
    private readonly TaskCompletionSource<string[]> _listed = new();
    private readonly TaskCompletionSource _closed = new();
    private readonly Task _reading;

    private AskingProgram(Process process)
    {
        _process = process;
        _reading = Task.Run(ReadAsync);
    }

    /// <summary>What its sockets were told when it asked for many, in order.</summary>
    public ConcurrentQueue<(int Number, string Cookie, string Type, Told Told)> Answers { get; } = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Starts one.</summary>
    /// <param name="rig">The lab.</param>
    /// <param name="place">Where the C library was built.</param>
    public static AskingProgram Start(LabRig rig, string place)
    {
        string file = Path.Combine(place, "asking.py");
        File.WriteAllText(file, Program);
        return new AskingProgram(rig.Start(
            LabNodes.Host, "env", $"ONDEMAND_PROGRAMS={rig.Lab.Directory.Programs}", CommandRunner.Find("python3"), file,
            Path.Combine(place, "libsetsc.so.1")));
    }

    /// <summary>Asks for a socket, which it opens if there is none of the number.</summary>
    /// <returns>The socket's cookie; and what it is told, which is there later.</returns>
    public async Task<(string Cookie, Task<Told> Told)> AskAsync(
        int socket, string type, bool library = true, bool onNet = false, bool map = false, double timeout = 10)
    {
        var told = new TaskCompletionSource<Told>();
        var cookie = new TaskCompletionSource<string>();
        _told[socket] = told;
        _cookies[socket] = cookie;
        await OrderAsync(new Dictionary<string, object?>
        {
            ["socket"] = socket,
            ["type"] = type,
            ["library"] = library,
            ["on-net"] = onNet,
            ["map"] = map,
            ["timeout"] = timeout,
        });
        return (await cookie.Task.WaitAsync(InTime, Cancellation), told.Task);
    }

    /// <summary>Connects a socket, bound to the address if there is one, and says what a <see cref="LineServer"/> answers.</summary>
    public async Task<string> ConverseAsync(int socket, string? address, int port)
    {
        var told = new TaskCompletionSource<Told>();
        _told[socket] = told;
        await OrderAsync(new Dictionary<string, object?>
        {
            ["converse"] = socket,
            ["address"] = address,
            ["to"] = LabLinks.PeerAddress,
            ["port"] = port,
        });
        return (await told.Task.WaitAsync(InTime, Cancellation)).Result;
    }

    /// <summary>Opens many sockets and asks for all of them, types in turn.</summary>
    public Task AskForManyAsync(int count, int threads, int? user)
    {
        var order = new Dictionary<string, object?> { ["many"] = count, ["threads"] = threads };
        if (user is { } other)
        {
            order["user"] = other;
        }

        return OrderAsync(order);
    }

    /// <summary>The bindings that its user is told of, by cookie.</summary>
    public async Task<string[]> ListAsync()
    {
        await OrderAsync(new Dictionary<string, object?> { ["list"] = true });
        return await _listed.Task.WaitAsync(InTime, Cancellation);
    }

    public Task CloseAsync(int socket) => OrderAsync(new Dictionary<string, object?> { ["close"] = socket });

    public async Task CloseAllAsync()
    {
        await OrderAsync(new Dictionary<string, object?> { ["close"] = null });
        await _closed.Task.WaitAsync(InTime, Cancellation);
    }

    /// <summary>Lets it exit without another word.</summary>
    public async Task ExitAsync()
    {
        await OrderAsync(new Dictionary<string, object?> { ["exit"] = true });
        await EndedAsync();
    }

    public async Task KillAsync()
    {
        _ = Libc.Kill(_process.Id, Libc.SignalKill);
        await EndedAsync();
    }

    private async Task EndedAsync()
    {
        await _process.WaitForExitAsync(Cancellation).WaitAsync(InTime, Cancellation);
        await _reading.WaitAsync(InTime, Cancellation);
    }

    private async Task OrderAsync(Dictionary<string, object?> order)
    {
        await _process.StandardInput.WriteLineAsync(JsonSerializer.Serialize(order).AsMemory(), Cancellation);
        await _process.StandardInput.FlushAsync(Cancellation);
    }

    private async Task ReadAsync()
    {
        while (await _process.StandardOutput.ReadLineAsync() is { } line)
        {
            using JsonDocument message = JsonDocument.Parse(line);
            JsonElement said = message.RootElement;
            if (said.TryGetProperty("told", out JsonElement number))
            {
                var told = new Told(said.GetProperty("result").GetString()!, said.GetProperty("address").GetString());
                if (said.TryGetProperty("cookie", out JsonElement cookie))
                {
                    Answers.Enqueue((number.GetInt32(), cookie.GetString()!, said.GetProperty("type").GetString()!, told));
                }
                else
                {
                    _told[number.GetInt32()].SetResult(told);
                }
            }
            else if (said.TryGetProperty("listed", out JsonElement listed))
            {
                _listed.SetResult([.. listed.EnumerateArray().Select(one => one.GetString()!)]);
            }
            else if (said.TryGetProperty("closed", out _))
            {
                _closed.SetResult();
            }
            else
            {
                _cookies[said.GetProperty("socket").GetInt32()].SetResult(said.GetProperty("cookie").GetString()!);
            }
        }

        // Whoever waits is told why nothing comes.
        string error = await _process.StandardError.ReadToEndAsync();
        var ended = new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"The asking program ended: {error}"));
        _listed.TrySetException(ended);
        _closed.TrySetException(ended);
        foreach (TaskCompletionSource<Told> waiting in _told.Values)
        {
            waiting.TrySetException(ended);
        }

        foreach (TaskCompletionSource<string> waiting in _cookies.Values)
        {
            waiting.TrySetException(ended);
        }
    }
}

using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Linux.Control;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Run;
using OnDemand.Linux.Sockets;

namespace OnDemand.Linux.Service;

/// <summary>
/// Stands between the engine and the kernel's knowledge of sockets, on a thread of its own: the engine's questions go to sock_diag, its
/// answers come back, and so do the ends of sockets, in an order in which no socket ends before it is known.
/// </summary>
/// <remarks>
/// A socket that was found was alive then, so the notice of its end is still to be read when the answer is given; and news reach the engine
/// in the order in which they are given. When notices were lost, what the engine still knows is held against what the kernel has.
/// </remarks>
internal sealed class SocketBroker : IDisposable
{
    private const int BatchLength = 32;
    private const int NewsCapacity = 1 << 14;
    private static readonly SocketProtocol[] Protocols = [SocketProtocol.Tcp, SocketProtocol.Udp];
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(1);

    private readonly SocketDiag _diag;
    private readonly SocketDestroyMonitor _ends;
    private readonly ISocketJudge? _judge;
    private readonly Action<string> _say;
    private readonly HandOver<SocketQuestion> _questions;
    private readonly HandOver<SocketNews> _news = new(NewsCapacity);
    private readonly HandOver<FlowIdentity> _stranded = new(NewsCapacity);
    private readonly WakeUp _wakeUp = new();
    private readonly PollEntry[] _waitsOn = new PollEntry[2];
    private readonly int[] _ids = new int[BatchLength];
    private readonly SocketQuery[] _queries = new SocketQuery[BatchLength];
    private readonly SocketRecord[] _records = new SocketRecord[BatchLength];
    private readonly bool[] _found = new bool[BatchLength];
    private Thread? _thread;
    private Action _wakeEngine = static () => { };
    private IDataplaneControl? _control;
    private int _interface;
    private volatile bool _stopping;
    private bool _hasFailed;

    /// <summary>Makes one; it begins with <see cref="Start"/>. The kernel is asked about the network namespace of the calling
    /// thread.</summary>
    /// <param name="capacity">Questions that may be open at once.</param>
    /// <param name="judge">Judges sockets; null for nobody.</param>
    /// <param name="say">Takes sentences for the user.</param>
    /// <exception cref="HostException">The kernel cannot tell of sockets.</exception>
    public SocketBroker(int capacity, ISocketJudge? judge, Action<string> say)
    {
        _questions = new HandOver<SocketQuestion>(capacity);
        _judge = judge;
        _say = say;
        _ends = SocketDestroyMonitor.Open();
        try
        {
            _diag = SocketDiag.Open();
        }
        catch
        {
            _ends.Dispose();
            throw;
        }

        _waitsOn[0] = new PollEntry { Descriptor = _wakeUp.Descriptor, Wanted = Libc.PollIn };
        _waitsOn[1] = new PollEntry { Descriptor = _ends.Descriptor, Wanted = Libc.PollIn };
    }

    /// <summary>Whether there are news. For the engine's thread.</summary>
    public bool HasNews => !_news.IsEmpty;

    /// <summary>Questions that found a socket.</summary>
    public long Found { get; private set; }

    /// <summary>Questions that found none: closed already, or no program's.</summary>
    public long NotFound { get; private set; }

    /// <summary>Sockets aborted.</summary>
    public long Aborted { get; private set; }

    /// <summary>How often notices were lost.</summary>
    public long Overflows { get; private set; }

    /// <summary>Removes the sockets that programs still have. Before <see cref="Start"/>.</summary>
    /// <param name="cookies">Sockets; afterwards those of them that have ended.</param>
    public void RemoveLiving(HashSet<ulong> cookies)
    {
        foreach (SocketProtocol protocol in cookies.Count > 0 ? Protocols : [])
        {
            _diag.Dump(protocol, SocketStates.OfPrograms, (in SocketRecord socket) =>
            {
                if (socket.HasProgram)
                {
                    _ = cookies.Remove(socket.Cookie);
                }
            });
        }

        // One that has asked for its address and is not bound to it yet is in no table of the kernel's.
        ProcessSockets.RemoveOpen(cookies);
    }

    /// <summary>Begins.</summary>
    /// <param name="interfaceIndex">The TAP's number.</param>
    /// <param name="wakeEngine">Wakes the engine's thread when there are news.</param>
    /// <param name="control">The way to the engine, to hold what it knows against what the kernel has; null to do without.</param>
    public void Start(int interfaceIndex, Action wakeEngine, IDataplaneControl? control)
    {
        _interface = interfaceIndex;
        _wakeEngine = wakeEngine;
        _control = control;
        _thread = new Thread(Run) { IsBackground = true, Name = "sockets" };
        _thread.Start();
    }

    /// <summary>Takes a question of the engine. On the engine's thread.</summary>
    /// <param name="question">The question.</param>
    public void Ask(in SocketQuestion question)
    {
        // One that found no room would be answered by the engine itself, when its time is up; but as many may be open as fit here.
        _ = _questions.TryGive(question);
        _wakeUp.Ring();
    }

    /// <summary>Aborts the connection of a socket that had bound itself to an address which has ended. The engine has sent its stack a RST
    /// already where it knew the numbers; this finds it also where it did not. On the engine's thread.</summary>
    /// <param name="flow">The connection.</param>
    public void Abort(in FlowIdentity flow)
    {
        _ = _stranded.TryGive(flow);                 // what finds no room learns by the RST, or with its next packet
        _wakeUp.Ring();
    }

    /// <summary>Takes the next news. On the engine's thread.</summary>
    /// <param name="news">The news.</param>
    /// <returns>Whether there were any.</returns>
    public bool TryTake(out SocketNews news) => _news.TryTake(out news);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_stopping)
        {
            return;
        }

        _stopping = true;
        _wakeUp.Ring();
        _thread?.Join();
        _diag.Dispose();
        _ends.Dispose();
        _wakeUp.Dispose();
    }

    private void Run()
    {
        Guard(NameFlows);
        while (!_stopping)
        {
            Guard(Turn);
        }
    }

    // A netlink socket that fails once may work again; the engine goes on without answers meanwhile, by port and policy.
    private void Guard(Action work)
    {
        try
        {
            work();
        }
        catch (Exception problem) when (problem is LinuxException or HostException)
        {
            if (!_hasFailed)
            {
                _hasFailed = true;
                _say($"The kernel does not tell whose flows are: {problem.Message.TrimEnd('.')}; types go by port and policy meanwhile.");
            }

            Thread.Sleep(Pause);
        }
    }

    private void Turn()
    {
        bool worked = AnswerQuestions();
        worked |= AbortStranded();
        worked |= TellEnds();
        if (_ends.TakeOverflow())
        {
            Overflows++;
            FindEnded();
        }

        if (!worked)
        {
            Wait();
        }
    }

    private unsafe void Wait()
    {
        if (Libc.Poll(_waitsOn, (nuint)_waitsOn.Length, null, 0) > 0 && _waitsOn[0].Found != 0)
        {
            _wakeUp.Answer();
        }
    }

    private bool AnswerQuestions()
    {
        int count = 0;
        while (count < BatchLength && _questions.TryTake(out SocketQuestion question))
        {
            _ids[count] = question.Id;
            _queries[count++] = QueryOf(question.Flow);
        }

        if (count == 0)
        {
            return false;
        }

        _diag.Find(_queries.AsSpan(0, count), _records.AsSpan(0, count), _found.AsSpan(0, count));
        for (int i = 0; i < count; i++)
        {
            Give(new SocketNews(SocketNewsKind.Answer, AnswerTo(_ids[i], _found[i], _records[i])));
        }

        _wakeEngine();
        return true;
    }

    private SocketAnswer AnswerTo(int id, bool found, in SocketRecord socket)
    {
        // What remains of a connection whose program has closed it is nobody's.
        if (!found || socket is { HasProgram: false } or { State: SocketState.Listen })
        {
            NotFound++;
            return new SocketAnswer { Id = id };
        }

        Found++;
        SocketVerdict verdict = _judge?.Judge(socket) ?? default;
        return new SocketAnswer { Id = id, Cookie = socket.Cookie, Traits = verdict.Traits, Type = verdict.Type, OnNet = verdict.OnNet };
    }

    private bool AbortStranded()
    {
        bool any = false;
        for (; _stranded.TryTake(out FlowIdentity flow); any = true)
        {
            if (_diag.TryFind(QueryOf(flow), out SocketRecord socket) && socket is { HasProgram: true, State: not SocketState.Listen }
                && _diag.Destroy(socket) == DestroyResult.Destroyed)
            {
                Aborted++;
            }
        }

        return any;
    }

    private bool TellEnds()
    {
        bool any = false;
        for (int i = 0; i < NewsCapacity && _ends.TryTake(out SocketRecord ended); i++)
        {
            Give(new SocketNews(SocketNewsKind.Ended, Cookie: ended.Cookie));
            any = true;
        }

        if (any)
        {
            _wakeEngine();
        }

        return any;
    }

    // Flows that an earlier run left have no socket yet.
    private void NameFlows()
    {
        if (_control is null)
        {
            return;
        }

        var flows = new FlowSnapshot[1024];
        for (int cursor = 0; cursor >= 0 && !_stopping;)
        {
            int from = cursor;
            (int count, cursor) = Ask(context =>
            {
                int next = from;
                int copied = context.Engine.CopyFlows(ref next, flows);
                return (copied, next);
            });
            foreach (FlowSnapshot flow in flows.AsSpan(0, count))
            {
                if (flow.Socket == 0 && flow.Identity.Protocol is (byte)SocketProtocol.Tcp or (byte)SocketProtocol.Udp
                    && _diag.TryFind(QueryOf(flow.Identity), out SocketRecord socket) && socket is { HasProgram: true, State: not SocketState.Listen })
                {
                    Give(new SocketNews(SocketNewsKind.Named, Cookie: socket.Cookie, Flow: flow.Identity));
                }
            }

            _wakeEngine();
        }
    }

    // Notices were lost. A socket may be missing in a dump because it moved meanwhile, so only what two dumps do not have is taken for ended.
    private void FindEnded()
    {
        if (_control is null)
        {
            return;
        }

        HashSet<ulong> ended = [];
        ulong[] cookies = new ulong[1024];
        foreach (bool asking in (ReadOnlySpan<bool>)[false, true])
        {
            for (int cursor = 0; cursor >= 0 && !_stopping;)
            {
                int from = cursor;
                (int count, cursor) = Ask(context =>
                {
                    int next = from;
                    int copied = asking ? context.Engine.CopyAskingSockets(ref next, cookies) : context.Engine.CopySockets(ref next, cookies);
                    return (copied, next);
                });
                ended.UnionWith(cookies[..count]);
            }
        }

        ended.UnionWith(_judge?.Counted ?? []);
        RemoveLiving(ended);
        RemoveLiving(ended);
        foreach (ulong cookie in ended)
        {
            Give(new SocketNews(SocketNewsKind.Ended, Cookie: cookie));
        }

        _wakeEngine();
    }

    // While the dataplane shuts down nobody answers any more, and nobody needs to know.
    private (int Count, int Next) Ask(Func<ControlContext, (int Count, int Next)> work)
    {
        try
        {
            return _control!.RunAsync(work).GetAwaiter().GetResult();
        }
        catch (InvalidOperationException)
        {
            return (0, -1);
        }
    }

    // The engine takes news with every turn, so room comes soon.
    private void Give(in SocketNews news)
    {
        while (!_news.TryGive(news) && !_stopping)
        {
            _wakeEngine();
            Thread.Sleep(Pause);
        }
    }

    private SocketQuery QueryOf(in FlowIdentity flow) =>
        new((SocketProtocol)flow.Protocol, flow.Internal, flow.LocalPort, flow.Remote, flow.RemotePort) { InterfaceIndex = _interface };
}

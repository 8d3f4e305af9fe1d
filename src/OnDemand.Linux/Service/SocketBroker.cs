using System.Diagnostics;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Selection;
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
    private const int EchoSocketsKept = 1024;        // the others end with their flows
    private static readonly SocketProtocol[] Protocols = [SocketProtocol.Tcp, SocketProtocol.Udp];
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan UsualSweep = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan UsualPatience = TimeSpan.FromMilliseconds(25);

    private readonly SocketDiag _diag;
    private readonly SocketDestroyMonitor _ends;
    private readonly ISocketJudge? _judge;
    private readonly PreferenceReader? _preferences;
    private readonly EchoSockets? _echoes;
    private readonly Dictionary<ulong, AskingSocket> _echoSockets = [];
    private readonly Queue<SocketQuestion> _echoQuestions = new(BatchLength);
    private readonly UnclaimedDatagrams _unclaimed;
    private readonly Action<string> _say;
    private readonly HandOver<SocketQuestion> _questions;
    private readonly HandOver<SocketNews> _news = new(NewsCapacity);
    private readonly HandOver<FlowIdentity> _stranded = new(NewsCapacity);
    private readonly WakeUp _wakeUp = new();
    private readonly PollEntry[] _waitsOn = new PollEntry[2];
    private readonly SocketQuestion[] _asked = new SocketQuestion[BatchLength];
    private readonly SocketQuery[] _queries = new SocketQuery[BatchLength];
    private readonly SocketRecord[] _records = new SocketRecord[BatchLength];
    private readonly bool[] _found = new bool[BatchLength];
    private readonly Queue<(SocketAnswer Answer, SocketRecord Socket)> _unread = new(BatchLength);
    private Thread? _thread;
    private Action _wakeEngine = static () => { };
    private IDataplaneControl? _control;
    private Func<IEnumerable<AskingSocket>> _asking = static () => [];
    private TimeSpan _sweep = UsualSweep;
    private long _swept = Stopwatch.GetTimestamp();
    private int _interface;
    private volatile bool _stopping;
    private Dictionary<ulong, SocketHolder> _moved = [];
    private bool _hasFailed;

    /// <summary>Makes one; it begins with <see cref="Start"/>. The kernel is asked about the network namespace of the calling
    /// thread.</summary>
    /// <param name="capacity">Questions that may be open at once.</param>
    /// <param name="judge">Judges sockets; null for nobody.</param>
    /// <param name="say">Takes sentences for the user.</param>
    /// <param name="preferences">Reads what programs prefer of the addresses of their sockets; null to let that be.</param>
    /// <param name="echoes">Opens what finds the sockets of echoes; null for nothing.</param>
    /// <param name="patience">How long a datagram that no socket has sent waits for the word that its socket has ended; 25 ms if null.</param>
    /// <exception cref="HostException">The kernel cannot tell of sockets.</exception>
    public SocketBroker(
        int capacity, ISocketJudge? judge, Action<string> say, PreferenceReader? preferences = null, Func<EchoSockets?>? echoes = null,
        TimeSpan? patience = null)
    {
        _unclaimed = new UnclaimedDatagrams(patience ?? UsualPatience);
        _questions = new HandOver<SocketQuestion>(capacity);
        _judge = judge;
        _preferences = preferences;
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

        _echoes = echoes?.Invoke();
        _waitsOn[0] = new PollEntry { Descriptor = _wakeUp.Descriptor, Wanted = Libc.PollIn };
        _waitsOn[1] = new PollEntry { Descriptor = _ends.Descriptor, Wanted = Libc.PollIn };
    }

    /// <summary>Whether it can tell the sockets of echoes.</summary>
    public bool KnowsEchoes => _echoes is not null;

    /// <summary>Whether there are news. For the engine's thread.</summary>
    public bool HasNews => !_news.IsEmpty;

    /// <summary>Questions that found a socket.</summary>
    public long Found { get; private set; }

    /// <summary>Questions that found none: closed already, or no program's.</summary>
    public long NotFound { get; private set; }

    /// <summary>Questions that wait for the word that a socket has ended.</summary>
    public int Unclaimed => _unclaimed.Count;

    /// <summary>Sockets aborted.</summary>
    public long Aborted { get; private set; }

    /// <summary>How often notices were lost.</summary>
    public long Overflows { get; private set; }

    /// <summary>The sockets of programs that are there. Before <see cref="Start"/>.</summary>
    /// <returns>Their cookies.</returns>
    public HashSet<ulong> Living()
    {
        HashSet<ulong> living = [];
        foreach (SocketProtocol protocol in Protocols)
        {
            _diag.Dump(protocol, SocketStates.OfPrograms, (in SocketRecord socket) =>
            {
                if (socket.HasProgram)
                {
                    _ = living.Add(socket.Cookie);
                }
            });
        }

        return living;
    }

    /// <summary>Begins.</summary>
    /// <param name="interfaceIndex">The TAP's number.</param>
    /// <param name="wakeEngine">Wakes the engine's thread when there are news.</param>
    /// <param name="control">The way to the engine, to hold what it knows against what the kernel has; null to do without.</param>
    /// <param name="asking">The sockets that have asked for something; null for none.</param>
    /// <param name="sweep">How often it is looked whether those are still there; every minute if null. The kernel tells of each end, but may
    /// do so before the engine has heard of the socket.</param>
    public void Start(
        int interfaceIndex, Action wakeEngine, IDataplaneControl? control, Func<IEnumerable<AskingSocket>>? asking = null, TimeSpan? sweep = null)
    {
        _interface = interfaceIndex;
        _wakeEngine = wakeEngine;
        _control = control;
        _asking = asking ?? (static () => []);
        _sweep = sweep ?? UsualSweep;
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
        _echoes?.Dispose();
        _ends.Dispose();
        _wakeUp.Dispose();
    }

    private void Run()
    {
        _preferences?.Prepare();
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
        worked |= GiveUpUnclaimed();
        if (_ends.TakeOverflow())
        {
            Overflows++;
            FindEnded();
        }

        TimeSpan left = _sweep - Stopwatch.GetElapsedTime(_swept);
        if (left <= TimeSpan.Zero)
        {
            Sweep();
            _swept = Stopwatch.GetTimestamp();
            worked = true;
        }

        if (!worked)
        {
            Wait(_unclaimed.Count > 0 && _unclaimed.Left < left ? _unclaimed.Left : left);
        }
    }

    private unsafe void Wait(TimeSpan most)
    {
        var limit = new TimeSpec { Seconds = most.Ticks / TimeSpan.TicksPerSecond, Nanoseconds = most.Ticks % TimeSpan.TicksPerSecond * 100 };
        if (Libc.Poll(_waitsOn, (nuint)_waitsOn.Length, &limit, 0) > 0 && _waitsOn[0].Found != 0)
        {
            _wakeUp.Answer();
        }
    }

    private bool AnswerQuestions()
    {
        int count = 0;
        while (count < BatchLength && _questions.TryTake(out SocketQuestion question))
        {
            if (question.Flow.Protocol == (byte)SocketProtocol.Icmpv6)
            {
                _echoQuestions.Enqueue(question);
                continue;
            }

            _asked[count] = question;
            _queries[count++] = QueryOf(question.Flow);
        }

        if (count == 0)
        {
            return AnswerEchoes();
        }

        _diag.Find(_queries.AsSpan(0, count), _records.AsSpan(0, count), _found.AsSpan(0, count));
        for (int i = 0; i < count; i++)
        {
            if (!_found[i] && (AnswersAfterEnd(_asked[i], _queries[i]) || _unclaimed.TryAdd(_asked[i])))
            {
                continue;
            }

            if (TryAnswer(_asked[i], _found[i], _records[i], out SocketAnswer answer))
            {
                Give(new SocketNews(SocketNewsKind.Answer, answer));
            }
            else
            {
                _unread.Enqueue((answer, _records[i]));
            }
        }

        _wakeEngine();
        ReadPreferences();
        _ = AnswerEchoes();
        return true;
    }

    // Who has the socket has to be searched for here too.
    private bool AnswerEchoes()
    {
        bool any = false;
        for (; _echoQuestions.TryDequeue(out SocketQuestion question); _wakeEngine())
        {
            any = true;
            var answer = new SocketAnswer { Id = question.Id };
            if (_echoes is not null && _echoes.TryFind(question.Flow, out SocketRecord socket, out SocketHolder holder))
            {
                _ = TryAnswer(question, found: true, socket, out answer);
                Remember(socket, holder);
            }
            else
            {
                NotFound++;
            }

            Give(new SocketNews(SocketNewsKind.Answer, answer));
        }

        return any;
    }

    // Nobody tells of the end of a socket for echoes, so it is looked for with every sweep.
    private void Remember(in SocketRecord socket, SocketHolder holder)
    {
        if (socket.Cookie != 0 && _echoSockets.Count < EchoSocketsKept)
        {
            _echoSockets[socket.Cookie] = new AskingSocket(socket.Cookie, new SocketPlace(holder, socket.Inode));
        }
    }

    // Who has a socket may have to be searched for: nobody else waits for that.
    private void ReadPreferences()
    {
        for (; _unread.TryDequeue(out (SocketAnswer Answer, SocketRecord Socket) waiting); _wakeEngine())
        {
            Give(new SocketNews(SocketNewsKind.Answer, waiting.Answer with { Preferences = _preferences!.Search(waiting.Socket) }));
        }
    }

    // Gives whether that is all: else its program's preferences are still to be read.
    private bool TryAnswer(in SocketQuestion question, bool found, in SocketRecord socket, out SocketAnswer answer)
    {
        answer = new SocketAnswer { Id = question.Id };
        if (!found || !Is(socket, question))
        {
            NotFound++;
            return true;
        }

        Found++;
        if (question.Kind != SocketQuestionKind.Sender)
        {
            answer = answer with { Cookie = socket.Cookie };
            return true;
        }

        SocketVerdict verdict = _judge?.Judge(socket) ?? default;
        answer = answer with { Cookie = socket.Cookie, Traits = verdict.Traits, Type = verdict.Type, OnNet = verdict.OnNet };
        if (!verdict.MayPrefer || _preferences is null)
        {
            return true;
        }

        bool isRead = _preferences.TryReadAtHand(socket, out AddressPreferences preferences);
        answer = answer with { Preferences = preferences };
        return isRead;
    }

    private static bool Is(in SocketRecord socket, in SocketQuestion question) => question.Kind switch
    {
        // What is bound to the address itself, and what remains of its connections.
        SocketQuestionKind.Listener => socket.Local == question.Flow.Internal,

        // A connection has a socket before its program takes it.
        SocketQuestionKind.Receiver => socket.State != SocketState.Listen && (socket.HasProgram
            || socket.State is SocketState.SynReceived or SocketState.NewSynReceived or SocketState.Established or SocketState.CloseWait),

        // What remains of a connection whose program has closed it is nobody's.
        _ => socket is { HasProgram: true, State: not SocketState.Listen },
    };

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
            _unclaimed.End(ended);
            for (; _unclaimed.TryTake(QueryOf, ended, out SocketQuestion question); Found++)
            {
                Give(new SocketNews(SocketNewsKind.Answer, new SocketAnswer { Id = question.Id, Cookie = ended.Cookie }));
            }

            Give(new SocketNews(SocketNewsKind.Ended, Cookie: ended.Cookie));
            any = true;
        }

        if (any)
        {
            _wakeEngine();
        }

        return any;
    }

    // The end was told already; it is told again, for the flow that opens by this answer.
    private bool AnswersAfterEnd(in SocketQuestion question, in SocketQuery query)
    {
        if (!_unclaimed.TryFindEnded(question, query, out ulong cookie))
        {
            return false;
        }

        Found++;
        Give(new SocketNews(SocketNewsKind.Answer, new SocketAnswer { Id = question.Id, Cookie = cookie }));
        Give(new SocketNews(SocketNewsKind.Ended, Cookie: cookie));
        return true;
    }

    private bool GiveUpUnclaimed()
    {
        bool any = false;
        for (; _unclaimed.TryGiveUp(out SocketQuestion question); any = true)
        {
            NotFound++;
            Give(new SocketNews(SocketNewsKind.Answer, new SocketAnswer { Id = question.Id }));
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

    // The end of a socket that was told before its request came to the engine is not told again.
    private void Sweep()
    {
        if (!PlacedSockets.AreAllThere(Placed()))
        {
            FindEnded();
        }
    }

    // Where the sockets are that have asked, as far as that is known better by now.
    private AskingSocket[] Placed()
    {
        AskingSocket[] asking = [.. _asking(), .. _echoSockets.Values];
        for (int i = 0; i < asking.Length && _moved.Count > 0; i++)
        {
            if (_moved.TryGetValue(asking[i].Cookie, out SocketHolder holder))
            {
                asking[i] = asking[i] with { Place = asking[i].Place with { Holder = holder } };
            }
        }

        return asking;
    }

    // Notices were lost. A socket may be missing in a dump because it moved meanwhile, so only what two dumps do not have, and no process
    // either, is taken for ended.
    private void FindEnded()
    {
        HashSet<ulong> known = [];
        ulong[] cookies = new ulong[1024];
        for (int cursor = _control is null ? -1 : 0; cursor >= 0 && !_stopping;)
        {
            int from = cursor;
            (int count, cursor) = Ask(context =>
            {
                int next = from;
                int copied = context.Engine.CopySockets(ref next, cookies);
                return (copied, next);
            });
            known.UnionWith(cookies[..count]);
        }

        AskingSocket[] asking = Placed();
        known.UnionWith(asking.Select(socket => socket.Cookie));
        known.UnionWith(_judge?.Counted ?? []);
        known.ExceptWith(Living());
        known.ExceptWith(Living());
        _moved = PlacedSockets.Find(asking);
        known.ExceptWith(_moved.Keys);
        foreach (ulong cookie in known)
        {
            _ = _echoSockets.Remove(cookie);
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

    private SocketQuery QueryOf(FlowIdentity flow) =>
        new((SocketProtocol)flow.Protocol, flow.Internal, flow.LocalPort, flow.Remote, flow.RemotePort) { InterfaceIndex = _interface };
}

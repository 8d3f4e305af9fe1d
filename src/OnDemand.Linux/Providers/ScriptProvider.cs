using System.Threading.Channels;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Service;

namespace OnDemand.Linux.Providers;

// Theory of operation. Two sides that meet in two queues, so that neither waits for the other:
//
//   engine's thread     this class: the request book, what the host has of the provider; lines out
//   pool                ProviderProgram: the process and its pipes; lines in, read and checked
//
// What the program says is done by the engine's thread one by one, and settled before the next is taken. So everything that the engine
// reports between two takes is what came of the first, and a grant that led to nothing is given back.

/// <summary>A program that speaks to the network: JSON lines over its standard input and output.</summary>
/// <remarks><see cref="ProviderText"/> and <see cref="ProviderReader"/> have the protocol.</remarks>
internal sealed class ScriptProvider : IPrefixProvider
{
    private const int NewsCapacity = 64;
    private static readonly Timestamp AtOnce = new(long.MinValue);

    private readonly ProviderSettings _settings;
    private readonly Action<string> _say;
    private readonly HandOver<ProgramNews> _news = new(NewsCapacity);
    private readonly ProviderProgram _program;
    private readonly RequestBook _book;
    private readonly Queue<ProviderNews> _answers = new();
    private readonly SortedSet<IpPrefix> _held = new(Comparer<IpPrefix>.Create(Compare));   // bounded as the engine's own prefixes are
    private ChannelWriter<byte[]>? _input;
    private string? _attachment;
    private IpPrefix? _offered;          // the grant that is being answered with
    private bool _isTaken;               // something was taken that is not settled yet
    private bool _refusesItself;         // its patience ends before the engine's
    private bool _hasLost;

    /// <summary>Makes one; the program is started with <see cref="Start"/>.</summary>
    /// <param name="settings">The program.</param>
    /// <param name="scenario">The configuration.</param>
    /// <param name="options">The engine's options.</param>
    /// <param name="say">Takes sentences for the user; from any thread.</param>
    /// <exception cref="HostException">There is no such program.</exception>
    public ScriptProvider(ProviderSettings settings, Scenario scenario, DataplaneOptions options, Action<string> say)
    {
        if (!File.Exists(settings.Command[0]))
        {
            throw new HostException(
                $"There is no provider program {settings.Command[0]}; put it there, or change 'host: provider: command'.");
        }

        _settings = settings;
        _say = say;
        _book = new RequestBook(settings.Retry, options.AddressSeed);
        var reader = new ProviderReader(scenario.Internal, settings.MayMove, options.MaximumPrefixes);
        _program = new ProviderProgram(settings, reader, _news, say);
    }

    /// <inheritdoc/>
    public Timestamp Next => _isTaken || _answers.Count > 0 || !_news.IsEmpty ? AtOnce : _book.Next;

    /// <summary>Answers that came when nobody waited for them any more.</summary>
    public long Late => _book.Late;

    /// <summary>Lines of the program that could not be used.</summary>
    public long Mistakes => _program.Mistakes;

    /// <summary>How often the program ended.</summary>
    public long Ends => _program.Ends;

    /// <inheritdoc/>
    public void Start(Action wake) => _program.Start(wake);

    /// <inheritdoc/>
    public void Ask(in PrefixRequest question, Timestamp deadline, Timestamp now)
    {
        Timestamp patience = now.Add(_settings.Timeout);
        _refusesItself = patience < deadline;
        _book.Ask(question, _refusesItself ? patience : deadline, now);
    }

    /// <inheritdoc/>
    public void Follow(in EngineEvent happened, string? attachment)
    {
        switch (happened.Kind)
        {
            case EngineEventKind.Attached or EngineEventKind.Detached:
                string? before = _attachment;
                _attachment = happened.Kind == EngineEventKind.Attached ? attachment : null;
                Send(ProviderText.Moved(_attachment));
                if (_attachment is not null && _attachment != before)
                {
                    AskAnew(happened.Time);
                }

                break;
            case EngineEventKind.PrefixAdded when _isTaken:
            case EngineEventKind.NetworkGranted when _isTaken:
                _held.Add(happened.Prefix);
                break;
            case EngineEventKind.PrefixEnded when _held.Remove(happened.Prefix):
                Send(ProviderText.Released(happened.Prefix));
                break;
            default:
                break;
        }
    }

    /// <inheritdoc/>
    public bool TryTake(Timestamp now, out ProviderNews news)
    {
        Settle();
        GiveUp(now);
        while (_book.TrySend(now, out RequestAttempt attempt))
        {
            Send(ProviderText.Request(attempt));
        }

        news = _answers.Count > 0 || !_news.TryTake(out ProgramNews item) ? default : Handle(item, now);
        if (news.Network is null && _answers.TryDequeue(out ProviderNews next) && next.Answer is { } answer)
        {
            news = next;
            _offered = answer.Kind == PrefixAnswerKind.Granted ? answer.Prefix.Prefix : _offered;
        }

        _isTaken = news != default;
        return _isTaken;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _program.DisposeAsync();

    // What was taken last has been done. A grant that the engine had no use for is the network's again.
    private void Settle()
    {
        _isTaken = false;
        if (_offered is { } prefix && _answers.Count == 0)
        {
            GiveBack(prefix);
            _offered = null;
        }
    }

    private void GiveBack(IpPrefix prefix)
    {
        if (!_held.Contains(prefix))
        {
            Send(ProviderText.Released(prefix));
        }
    }

    // What the place that was left had been asked for may be on its way here, and would be an address that has ended.
    private void AskAnew(Timestamp now)
    {
        foreach (int canceled in _book.Move(now))
        {
            Send(ProviderText.Cancel(canceled));
        }
    }

    private void GiveUp(Timestamp now)
    {
        while (_book.TryGiveUp(now, out int question, out int canceled))
        {
            if (canceled != 0)
            {
                Send(ProviderText.Cancel(canceled));
            }

            if (_refusesItself)
            {
                _answers.Enqueue(new ProviderNews(new PrefixAnswer(question, PrefixAnswerKind.Refused, default), IsSilence: true));
            }
        }
    }

    // Returns what is for the engine at once; answers go into their queue.
    private ProviderNews Handle(in ProgramNews item, Timestamp now)
    {
        switch (item.Kind)
        {
            case ProgramNewsKind.Started:
                _input = item.Input;
                Send(ProviderText.Hello(_attachment, _held));
                _book.Reach(now);
                return default;
            case ProgramNewsKind.Ended:
                _input = null;
                _book.Lose();
                return default;
            case ProgramNewsKind.Message when item.Message.Unasked is { } unasked:
                return new ProviderNews(Network: unasked);
            default:
                TakeAnswer(item.Message, item.Line);
                return default;
        }
    }

    private void TakeAnswer(in ProviderMessage message, long line)
    {
        AnswerFate fate = _book.Answer(message.Number, out IReadOnlyList<int>? questions);
        if (fate == AnswerFate.Unknown)
        {
            _program.Complain($"found an answer to request {message.Number}, expected the number of a request that was made", line, _input);
        }
        else if (fate == AnswerFate.Late && message.Kind == PrefixAnswerKind.Granted)
        {
            GiveBack(message.Prefix.Prefix);
        }

        foreach (int question in questions ?? [])
        {
            _answers.Enqueue(new ProviderNews(new PrefixAnswer(question, message.Kind, message.Prefix)));
        }
    }

    // A program that is not there will be told everything when it is; one that does not read is not waited for.
    private void Send(byte[] line)
    {
        if (_input?.TryWrite(line) == false && !_hasLost)
        {
            _hasLost = true;
            _say($"The provider {_settings.Command[0]} does not read what it is told; some of it is lost.");
        }
    }

    private static int Compare(IpPrefix left, IpPrefix right)
    {
        int order = left.Address.CompareTo(right.Address);
        return order != 0 ? order : left.Length.CompareTo(right.Length);
    }
}

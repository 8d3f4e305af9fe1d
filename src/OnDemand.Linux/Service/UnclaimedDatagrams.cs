using System.Diagnostics;
using OnDemand.Dataplane.Control;
using OnDemand.Linux.Sockets;

namespace OnDemand.Linux.Service;

/// <summary>
/// Questions for the senders of datagrams that no socket has sent, because it was closed at once. The kernel's notice of that comes a little
/// before the question or after it, and names cookie and ports, so the datagram still goes by what its socket asked for. Belongs to one
/// thread.
/// </summary>
/// <param name="patience">How long a question waits; the flow's packets do too.</param>
internal sealed class UnclaimedDatagrams(TimeSpan patience)
{
    private const int Most = 256;                    // each notice is held against all of them

    private const int MostEnded = 1024;

    private static readonly TimeSpan Lately = TimeSpan.FromMilliseconds(100);

    private readonly List<(SocketQuestion Question, long Since)> _waiting = new(Most);
    private readonly Queue<(SocketRecord Socket, long Since)> _ended = new(MostEnded);

    /// <summary>Questions that wait.</summary>
    public int Count => _waiting.Count;

    /// <summary>How long the first of them still waits, not less than nothing.</summary>
    public TimeSpan Left => TimeSpan.FromTicks(Math.Max(0, (patience - Stopwatch.GetElapsedTime(_waiting[0].Since)).Ticks));

    /// <summary>Notes that a socket has ended.</summary>
    /// <param name="ended">The socket.</param>
    public void End(in SocketRecord ended)
    {
        if (ended.Protocol != SocketProtocol.Udp)
        {
            return;
        }

        if (_ended.Count == MostEnded)
        {
            _ = _ended.Dequeue();
        }

        _ended.Enqueue((ended, Stopwatch.GetTimestamp()));
    }

    /// <summary>Finds the socket that has ended lately and may be the answer to a question.</summary>
    /// <param name="question">The question, to which no socket was found.</param>
    /// <param name="query">The same, as the kernel was asked.</param>
    /// <param name="cookie">The socket's cookie: of several the last one's.</param>
    /// <returns>Whether there is one.</returns>
    public bool TryFindEnded(in SocketQuestion question, in SocketQuery query, out ulong cookie)
    {
        cookie = 0;
        if (question.Kind != SocketQuestionKind.Sender || query.Protocol != SocketProtocol.Udp)
        {
            return false;
        }

        foreach ((SocketRecord socket, long since) in _ended)
        {
            cookie = query.IsAnsweredBy(socket) && Stopwatch.GetElapsedTime(since) < Lately ? socket.Cookie : cookie;
        }

        return cookie != 0;
    }

    /// <summary>Lets a question wait to which no socket was found.</summary>
    /// <param name="question">The question.</param>
    /// <returns>False if it is none of a datagram's sender, or too many wait.</returns>
    public bool TryAdd(in SocketQuestion question)
    {
        if (question.Kind != SocketQuestionKind.Sender || question.Flow.Protocol != (byte)SocketProtocol.Udp || _waiting.Count == Most)
        {
            return false;
        }

        _waiting.Add((question, Stopwatch.GetTimestamp()));
        return true;
    }

    /// <summary>Takes a question to which a socket is the answer that has ended.</summary>
    /// <param name="query">Makes of a flow what the kernel is asked.</param>
    /// <param name="ended">The socket.</param>
    /// <param name="question">The question.</param>
    /// <returns>Whether there was one.</returns>
    public bool TryTake(Func<FlowIdentity, SocketQuery> query, in SocketRecord ended, out SocketQuestion question)
    {
        for (int i = 0; i < _waiting.Count && ended.Protocol == SocketProtocol.Udp; i++)
        {
            question = _waiting[i].Question;
            if (query(question.Flow).IsAnsweredBy(ended))
            {
                _waiting.RemoveAt(i);
                return true;
            }
        }

        question = default;
        return false;
    }

    /// <summary>Takes a question that has waited for long enough.</summary>
    /// <param name="question">The question.</param>
    /// <returns>Whether there was one.</returns>
    public bool TryGiveUp(out SocketQuestion question)
    {
        question = default;
        if (_waiting.Count == 0 || Left > TimeSpan.Zero)
        {
            return false;
        }

        question = _waiting[0].Question;
        _waiting.RemoveAt(0);
        return true;
    }
}

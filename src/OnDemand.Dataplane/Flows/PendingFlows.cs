using System.Runtime.CompilerServices;

namespace OnDemand.Dataplane.Flows;

/// <summary>A new flow about which something is asked, or has just been said.</summary>
/// <typeparam name="TAnswer">What is said.</typeparam>
internal struct PendingFlow<TAnswer>
    where TAnswer : struct
{
    public int Id;               // the question's number; 0: free
    public bool Answered;
    public byte Kind;            // what is asked; 0 of a flow that the host began
    public bool IsOver;          // what was answered has gone: it holds for what came before, and for nothing else
    public ulong Hash;
    public FlowKey Key;
    public Timestamp Deadline;   // of the answer, or of what was answered
    public HeldQueue Queue;
    public TAnswer Answer;
    public int Next;             // in its list, or the next free entry
    public int Previous;
}

/// <summary>
/// Flows between their first packet and the word on whose they are: first asked, then answered, until the flow is open. Each of the two
/// lists is in order of its deadlines. When all places are taken the answer that was left longest gives way; without one there is no room,
/// and existing flows go on.
/// </summary>
/// <typeparam name="TAnswer">What is said.</typeparam>
internal sealed class PendingFlows<TAnswer>
    where TAnswer : struct
{
    private const int None = -1;
    private const int Numbers = 15;      // bits above the place in a question's number

    private readonly PendingFlow<TAnswer>[] _entries;
    private readonly int[] _generations;
    private readonly ChainIndex _index;
    private int _free;
    private PendingList _asked = new() { First = None, Last = None };
    private PendingList _answered = new() { First = None, Last = None };

    public PendingFlows(int capacity)
    {
        _entries = new PendingFlow<TAnswer>[capacity];
        _generations = new int[capacity];
        _index = new ChainIndex(capacity, capacity);
        for (int i = 0; i < capacity; i++)
        {
            _entries[i].Next = i + 1 < capacity ? i + 1 : None;
        }
    }

    /// <summary>Flows that wait or were answered.</summary>
    public int Count => _index.Count;

    /// <summary>Those of them that the remote began.</summary>
    public int OfRemotes { get; private set; }

    /// <summary>The flow that has waited longest, or -1.</summary>
    public int OldestAsked => _asked.First;

    /// <summary>The flow that was answered first, or -1.</summary>
    public int OldestAnswered => _answered.First;

    public ref PendingFlow<TAnswer> this[int at] => ref _entries[at];

    public int Find(in FlowKey key, ulong hash) => _index.Find(hash, new Key(_entries, key));

    /// <summary>The place of an open question, or -1.</summary>
    public int FindQuestion(int id)
    {
        int at = id & 0xffff;
        return id > 0 && at < _entries.Length && _entries[at].Id == id && !_entries[at].Answered ? at : None;
    }

    /// <summary>Notes a question.</summary>
    /// <returns>Its place, or -1 if there is no room.</returns>
    public int Add(in FlowKey key, ulong hash, Timestamp deadline, byte kind)
    {
        if (_free < 0 && _answered.First >= 0)
        {
            Remove(_answered.First);
        }

        if (_free < 0)
        {
            return None;
        }

        int at = _free;
        _free = _entries[at].Next;
        _generations[at] = (_generations[at] % ((1 << Numbers) - 1)) + 1;
        _entries[at] = new PendingFlow<TAnswer>
        {
            Id = (_generations[at] << 16) | at,
            Kind = kind,
            Hash = hash,
            Key = key,
            Deadline = deadline,
            Queue = HeldQueue.Empty,
        };
        OfRemotes += kind == 0 ? 0 : 1;
        Append(ref _asked, at);
        _index.Add(hash, at);
        return at;
    }

    /// <summary>Notes the answer.</summary>
    public void SetAnswer(int at, in TAnswer answer, Timestamp deadline)
    {
        Unlist(ref _asked, at);
        _entries[at].Answered = true;
        _entries[at].Answer = answer;
        _entries[at].Deadline = deadline;
        Append(ref _answered, at);
    }

    /// <summary>Forgets an entry; nothing waits for it any more.</summary>
    public void Remove(int at)
    {
        ref PendingFlow<TAnswer> entry = ref _entries[at];
        if (entry.Answered)
        {
            Unlist(ref _answered, at);
        }
        else
        {
            Unlist(ref _asked, at);
        }

        OfRemotes -= entry.Kind == 0 ? 0 : 1;
        _index.Remove(entry.Hash, at);
        entry = new PendingFlow<TAnswer> { Next = _free };
        _free = at;
    }

    private void Append(ref PendingList list, int at)
    {
        _entries[at].Next = None;
        _entries[at].Previous = list.Last;
        if (list.Last >= 0)
        {
            _entries[list.Last].Next = at;
        }
        else
        {
            list.First = at;
        }

        list.Last = at;
    }

    private void Unlist(ref PendingList list, int at)
    {
        ref PendingFlow<TAnswer> entry = ref _entries[at];
        if (entry.Previous >= 0)
        {
            _entries[entry.Previous].Next = entry.Next;
        }
        else
        {
            list.First = entry.Next;
        }

        if (entry.Next >= 0)
        {
            _entries[entry.Next].Previous = entry.Previous;
        }
        else
        {
            list.Last = entry.Previous;
        }
    }

    private struct PendingList
    {
        public int First;
        public int Last;
    }

    private readonly struct Key(PendingFlow<TAnswer>[] entries, FlowKey key) : IEntryKey
    {
        private readonly FlowKey _key = key;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public bool Matches(int id)
        {
            ref PendingFlow<TAnswer> entry = ref entries[id];
            return entry.Key.Tail == _key.Tail && entry.Key.Remote == _key.Remote;
        }
    }
}

using System.Runtime.CompilerServices;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <content>Requests of sockets: <c>setsc()</c> (RFC 8653 §3.1, Appendix A).</content>
public sealed partial class DataplaneEngine
{
    private const int AnyHost = 0x7f_ffff;
    private const int SpareRequests = 16;   // places of requests that are closed while flows are still bound by them

    private readonly SocketRequest[] _requests;
    private readonly ChainIndex _requestIndex;
    private readonly FlowHash _requestHash;
    private readonly Ring<SetscReply> _setscReplies;
    private int _nextRequest;
    private int _firstOver = -1;            // requests whose socket has ended, in the order in which they did
    private int _lastOver = -1;

    /// <summary>
    /// Takes a socket's request. It is remembered until <see cref="CloseSocket"/> or a later request of the same socket. The reply comes
    /// at once if the address is there or cannot be had, and else when the network has answered.
    /// </summary>
    /// <param name="request">The request.</param>
    /// <param name="now">The time.</param>
    public void Handle(in SetscRequest request, Timestamp now)
    {
        BeginCall(now);
        bool named = request.Type != AddressType.None || request.Prefix is not null || request.Preferences != AddressPreferences.None;
        if (!named || (request.Type != AddressType.None && !AddressTypes.IsDefined(request.Type))
            || !AddressPreferenceRules.AreConsistent(request.Preferences, out _))
        {
            Reply(request.Token, SetscStatus.Invalid, -1);
            return;
        }

        int host = AnyHost;
        if (!request.Internal.IsUnspecified)
        {
            AddressName name = _addresses.Find(request.Internal);
            if (!name.IsInternal)
            {
                Reply(request.Token, SetscStatus.Invalid, -1);
                return;
            }

            host = name.Number;
        }

        ulong key = request.Socket != 0 ? SocketTail(request.Socket) : FlowKey.MakeTail(request.Protocol, host, request.LocalPort, 0);
        ForgetRequest(key, now);
        int id = FreeRequest();
        if (id < 0)
        {
            Reply(request.Token, SetscStatus.NoRoom, -1);
            return;
        }

        PolicyOutcome outcome = request.Prefix is { } prefix ? PolicyOutcome.Pinned(prefix)
            : request.Type != AddressType.None ? PolicyOutcome.OfType(request.Type, request.OnNet)
            : PolicyOutcome.LegacyPreferring(request.Preferences & ~AddressPreferences.RequireOnNet);
        _requests[id] = new SocketRequest
        {
            InUse = true,
            Key = key,
            Host = host == AnyHost ? 0 : host,
            Native = request.Native && request.Socket != 0,
            Token = request.Token,
            Outcome = outcome,
            Granted = -1,
            Binding = -1,
        };
        _requestIndex.Add(_requestHash.Of(key), id);
        if (request.Kept.IsUnspecified || request.Socket == 0)
        {
            Serve(id, now);
        }
        else if (!TryKeep(id, request.Kept))
        {
            ServeWithoutKept(id, now);
        }
    }

    /// <summary>Forgets a socket's request; its flows are untouched.</summary>
    /// <param name="protocol">The socket's protocol.</param>
    /// <param name="internalAddress">Its internal address as in the request.</param>
    /// <param name="localPort">Its local port.</param>
    /// <param name="now">The time.</param>
    public void CloseSocket(byte protocol, IpAddress internalAddress, ushort localPort, Timestamp now)
    {
        BeginCall(now);
        AddressName name = _addresses.Find(internalAddress);
        int host = internalAddress.IsUnspecified || !name.IsInternal ? AnyHost : name.Number;
        ForgetRequest(FlowKey.MakeTail(protocol, host, localPort, 0), now);
    }

    /// <summary>Takes the next reply to a request.</summary>
    /// <param name="reply">The reply.</param>
    /// <returns>Whether there was one.</returns>
    public bool TryTakeReply(out SetscReply reply) => _setscReplies.TryTake(out reply);

    // The request for a socket: for its own internal address, or for any.
    private int FindRequest(ulong tail)
    {
        if (_requestIndex.Count == 0)
        {
            return -1;
        }

        ulong key = tail & ~0xffffUL;
        int id = FindRequestByKey(key);
        return id >= 0 ? id : FindRequestByKey(FlowKey.MakeTail(FlowKey.ProtocolOf(tail), AnyHost, FlowKey.LocalPortOf(tail), 0));
    }

    // The request of a socket that lets the dataplane put its address in.
    private int FindMappedRequest(ulong key)
    {
        int id = FindRequestByKey(key);
        return id >= 0 && !_requests[id].Native ? id : -1;
    }

    private int FindRequestByKey(ulong key) => _requestIndex.Find(_requestHash.Of(key), new RequestKey(_requests, key));

    private int FreeRequest()
    {
        if (_requestIndex.Count >= _options.MaximumSocketRequests && _firstOver >= 0)
        {
            ForgetFirstOver();
        }

        if (_requestIndex.Count >= _options.MaximumSocketRequests)
        {
            return -1;
        }

        // A number is not used again while a socket is still bound by it, or the network asked for it: its outcome is what that socket's
        // flows go over by.
        for (int i = 0; i < _requests.Length; i++)
        {
            int id = (_nextRequest + i) % _requests.Length;
            if (!_requests[id].InUse && _requests[id].Bindings == 0 && !IsAskedFor(id))
            {
                _nextRequest = (id + 1) % _requests.Length;
                return id;
            }
        }

        return -1;
    }

    private void CountRequestBinding(ushort outcome, int change)
    {
        if (outcome >= RequestOutcomes)
        {
            _requests[outcome - RequestOutcomes].Bindings += change;
        }
    }

    // Tries to fulfill a request; leaves it waiting if the network is asked.
    private void Serve(int id, Timestamp now)
    {
        ref SocketRequest request = ref _requests[id];
        int host = request.Host;
        if (host >= _addresses.InternalCount)
        {
            request.Waiting = false;
            Reply(request.Token, SetscStatus.Failed, -1);
            return;
        }

        ulong tail = request.Key >= SocketKey
            ? request.Key : FlowKey.MakeTail(FlowKey.ProtocolOf(request.Key), host, FlowKey.LocalPortOf(request.Key), 0);
        var decision = new Decision(DecisionOrigin.SocketRequest, request.Outcome.Type, default, -1, default);
        SourceChoice choice = AcquireFor((ushort)(RequestOutcomes + id), decision, default, host, tail, mayAsk: true, now);
        request.Waiting = choice.Result == ChoiceResult.Ask;
        if (request.Waiting)
        {
            Wait(id, choice.Question);
            return;
        }

        if (choice.Result == ChoiceResult.Chosen)
        {
            Hold(id, choice);
        }

        Reply(request.Token, choice.Result switch
        {
            ChoiceResult.Chosen => SetscStatus.Granted,
            ChoiceResult.NoBinding or ChoiceResult.NoAddress => SetscStatus.NoRoom,
            _ => IsUnsupported(request.Outcome.Type) ? SetscStatus.NotSupported : SetscStatus.Failed,
        }, choice.Result == ChoiceResult.Chosen ? choice.Address : -1);
    }

    // The socket has the address already: as long as it is there, nothing is chosen and nobody asked.
    private bool TryKeep(int id, IpAddress kept)
    {
        ref SocketRequest request = ref _requests[id];
        AddressName name = _addresses.Find(kept);
        if (!name.IsTyped || _bindings.IsFull)
        {
            return false;
        }

        ref TypedAddress address = ref _addresses.Typed(name.Number);
        ref PrefixEntry prefix = ref _prefixes[address.Prefix];
        AddressType type = request.Outcome.Type;
        if (address.Host != request.Host || prefix.State == PrefixState.Ended || (type != AddressType.None && type != address.Type))
        {
            return false;
        }

        ushort outcome = (ushort)(RequestOutcomes + id);
        int binding = _bindings.Add(BindingTable.KeyOf(request.Key, outcome));
        CountRequestBinding(outcome, 1);
        _bindings[binding].Address = name.Number;
        _bindings[binding].Decision = new Decision(DecisionOrigin.SocketRequest, type, default, -1, DecisionRemarks.None);
        address.Users++;
        request.Granted = request.Outcome.OnNet ? prefix.Order : -1;
        Hold(id, new SourceChoice { Address = name.Number, Binding = binding });
        Reply(request.Token, SetscStatus.Granted, name.Number);
        return true;
    }

    // What a native socket is bound to is over. Another address would be of no use to it, and the network may have to be asked for one.
    private void ServeWithoutKept(int id, Timestamp now)
    {
        if (!_requests[id].Native)
        {
            Serve(id, now);
            return;
        }

        Reply(_requests[id].Token, SetscStatus.Failed, -1);
        ForgetRequest(_requests[id].Key, now);
    }

    // The request keeps its binding, and with it the address and the prefix, until the socket is closed.
    private void Hold(int id, in SourceChoice choice)
    {
        ref SocketRequest request = ref _requests[id];
        request.Binding = choice.Binding;
        _bindings[choice.Binding].Request = id;
        request.Prefix = _addresses.Typed(choice.Address).Prefix;
        _prefixes[request.Prefix].Users++;
        request.Holds = true;
        CountNative(request, choice.Address, 1);
    }

    // The socket's binding gets another address: so has its hold on a prefix.
    private void MoveHold(int id, int address, Timestamp now)
    {
        if (id < 0 || !_requests[id].Holds)
        {
            return;
        }

        CountNative(_requests[id], _bindings[_requests[id].Binding].Address, -1);
        CountNative(_requests[id], address, 1);

        LeavePrefix(_requests[id].Prefix, now);
        _requests[id].Prefix = _addresses.Typed(address).Prefix;
        _prefixes[_requests[id].Prefix].Users++;
    }

    private void ForgetRequest(ulong key, Timestamp now)
    {
        int id = FindRequestByKey(key);
        if (id < 0)
        {
            return;
        }

        ref SocketRequest request = ref _requests[id];
        if (request.Over)
        {
            while (request.Over)
            {
                ForgetFirstOver();
            }

            return;
        }

        _requestIndex.Remove(_requestHash.Of(key), id);
        request.InUse = false;   // the outcome stays: flows bound by it may still have to go over
        if (request.Waiting)
        {
            StopWaiting(id);
            request.Waiting = false;
        }

        LeaveHold(id, now);
    }

    private void LeaveHold(int id, Timestamp now)
    {
        ref SocketRequest request = ref _requests[id];
        if (!request.Holds)
        {
            return;
        }

        request.Holds = false;
        CountNative(request, _bindings[request.Binding].Address, -1);
        if (_bindings[request.Binding].Request == id)
        {
            _bindings[request.Binding].Request = -1;
        }

        LeavePrefix(request.Prefix, now);
        AbandonBinding(request.Binding, now);
    }

    // The socket has ended, and with it all that it held. But what it sent may still wait for the word that it was this one's.
    private void RetireRequest(ulong key, Timestamp now)
    {
        int id = FindRequestByKey(key);
        if (id < 0 || _pendingSockets is null || _requests[id].Native || !_requests[id].Holds)
        {
            ForgetRequest(key, now);
            return;
        }

        LeaveHold(id, now);
        ref SocketRequest request = ref _requests[id];
        request.Over = true;
        request.OverUntil = now.Add(_options.SocketAnswerTimeout);
        request.NextOver = -1;
        if (_lastOver >= 0)
        {
            _requests[_lastOver].NextOver = id;
        }
        else
        {
            _firstOver = id;
        }

        _lastOver = id;
        _nextDeadline = request.OverUntil < _nextDeadline ? request.OverUntil : _nextDeadline;
    }

    private void ForgetFirstOver()
    {
        ref SocketRequest request = ref _requests[_firstOver];
        _requestIndex.Remove(_requestHash.Of(request.Key), _firstOver);
        request.InUse = false;
        request.Over = false;
        _firstOver = request.NextOver;
        _lastOver = _firstOver < 0 ? -1 : _lastOver;
    }

    private void Reply(ulong token, SetscStatus status, int address)
    {
        var reply = new SetscReply(token, status, default, AddressType.None, default);
        if (address >= 0)
        {
            ref TypedAddress typed = ref _addresses.Typed(address);
            ref PrefixEntry prefix = ref _prefixes[typed.Prefix];
            bool isClosing = prefix.State == PrefixState.Closing;
            Timestamp until = isClosing && prefix.ClosesAt < prefix.ValidUntil ? prefix.ClosesAt : prefix.ValidUntil;
            reply = new SetscReply(token, status, typed.External, typed.Type, until)
            {
                Prefix = prefix.Prefix,
                PreferredUntil = isClosing ? default : prefix.PreferredUntil,
            };
        }

        if (!_setscReplies.TryAdd(reply))
        {
            Counters.EventsLost++;
        }
    }

    private struct SocketRequest
    {
        public bool InUse;
        public bool Waiting;
        public bool Holds;
        public bool Native;          // the socket binds itself to the address
        public bool Over;            // the socket has ended
        public int Host;             // the internal address it is for
        public ulong Key;
        public ulong Token;
        public PolicyOutcome Outcome;
        public long Granted;         // the prefix that ON_NET got for this socket, by its order, or -1
        public int Binding;
        public int Bindings;         // that have its outcome, also after it was closed
        public int Prefix;           // whose user it is, while it holds
        public int Question;         // that it waits for, while it waits
        public int NextWaiting;      // for the same question, or -1
        public int NextOver;         // whose socket has ended, or -1
        public Timestamp OverUntil;  // then it is forgotten
    }

    private readonly struct RequestKey(SocketRequest[] requests, ulong key) : IEntryKey
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public bool Matches(int id) => requests[id].Key == key && requests[id].InUse;
    }
}

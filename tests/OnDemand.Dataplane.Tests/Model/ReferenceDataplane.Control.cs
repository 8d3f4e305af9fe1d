using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Model;

// What the network and the sockets say (RFC 8653 §3.1, §3.2; RFC 4862 §5.5.3).
internal sealed partial class ReferenceDataplane
{
    private static readonly Duration TwoHours = Duration.FromSeconds(7200);

    public void Attach(IReadOnlyList<PrefixAdvertisement> prefixes, Duration? window, Timestamp now)
    {
        Elapse(now);
        _attached = true;
        _attachment++;
        _refusedUntil.Clear();
        _unsupported.Clear();
        Duration open = window ?? _options.DefaultWindow;
        HashSet<ModelPrefix> renewed = [];
        HashSet<PrefixAdvertisement> known = [];
        foreach (PrefixAdvertisement advertisement in prefixes.Where(advertisement => advertisement.IsAcceptable))
        {
            ModelPrefix? prefix = _prefixes.Find(prefix =>
                prefix.IsUsable && prefix.Prefix == advertisement.Prefix && prefix.Type == advertisement.Type);
            if (prefix is not null)
            {
                Renew(prefix, advertisement, now);
                renewed.Add(prefix);
                known.Add(advertisement);
            }
        }

        foreach (ModelPrefix prefix in _prefixes.Where(prefix => prefix.IsUsable && !renewed.Contains(prefix)))
        {
            bool otherType = prefixes.Any(advertisement => advertisement.IsAcceptable && advertisement.Prefix == prefix.Prefix);
            Leave(prefix, open, otherType, now);
        }

        foreach (PrefixAdvertisement advertisement in prefixes.Where(advertisement => IsUsable(advertisement)
            && !known.Contains(advertisement)))
        {
            Add(advertisement, onDemand: false, now);
        }

        SettleQuestions(now);
        Settle(now);
    }

    public void Detach(Timestamp now)
    {
        Elapse(now);
        if (_attached)
        {
            _attached = false;
            foreach (ModelPrefix prefix in _prefixes.Where(prefix => prefix.IsUsable))
            {
                if (prefix is { Type: AddressType.GracefulReplacement, State: PrefixState.Closing })
                {
                    continue;   // its window stays as the network said
                }

                Leave(prefix, _options.DefaultWindow, otherType: false, now);
            }
        }

        Settle(now);
    }

    public bool Withdraw(IpPrefix withdrawn, Duration window, Timestamp now)
    {
        Elapse(now);
        ModelPrefix? prefix = _prefixes.Find(prefix => prefix.IsUsable && prefix.Prefix == withdrawn);
        if (prefix is not null)
        {
            Close(prefix, window, now);
        }

        Settle(now);
        return prefix is not null;
    }

    public void Advertise(IReadOnlyList<PrefixAdvertisement> prefixes, bool authenticated, Timestamp now)
    {
        Elapse(now);
        foreach (PrefixAdvertisement advertisement in prefixes.Where(advertisement => _attached && advertisement.IsAcceptable))
        {
            ModelPrefix? prefix = _prefixes.Find(prefix => prefix.IsUsable && prefix.Prefix == advertisement.Prefix);
            if (prefix is not null)
            {
                Update(prefix, advertisement, authenticated, now);
            }
            else if (advertisement.ValidLifetime > Duration.Zero)
            {
                Add(advertisement, onDemand: false, now);
            }
        }

        SettleQuestions(now);
        Settle(now);
    }

    public void Answer(PrefixAnswer answer, Timestamp now)
    {
        Elapse(now);
        ModelQuestion? question = _questions.Find(question => question.Id == answer.Id);
        if (question is not null)
        {
            if (_attached && answer.Kind == PrefixAnswerKind.Granted && answer.Prefix.Type == question.Type && IsUsable(answer.Prefix)
                && answer.Prefix.PreferredLifetime > Duration.Zero)
            {
                Grant(question, answer.Prefix, now);
            }
            else
            {
                Refuse([question], answer.Kind == PrefixAnswerKind.Unsupported, now);
            }
        }

        Settle(now);
    }

    public void Handle(SetscRequest request, Timestamp now)
    {
        Elapse(now);
        bool reserved = request.Type > AddressType.GracefulReplacement;
        bool nothing = request.Type == AddressType.None && request.Prefix is null && request.Preferences == AddressPreferences.None;
        if (reserved || nothing || Contradicts(request.Preferences))
        {
            Replies.Add(new SetscReply(request.Token, SetscStatus.Invalid, default, request.Type, default));
            return;
        }

        CloseRequest(request.Protocol, request.Internal, request.LocalPort);
        if (_requests.Count >= _options.MaximumSocketRequests)
        {
            Replies.Add(new SetscReply(request.Token, SetscStatus.NoRoom, default, request.Type, default));
            return;
        }

        var remembered = new ModelRequest
        {
            Token = request.Token,
            Protocol = request.Protocol,
            Named = request.Internal,
            Internal = request.Internal.IsUnspecified ? _options.Internal[0].Address : request.Internal,
            LocalPort = request.LocalPort,
            Outcome = request.Type != AddressType.None ? PolicyOutcome.OfType(request.Type, request.OnNet)
                : request.Prefix is IpPrefix pinned ? PolicyOutcome.Pinned(pinned)
                : PolicyOutcome.LegacyPreferring(request.Preferences),
        };
        _requests.Add(remembered);
        Acquire(remembered, mayAskAnew: true, now);
        Settle(now);
    }

    public void CloseSocket(byte protocol, IpAddress internalAddress, ushort localPort, Timestamp now)
    {
        Elapse(now);
        CloseRequest(protocol, internalAddress, localPort);
        Settle(now);
    }

    private static bool Contradicts(AddressPreferences preferences)
    {
        AddressPreferences temporary = preferences
            & (AddressPreferences.Temporary | AddressPreferences.Public | AddressPreferences.PublicTemporaryDefault);
        return (temporary & (temporary - 1)) != 0
            || preferences.HasFlag(AddressPreferences.Home | AddressPreferences.CareOf)
            || preferences.HasFlag(AddressPreferences.Cga | AddressPreferences.NonCga);
    }

    private static bool IsUsable(PrefixAdvertisement advertisement) =>
        advertisement.IsAcceptable && advertisement.ValidLifetime > Duration.Zero;

    private void Renew(ModelPrefix prefix, PrefixAdvertisement advertisement, Timestamp now)
    {
        prefix.PreferredUntil = now.Add(advertisement.PreferredLifetime);
        prefix.ValidUntil = now.Add(advertisement.ValidLifetime);
        prefix.ClosesAt = Timestamp.Never;
        prefix.WasLeftByDetachment = false;
        prefix.State = advertisement.ValidLifetime == Duration.Zero ? PrefixState.Ended
            : advertisement.PreferredLifetime > Duration.Zero ? PrefixState.Preferred
            : PrefixState.Deprecated;
        prefix.Attachment = _attachment;
        prefix.OnDemand = false;
    }

    private void Leave(ModelPrefix prefix, Duration window, bool otherType, Timestamp now)
    {
        switch (prefix.Type)
        {
            case AddressType.Fixed or AddressType.SessionLasting:
                prefix.State = otherType ? PrefixState.Ended : prefix.State;
                break;
            case AddressType.GracefulReplacement when otherType:
                prefix.State = PrefixState.Ended;
                break;
            case AddressType.GracefulReplacement:
                // The first window counts; one that a detachment opened gives way to the next network's.
                if (prefix.State != PrefixState.Closing || prefix.WasLeftByDetachment)
                {
                    prefix.WasLeftByDetachment = !_attached;
                    Close(prefix, window, now);
                }

                break;
            default:
                prefix.State = PrefixState.Ended;
                break;
        }
    }

    private static void Close(ModelPrefix prefix, Duration window, Timestamp now)
    {
        prefix.State = window > Duration.Zero ? PrefixState.Closing : PrefixState.Ended;
        prefix.ClosesAt = now.Add(window);
    }

    private static void Update(ModelPrefix prefix, PrefixAdvertisement advertisement, bool authenticated, Timestamp now)
    {
        // RFC 4862 §5.5.3 (e): 1 longer than two hours or than what remains, 2 ignored below two hours, 3 otherwise two hours.
        Timestamp offered = now.Add(advertisement.ValidLifetime);
        Timestamp twoHours = now.Add(TwoHours);
        if (authenticated || offered > twoHours || offered > prefix.ValidUntil)
        {
            prefix.ValidUntil = offered;
        }
        else if (prefix.ValidUntil > twoHours)
        {
            prefix.ValidUntil = twoHours;
        }

        prefix.PreferredUntil = now.Add(advertisement.PreferredLifetime);
        if (prefix.ValidUntil <= now)
        {
            prefix.State = PrefixState.Ended;
        }
        else if (prefix.State != PrefixState.Closing)
        {
            prefix.State = prefix.PreferredUntil > now ? PrefixState.Preferred : PrefixState.Deprecated;
        }
    }

    private ModelPrefix Add(PrefixAdvertisement advertisement, bool onDemand, Timestamp now)
    {
        var prefix = new ModelPrefix
        {
            Prefix = advertisement.Prefix,
            Type = advertisement.Type,
            Home = advertisement.Home,
            OnDemand = onDemand,
            Attachment = _attachment,
            State = advertisement.PreferredLifetime > Duration.Zero ? PrefixState.Preferred : PrefixState.Deprecated,
            PreferredUntil = now.Add(advertisement.PreferredLifetime),
            ValidUntil = now.Add(advertisement.ValidLifetime),
            UnusedSince = now,
        };
        _prefixes.Add(prefix);
        foreach (IpAddress internalAddress in _internals)
        {
            AddressOf(prefix, internalAddress, now);
        }

        return prefix;
    }

    private void Grant(ModelQuestion question, PrefixAdvertisement advertisement, Timestamp now)
    {
        _questions.Remove(question);
        ModelPrefix prefix = Add(advertisement, onDemand: true, now);
        if (question.Owner is ulong owner)
        {
            _grantedTo[owner] = prefix;
        }

        foreach (ModelRequest request in question.Waiting.Where(_requests.Contains))
        {
            request.IsWaiting = false;
            ModelAddress? address = question.Owner is not null && _options.OnNet == OnNetReading.RequestNew
                ? AddressOf(prefix, request.Internal, now) : null;
            if (address is not null)
            {
                Bind(request, address);
            }
            else
            {
                Acquire(request, mayAskAnew: false, now);
            }
        }

        ReleaseHeld([question], now);
    }

    // A type that comes unasked answers the question that was asked for it; the network's own answer then finds none.
    private void SettleQuestions(Timestamp now)
    {
        if (!_attached)
        {
            return;
        }

        List<ModelQuestion> answered = [.. _questions.Where(question =>
            !question.OnNet && _prefixes.Any(prefix => prefix.IsForNewSockets && prefix.Type == question.Type
                && question.Hosts.Any(host => MayHaveAddress(prefix, host))))];
        _questions.RemoveAll(answered.Contains);
        Serve(answered, now);
    }

    // A single address is that of the first that needed it.
    private static bool MayHaveAddress(ModelPrefix prefix, IpAddress internalAddress) =>
        !prefix.Prefix.IsSingleAddress || prefix.Current.Count == 0 || prefix.Current.ContainsKey(internalAddress);

    private void Serve(List<ModelQuestion> questions, Timestamp now)
    {
        foreach (ModelRequest request in questions.SelectMany(question => question.Waiting).Where(_requests.Contains))
        {
            request.IsWaiting = false;
            Acquire(request, mayAskAnew: true, now);
        }

        ReleaseHeld(questions, now);
    }

    private void ReleaseHeld(List<ModelQuestion> questions, Timestamp now)
    {
        // They come out with the caller's next call, and what is due by then has happened.
        Settle(now);
        ElapsePrefixes(now);

        // Of several questions, those who waited for the one that was asked first come first.
        foreach (ModelHeldFrame held in questions.SelectMany(question => _held.Where(held => held.Question == question)).ToList())
        {
            _held.Remove(held);
            Release(held, now);
        }
    }

    private void Refuse(List<ModelQuestion> questions, bool unsupported, Timestamp now)
    {
        foreach (ModelQuestion question in questions)
        {
            _questions.Remove(question);
            if (unsupported)
            {
                _unsupported.Add(question.Type);
            }
            else
            {
                _refusedUntil[question.Type] = now.Add(_options.RefusalMemory);
            }
        }

        Serve(questions, now);   // with a refusal, unless a move has brought the type meanwhile
    }

    private void Acquire(ModelRequest request, bool mayAskAnew, Timestamp now)
    {
        SetscReply Failed(SetscStatus status) => new(request.Token, status, default, request.Outcome.Type, default);
        bool asksAnew = mayAskAnew && request.Outcome.OnNet && _options.OnNet == OnNetReading.RequestNew;
        ModelBindingKey key = request.Key;
        if (!_bindings.ContainsKey(key) && _bindings.Count >= _options.MaximumBindings)
        {
            Replies.Add(Failed(SetscStatus.NoRoom));
            return;
        }

        ModelAddress? address = null;
        if (!asksAnew)
        {
            address = _bindings.TryGetValue(key, out ModelBinding? bound) && bound.Address.Prefix.IsForNewSockets
                ? bound.Address
                : Choose(request.Outcome, request.Internal, IpAddress.Unspecified, now);
        }

        if (address is not null)
        {
            Bind(request, address);
            return;
        }

        if (!_attached)
        {
            Replies.Add(Failed(_unsupported.Contains(request.Outcome.Type) ? SetscStatus.NotSupported : SetscStatus.Failed));
            return;
        }

        switch (Ask(request.Key.Decision, request.Internal, out ModelQuestion? question, now))
        {
            case DropReason.None:
                request.IsWaiting = true;
                question!.Waiting.Add(request);
                break;
            case DropReason.Refused when _unsupported.Contains(request.Outcome.Type):
                Replies.Add(Failed(SetscStatus.NotSupported));
                break;
            default:
                Replies.Add(Failed(SetscStatus.Failed));
                break;
        }
    }

    private void Bind(ModelRequest request, ModelAddress address)
    {
        ModelBindingKey key = request.Key;
        if (!_bindings.TryGetValue(key, out ModelBinding? binding))
        {
            if (_bindings.Count >= _options.MaximumBindings)
            {
                Replies.Add(new SetscReply(request.Token, SetscStatus.NoRoom, default, request.Outcome.Type, default));
                return;
            }

            binding = new ModelBinding { Key = key, Address = address };
            _bindings.Add(key, binding);
        }

        binding.Address = address;
        binding.Requests++;
        request.Binding = binding;
        if (ShownGrants.TryGetValue(request.Token, out IpAddress shown))
        {
            Adopt(address, shown);
        }

        Replies.Add(new SetscReply(
            request.Token, SetscStatus.Granted, address.External ?? default, address.Type, address.Prefix.ValidUntil)
        {
            Prefix = address.Prefix.Prefix,
            PreferredUntil = address.Prefix.PreferredUntil,
        });
    }

    private void CloseRequest(byte protocol, IpAddress named, ushort localPort)
    {
        ModelRequest? request = _requests.Find(request =>
            request.Protocol == protocol && request.Named == named && request.LocalPort == localPort);
        if (request is null)
        {
            return;
        }

        _requests.Remove(request);
        if (request.Binding is ModelBinding binding)
        {
            binding.Requests--;
            Forget(binding);
        }
    }
}

using OnDemand.Dataplane.Control;

namespace OnDemand.Captures.Replay;

/// <summary>
/// Conversations whose packets have not left: they wait, or were refused. In the capture the other end answers all the same, for recorded
/// packets do not wait; but it cannot answer what it never got, and what it would have sent it to nobody knows. Bounded: of two
/// generations the older one is forgotten when the younger is full.
/// </summary>
internal sealed class UnsentFlows
{
    private const int MostInGeneration = 1 << 15;

    private HashSet<FlowIdentity> _young = [];
    private HashSet<FlowIdentity> _old = [];

    public bool IsEmpty => _young.Count + _old.Count == 0;

    public void Add(in FlowIdentity flow)
    {
        if (_young.Count >= MostInGeneration)
        {
            (_young, _old) = (_old, _young);
            _young.Clear();
        }

        _young.Add(flow);
    }

    /// <summary>A flow has an address now.</summary>
    public void Remove(in FlowIdentity flow)
    {
        if (_young.Count + _old.Count > 0)
        {
            _young.Remove(flow);
            _old.Remove(flow);
        }
    }

    public bool Contains(in FlowIdentity flow) => _young.Count + _old.Count > 0 && (_young.Contains(flow) || _old.Contains(flow));
}

using OnDemand.Dataplane;

namespace OnDemand.Linux.State;

/// <summary>
/// Reads what a state file says of the network: a point of attachment and its prefixes, which replace those before them when all of them
/// are there. A file that ends before that was being written when the power went or the program was killed.
/// </summary>
/// <param name="state">Takes what holds.</param>
internal sealed class NetworkReading(SavedState state)
{
    private readonly List<PrefixSnapshot> _prefixes = [];
    private string? _attachment;
    private bool _isOpen;
    private bool _saysEnds;                          // files did not always say where a network ends

    /// <summary>A point of attachment begins.</summary>
    /// <param name="attachment">Its name; null for none.</param>
    /// <returns>True.</returns>
    public bool Begin(string? attachment)
    {
        Take();                                      // another one follows, so it was not the file's end that came before its own
        (_attachment, _isOpen) = (attachment, true);
        return true;
    }

    /// <summary>Adds a prefix.</summary>
    /// <param name="prefix">It.</param>
    public void Add(in PrefixSnapshot prefix) => (_isOpen ? _prefixes : state.Prefixes).Add(prefix);

    /// <summary>That were all of its prefixes.</summary>
    /// <returns>True.</returns>
    public bool IsWhole()
    {
        Take();
        _saysEnds = true;
        return true;
    }

    /// <summary>The file ends.</summary>
    public void End()
    {
        if (!_saysEnds)
        {
            Take();
        }
    }

    private void Take()
    {
        if (!_isOpen)
        {
            return;
        }

        state.Attachment = _attachment;
        state.HasNetwork = true;
        state.Prefixes.Clear();
        state.Prefixes.AddRange(_prefixes);
        _prefixes.Clear();
        _isOpen = false;
    }
}

namespace OnDemand.Dataplane;

/// <summary>How the search for a flow's address ended.</summary>
internal enum ChoiceResult : byte
{
    /// <summary>There is one.</summary>
    Chosen,

    /// <summary>The network is being asked.</summary>
    Ask,

    /// <summary>The network said no, or is remembered to have.</summary>
    Refused,

    /// <summary>There is none, and the network is not to be asked.</summary>
    NoSource,

    /// <summary>No room for the socket.</summary>
    NoBinding,

    /// <summary>No room for the address.</summary>
    NoAddress,
}

/// <summary>A flow's address, or why it has none.</summary>
internal struct SourceChoice
{
    public ChoiceResult Result;
    public int Address;
    public int Binding;
    public int Question;
    public ulong Cookie;         // of the flow's socket; 0 if it is not known
    public Decision Decision;
}

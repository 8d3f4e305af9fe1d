namespace OnDemand.Linux.Host;

/// <summary>What to do about IPv6 forwarding, which the dataplane's output needs on its way from the TAP to an uplink.</summary>
internal enum ForwardingMode
{
    /// <summary>It must be on; if it is off, say which command turns it on.</summary>
    Check,

    /// <summary>Turn it on, and put it back at the end.</summary>
    Set,
}

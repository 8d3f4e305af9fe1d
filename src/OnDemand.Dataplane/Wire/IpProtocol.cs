namespace OnDemand.Dataplane.Wire;

/// <summary>Next Header values that the engine knows (IANA "Assigned Internet Protocol Numbers").</summary>
public static class IpProtocol
{
    /// <summary>Hop-by-Hop Options header (RFC 8200 §4.3).</summary>
    public const byte HopByHop = 0;

    /// <summary>IPv4 encapsulation.</summary>
    public const byte Ipv4 = 4;

    /// <summary>TCP (RFC 9293).</summary>
    public const byte Tcp = 6;

    /// <summary>UDP (RFC 768).</summary>
    public const byte Udp = 17;

    /// <summary>DCCP (RFC 4340).</summary>
    public const byte Dccp = 33;

    /// <summary>IPv6 encapsulation (RFC 2473).</summary>
    public const byte Ipv6 = 41;

    /// <summary>Routing header (RFC 8200 §4.4).</summary>
    public const byte Routing = 43;

    /// <summary>Fragment header (RFC 8200 §4.5).</summary>
    public const byte Fragment = 44;

    /// <summary>GRE (RFC 2784).</summary>
    public const byte Gre = 47;

    /// <summary>Encapsulating Security Payload (RFC 4303).</summary>
    public const byte Esp = 50;

    /// <summary>Authentication Header (RFC 4302).</summary>
    public const byte AuthenticationHeader = 51;

    /// <summary>ICMPv6 (RFC 4443).</summary>
    public const byte Icmpv6 = 58;

    /// <summary>No Next Header (RFC 8200 §4.7).</summary>
    public const byte NoNextHeader = 59;

    /// <summary>Destination Options header (RFC 8200 §4.6).</summary>
    public const byte DestinationOptions = 60;

    /// <summary>SCTP (RFC 9260).</summary>
    public const byte Sctp = 132;

    /// <summary>Mobility Header (RFC 6275 §6.1).</summary>
    public const byte Mobility = 135;

    /// <summary>UDP-Lite (RFC 3828).</summary>
    public const byte UdpLite = 136;

    /// <summary>Host Identity Protocol (RFC 7401).</summary>
    public const byte Hip = 139;

    /// <summary>Shim6 (RFC 5533).</summary>
    public const byte Shim6 = 140;
}

#!/usr/bin/python3
"""Builds IPv6 frames with scapy and says, one JSON object a line, what a parser must find in each.

What is expected follows from how a frame was put together, header by header; nothing here looks into finished octets. The same seed
gives the same frames. Upper-layer checksums are scapy's own.
"""
import json
import logging
import random
import sys

sys.setrecursionlimit(100_000)
logging.getLogger("scapy").setLevel(logging.ERROR)
random.seed(8653)          # for what scapy itself draws: nonces, identifiers
from scapy.all import raw, Raw  # noqa: E402
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether  # noqa: E402
from scapy.layers.inet import TCP, UDP  # noqa: E402
from scapy.layers.sctp import SCTP, SCTPChunkData  # noqa: E402
from scapy.layers.ipsec import AH, ESP  # noqa: E402
from scapy.layers.inet6 import *  # noqa: E402,F403

rng = random.Random(8653)
SOURCE, DESTINATION, HOME = "2001:db8:a::1", "2001:db8:c::2", "2001:db8:f1::7"
OPAQUE_PROTOCOLS = (50, 89, 103, 112, 253)          # ESP, OSPF, PIM, VRRP, experiments
NO_CHECKSUM = (4, 41, 47, 59)                       # IPv4, IPv6, GRE, No Next Header


def octets(count):
    return bytes(rng.randrange(256) for _ in range(count))


def hop_by_hop():
    return dict(nh=0, layer=IPv6ExtHdrHopByHop(options=rng.choice(([RouterAlert()], [PadN(optdata=b"\0" * 4)], [RouterAlert(), Pad1(), Pad1()]))))


def destination_options():
    kind = rng.randrange(4)
    if kind == 0:
        return dict(nh=60, layer=IPv6ExtHdrDestOpt(options=[HAO(hoa=HOME)]), marks=["HomeAddress"])
    if kind == 1:
        return dict(nh=60, layer=IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * rng.randrange(0, 200))]))
    if kind == 2:
        return dict(nh=60, layer=IPv6ExtHdrDestOpt(options=[Pad1()] * rng.randrange(1, 6)))
    return dict(nh=60, layer=IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=0x1e, optdata=octets(rng.randrange(0, 60)))]))


def routing():
    kind = rng.choice((0, 2, 4))
    count = 1 if kind == 2 else rng.randrange(1, 5)
    addresses = ["2001:db8:5:%x::%x" % (rng.randrange(1, 0xFFFF), i + 1) for i in range(count)]
    left = rng.randrange(0, count + 1)
    if kind == 4:
        layer = IPv6ExtHdrSegmentRouting(addresses=addresses, segleft=left, lastentry=count - 1)
        final = 8
    else:
        layer = IPv6ExtHdrRouting(type=kind, addresses=addresses, segleft=left)
        final = 8 + 16 * (count - 1)
    return dict(nh=43, layer=layer, final=final if left else None, marks=["SegmentsLeft"] if left else [])


def atomic():
    return dict(nh=44, layer=IPv6ExtHdrFragment(offset=0, m=0, id=rng.getrandbits(32)), fragment=True)


def authentication():
    return dict(nh=51, layer=AH(payloadlen=4, spi=7, seq=1, icv=b"\x11" * 12), special="Authenticated")


def signaling():
    kind = rng.choice((135, 139, 140))
    layer = MIP6MH_BU(options=[]) if kind == 135 else Raw(bytes([59, 3]) + octets(30))
    return dict(nh=kind, layer=layer, special="AddressSignaling", last=True)


def upper():
    """The upper layer: protocol, layer, ports, checksum field, shape, marks."""
    ports = rng.randrange(1, 65536), rng.randrange(1, 65536)
    payload = octets(rng.randrange(0, 60))
    both = ports[0].to_bytes(2, "big") + ports[1].to_bytes(2, "big")
    kind = rng.choice(("tcp", "udp", "udplite", "dccp", "sctp", "echo", "reply", "error", "nd", "mld", "info", "opaque", "plain"))
    if kind == "tcp":
        options = rng.choice(([], [("MSS", 1440)], [("Timestamp", (1, 2)), ("NOP", None), ("NOP", None)]))
        return dict(nh=6, layer=TCP(sport=ports[0], dport=ports[1], flags=rng.choice("SA FA PA R".split()), seq=rng.getrandbits(32), options=options) / Raw(payload),
                    ports=ports, sum=16, marks=["TcpHeader"])
    if kind == "udp":
        return dict(nh=17, layer=UDP(sport=ports[0], dport=ports[1]) / Raw(payload), ports=ports, sum=6)
    if kind == "udplite":
        return dict(nh=136, layer=Raw(both + (8).to_bytes(2, "big") + octets(2) + payload), ports=ports, sum=6)
    if kind == "dccp":
        return dict(nh=33, layer=Raw(both + bytes([3, 0]) + octets(2) + bytes([4, 0, 0, 1]) + payload), ports=ports, sum=6)
    if kind == "sctp":
        return dict(nh=132, layer=SCTP(sport=ports[0], dport=ports[1], tag=5) / SCTPChunkData(data=payload or b"x"), ports=ports)
    if kind == "echo":
        return dict(nh=58, layer=ICMPv6EchoRequest(id=ports[0], seq=1, data=payload), ports=(ports[0], 0), sum=2, marks=["Icmpv6EchoRequest"])
    if kind == "reply":
        return dict(nh=58, layer=ICMPv6EchoReply(id=ports[0], seq=1, data=payload), ports=(0, ports[0]), sum=2, marks=["Icmpv6EchoReply"])
    if kind == "error":
        quoted = IPv6(src=SOURCE, dst=DESTINATION) / UDP(sport=ports[0], dport=ports[1]) / Raw(payload)
        layer = rng.choice((ICMPv6DestUnreach(code=1), ICMPv6PacketTooBig(mtu=1280), ICMPv6TimeExceeded(), ICMPv6ParamProblem(ptr=6)))
        return dict(nh=58, layer=layer / quoted, sum=2, shape="Icmpv6Error")
    if kind == "nd":
        layer = rng.choice((ICMPv6ND_NS(tgt=SOURCE), ICMPv6ND_NA(tgt=SOURCE), ICMPv6ND_RS(), ICMPv6ND_RA(), ICMPv6ND_Redirect(tgt=SOURCE, dst=DESTINATION)))
        return dict(nh=58, layer=layer, sum=2, shape="NeighborDiscovery")
    if kind == "mld":
        layer = rng.choice((ICMPv6MLQuery(), ICMPv6MLReport(mladdr="ff05::1:3"), ICMPv6MLDone(mladdr="ff05::1:3"), ICMPv6MLReport2()))
        return dict(nh=58, layer=layer, sum=2, shape="NeighborDiscovery")
    if kind == "info":
        return dict(nh=58, layer=ICMPv6NIQueryIPv6(data="2001:db8::1"), ports=(139, 139), sum=2)
    if kind == "opaque":
        protocol = rng.choice(OPAQUE_PROTOCOLS)
        layer = ESP(spi=1, seq=2, data=octets(32)) if protocol == 50 else Raw(octets(24))
        return dict(nh=protocol, layer=layer, shape="OpaqueTransport")
    protocol = rng.choice(NO_CHECKSUM)
    return dict(nh=protocol, layer=Raw(octets(24)))


def extension_chain():
    parts = [hop_by_hop()] if rng.random() < 0.3 else []
    fragment = False
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3, 5))):
        make = rng.choice((destination_options, destination_options, routing, routing, atomic, authentication))
        if make is atomic and fragment:
            continue
        fragment |= make is atomic
        parts.append(make())
    if rng.random() < 0.08:
        parts.append(signaling())
    return parts


def link():
    kind = rng.randrange(4)
    if kind == 0:
        return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x86DD)
    if kind == 1:
        return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x8100) / Dot1Q(vlan=7, type=0x86DD)
    if kind == 2:
        return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x88A8) / Dot1AD(vlan=9, type=0x8100) / Dot1Q(vlan=7, type=0x86DD)
    return None


def describe(name, parts, up, base, ipv6=None, trailer=b""):
    """Puts the frame together and says where everything is."""
    offset = (len(raw(base)) if base is not None else 0)
    facts = dict(name=name, network=offset, final=offset + 24, fragmentHeader=0, ports=[0, 0], checksum=0, marks=[])
    at = offset + 40
    special = None
    layers = []
    for part in parts:
        layers.append(part["layer"])
        if part.get("final") is not None:
            facts["final"] = at + part["final"]
        if part.get("fragment"):
            facts["fragmentHeader"] = at
        if part.get("special") and special != "Authenticated":
            special = part["special"]
        facts["marks"] += part.get("marks", [])
        at += len(raw(part["layer"]))
    ended = bool(parts) and parts[-1].get("last")
    chain = parts if ended else parts + [up]
    following = [part["nh"] for part in chain[1:]] + [59]
    for layer, nh in zip(layers, following):
        if not isinstance(layer, Raw):
            layer.nh = nh
    packet = ipv6 if ipv6 is not None else IPv6(src=SOURCE, dst=DESTINATION)
    packet.nh = chain[0]["nh"]
    for layer in layers:
        packet = packet / layer
    if not ended:
        packet = packet / up["layer"]
    facts["upper"] = at
    facts["protocol"] = 59 if ended else up["nh"]
    if special:
        facts["shape"] = special
    else:
        facts["shape"] = up.get("shape", "Transport")
        facts["ports"] = list(up.get("ports", (0, 0)))
        facts["checksum"] = at + up["sum"] if "sum" in up else 0
        facts["marks"] += up.get("marks", [])
    octets_of_packet = raw(packet)
    facts["end"] = offset + len(octets_of_packet)
    facts["marks"] = sorted(set(facts["marks"]))
    facts["frame"] = ((raw(base) if base is not None else b"") + octets_of_packet + trailer).hex()
    return facts


def emit(facts):
    print(json.dumps(facts))


def fragments(number):
    """A datagram in fragments as scapy cuts it: the first has the upper-layer header, later ones have none."""
    ports = rng.randrange(1, 65536), rng.randrange(1, 65536)
    protocol = rng.choice((6, 17))
    head = TCP(sport=ports[0], dport=ports[1], flags="PA") if protocol == 6 else UDP(sport=ports[0], dport=ports[1])
    before = [IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)])] if rng.random() < 0.4 else []
    packet = IPv6(src=SOURCE, dst=DESTINATION)
    for layer in before:
        packet = packet / layer
    at = 40 + sum(len(raw(layer)) for layer in before)
    packet = packet / IPv6ExtHdrFragment(id=number) / head / Raw(octets(4000))
    pieces = fragment6(packet, 1280)
    for index, piece in enumerate(pieces):
        last = index == len(pieces) - 1
        marks = ["Fragment"] + ([] if last else ["MoreFragments"]) + (["TcpHeader"] if protocol == 6 and index == 0 else [])
        emit(dict(name="fragment %d of datagram %d" % (index, number), network=0, final=24, fragmentHeader=at, upper=at + 8,
                  protocol=protocol, shape="LaterFragment" if index else "Transport", ports=[0, 0] if index else list(ports),
                  checksum=0 if index else at + 8 + (16 if protocol == 6 else 6), marks=sorted(marks), end=len(raw(piece)),
                  frame=raw(piece).hex()))


def main():
    for number in range(600):
        trailer = octets(rng.randrange(1, 8)) if rng.random() < 0.1 else b""      # Ethernet padding, a frame check sequence
        emit(describe("chain %d" % number, extension_chain(), upper(), link(), trailer=trailer))
    for number in range(12):
        fragments(number)
    for count in (200,):
        parts = [dict(nh=60, layer=IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)])) for _ in range(count)]
        emit(describe("%d destination options headers" % count, parts,
                      dict(nh=17, layer=UDP(sport=1, dport=2) / Raw(b"end"), ports=(1, 2), sum=6), None))
    for length in (66_000, 70_001):
        # RFC 2675: the payload length is zero and the option has it; UDP's own length is zero too.
        udp = UDP(sport=53, dport=54, len=0, chksum=0x1234) / Raw(b"\x5a" * length)
        hop = IPv6ExtHdrHopByHop(options=[Jumbo(jumboplen=8 + 8 + length)])
        emit(describe("jumbogram of %d" % length, [dict(nh=0, layer=hop)], dict(nh=17, layer=udp, ports=(53, 54), sum=6), None,
                      ipv6=IPv6(src=SOURCE, dst=DESTINATION, plen=0)))


main()

#!/usr/bin/python3
"""Reads IPv6 packets in hex, one a line; writes each with its upper-layer checksum computed anew by scapy, and nothing else changed."""
import logging
import sys

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import raw  # noqa: E402
from scapy.layers.inet import TCP, UDP  # noqa: E402
from scapy.layers.inet6 import IPv6  # noqa: E402
import scapy.layers.inet6  # noqa: E402,F401

for line in sys.stdin:
    packet = IPv6(bytes.fromhex(line.strip()))
    layer = packet
    while layer:
        name = type(layer).__name__
        if isinstance(layer, (TCP, UDP)) and not name.endswith("error"):
            del layer.chksum
            break
        if name.startswith("ICMPv6"):
            del layer.cksum
            break
        layer = layer.payload
    print(raw(packet).hex())

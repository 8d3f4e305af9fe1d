"""Provokes the ICMPv6 errors that a host meets, and one that it sends itself.

Beyond the router the link takes 1280 octets only. record.sh has sent the echo requests before this starts.
"""

import errno
import socket

from ports import SECOND_SERVER, SERVER, Clock, ask, close, tcp, udp

IPV6_MTU_DISCOVER = 23
IPV6_PMTUDISC_PROBE = 3

clock = Clock()


def send(remote, remote_port, local_port, payload, hop_limit=64, probe=False):
    """Sends one datagram and waits for the error that it provokes, or for nothing."""
    connection = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    connection.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hop_limit)
    if probe:
        connection.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE)
    connection.bind(("fd00:db8::1", local_port))
    connection.connect((remote, remote_port))
    connection.settimeout(0.4)
    try:
        connection.send(payload)
        connection.recv(65535)
    except TimeoutError:
        pass
    except OSError as error:
        if error.errno not in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EMSGSIZE):
            raise
    connection.close()


# Packet Too Big for UDP, twice: this socket sends full packets whatever the path says (RFC 4821 style probing).
for number in range(2):
    send(SERVER, 9001, 40201, b"p" * 1452, probe=True)

# What a program sends that leaves it to the stack: fragments that fit the path as it is known by now.
send(SERVER, 9001, 40211, b"f" * 1452)

# Packet Too Big for TCP, to an address whose path is not known yet: the full segments are lost, then smaller ones sent.
upload = tcp(7001, 40202, remote=SECOND_SERVER)
ask(upload, b"line\n")
ask(upload, b"u" * 6000 + b"\n")
close(upload)

clock.wait_until(3.0)
# Destination Unreachable: port (from the server), no route, prohibited (both from the router).
send(SERVER, 9999, 40203, b"nobody listens here")
send("2001:db8:77::1", 9001, 40204, b"no route leads here")
send("2001:db8:ad::1", 9001, 40205, b"not allowed")

clock.wait_until(4.5)
# Time Exceeded in transit: a traceroute by hand, over UDP and over TCP.
for hop_limit in (1, 2):
    send(SERVER, 33434 + hop_limit, 40206, b"trace", hop_limit=hop_limit)
syn = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
syn.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 1)
syn.bind(("fd00:db8::1", 40207))
syn.settimeout(0.5)
try:
    syn.connect((SERVER, 7001))
except OSError:
    pass
syn.close()

clock.wait_until(6.0)
# The host's own error: it asks a service that answers late, and has closed its socket by then.
late = udp(9009, 40208)
late.send(b"answer when you can")
late.close()

clock.wait_until(7.0)
# Address Unreachable: the router asks three times, a second apart, for a neighbor that is not there.
waiting = udp(9001, 40209, remote="2001:db8:5::dead")
waiting.send(b"anybody?")
clock.wait_until(10.5)
waiting.close()

# Traffic goes on after all the errors.
clock.wait_until(11.0)
ask(udp(9001, 40210), b"still fine")

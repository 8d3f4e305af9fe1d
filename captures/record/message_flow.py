"""The applications of the message flow example of draft-ietf-dmm-ondemand-mobility-17, section 4.2.

  0.0 s  application A asks for a Nonpersistent address      TCP from 46001, talks until 3.7 s
  0.5 s  application B asks for a Nonpersistent address      TCP from 46002, talks until 3.7 s
  1.0 s  application C asks for a Session-Lasting address    TCP from 46003, talks until 8.3 s
  3.5 s  (the scenario moves the host here)
  4.0 s  A and B give their connections up and establish new ones, from 46011 and 46012
  5.5 s  application D asks for a Graceful-Replacement address: TCP from 46004 to a server that cannot be reached
  6.5 s  D tries again and asks for a Session-Lasting address: TCP from 46014

No network moves while this is recorded. A and B reset their connections as programs do that learned of an error; the
server that D asks first is behind a black hole, so that the attempt fails in the capture as it does in the scenario.
"""

import socket
import struct

from ports import Clock, ask, close, tcp

clock = Clock()


def reset(connection):
    """Gives a connection up at once: RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def talk(connections, first, last):
    """A line and its echo on every connection, every 400 ms."""
    at = first
    while at <= last:
        clock.wait_until(at)
        for connection in connections:
            ask(connection, b"at %d ms\n" % round(at * 1000))
        at = round(at + 0.4, 3)


a = tcp(7001, 46001)
talk([a], 0.1, 0.1)
clock.wait_until(0.5)
b = tcp(7002, 46002)
talk([a, b], 0.6, 0.6)
clock.wait_until(1.0)
c = tcp(7003, 46003)
talk([a, b, c], 1.3, 3.7)

clock.wait_until(4.0)
reset(a)
reset(b)
a = tcp(7001, 46011)
b = tcp(7002, 46012)
talk([a, b, c], 4.1, 5.3)

clock.wait_until(5.5)
try:
    tcp(7004, 46004, remote="2001:db8:b::1", timeout=0.5)
except TimeoutError:
    pass
talk([a, b, c], 6.1, 6.1)
clock.wait_until(6.5)
d = tcp(7004, 46014)
talk([a, b, c, d], 6.7, 8.3)
for connection in (a, b, c, d):
    close(connection)

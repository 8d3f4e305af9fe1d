"""Twelve seconds of a host that uses all four types at once; the ports tell the types apart.

  remote TCP/UDP  long TCP  UDP     short TCP at 1, 5, 9 s   meant type
  7001 / 9001     41001     42001   43011 43015 43019        fixed
  7002 / 9002     41002     42002   43021 43025 43029        session-lasting
  7003 / 9003     41003     42003   43031 43035 43039        nonpersistent
  7004 / 9004     41004     42004   43041 43045 43049        graceful-replacement

The long TCP connections carry a line and its echo about every 300 ms and, unasked, a line from the peer every 450 ms; the UDP
sockets keep their port and ask about every 250 ms; the short connections carry one exchange.
"""

import random
import socket
import threading

from ports import Clock, ask, close, tcp, udp

END = 12.0
SHORT_AT = (1, 5, 9)


def talk(clock, connection, first, low, high, seed, name):
    """One exchange after another at uneven distances until the end."""
    pace = random.Random(seed)
    at = first
    number = 0
    while at < END:
        clock.wait_until(at)
        number += 1
        ask(connection, b"%s line %d\n" % (name, number))
        at += pace.uniform(low, high)
    if connection.type == socket.SOCK_STREAM:
        close(connection)
    else:
        connection.close()


def open_short(clock, kind):
    """Three short connections, each over before the next begins."""
    for second in SHORT_AT:
        clock.wait_until(second + 0.02 * kind)
        connection = tcp(7000 + kind, 43000 + 10 * kind + second)
        ask(connection, b"short %d\n" % second)
        close(connection)


def main():
    clock = Clock()
    threads = []
    for kind in (1, 2, 3, 4):
        long_lived = tcp(7000 + kind, 41000 + kind)
        exchange = udp(9000 + kind, 42000 + kind)
        threads += [
            threading.Thread(target=talk, args=(clock, long_lived, 0.1 + 0.01 * kind, 0.25, 0.35, kind, b"tcp")),
            threading.Thread(target=talk, args=(clock, exchange, 0.15 + 0.01 * kind, 0.2, 0.3, 10 + kind, b"udp")),
            threading.Thread(target=open_short, args=(clock, kind)),
        ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


main()

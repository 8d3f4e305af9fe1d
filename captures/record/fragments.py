"""UDP datagrams larger than the link takes, in both directions, with small ones in between.

Two sockets, local ports 40101 and 40102, to the echo services 9101 and 9102 of the server.
"""

import random

from ports import Clock, ask, udp

# Octets of payload, in the order they are sent. 1452 just fits into 1500; 1453 does not.
SIZES = [100, 1452, 1453, 3000, 60, 2000, 4500, 1, 2900, 200, 1800, 2600]

clock = Clock()
content = random.Random(6)
first = udp(9101, 40101)
second = udp(9102, 40102)
for number, size in enumerate(SIZES):
    clock.wait_until(0.5 * number)
    ask(first, content.randbytes(size))
    if number % 3 == 0:
        ask(second, content.randbytes(1700))
    elif number % 3 == 1:
        ask(second, content.randbytes(32))

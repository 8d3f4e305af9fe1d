"""A hundred TCP connections and a hundred UDP exchanges in ten seconds, each over in a few milliseconds.

TCP from local ports 20000+i to 7001–7004, UDP from 30000+i to 9001–9004, in turn; one flow of each every 100 ms.
"""

import random

from ports import Clock, ask, close, tcp, udp

clock = Clock()
sizes = random.Random(100)
for number in range(100):
    clock.wait_until(0.1 * number)
    connection = tcp(7001 + number % 4, 20000 + number)
    ask(connection, b"t" * sizes.randrange(4, 60))
    close(connection)
    exchange = udp(9001 + number % 4, 30000 + number)
    ask(exchange, b"u" * sizes.randrange(4, 60))
    exchange.close()

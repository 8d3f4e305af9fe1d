"""Reaches the host from outside: TCP to its port 8080, UDP to its port 5300. Runs on the server's side."""

from ports import HOST, SECOND_SERVER, SERVER, Clock, ask, close, tcp, udp

clock = Clock()
# A connection that lasts, opened at the start, and a UDP peer that asks every half second from the same port.
lasting = tcp(8080, 50080, local=SERVER, remote=HOST)
asker = udp(5300, 50053, local=SERVER, remote=HOST)
for number in range(12):
    clock.wait_until(0.5 * number)
    ask(lasting, b"request %d\n" % number)
    ask(asker, b"question %d" % number)
    if number % 4 == 1:
        # New peers come in between, from another address.
        visit = tcp(8080, 50100 + number, local=SECOND_SERVER, remote=HOST)
        ask(visit, b"visit %d\n" % number)
        close(visit)
        passing = udp(5300, 50200 + number, local=SECOND_SERVER, remote=HOST)
        ask(passing, b"passing %d" % number)
        passing.close()
close(lasting)
asker.close()

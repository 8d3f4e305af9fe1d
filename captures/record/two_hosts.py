"""Two internal addresses with the same local ports to the same server ports: the flows differ in nothing else."""

from ports import HOST, SECOND_HOST, Clock, ask, close, tcp, udp

clock = Clock()
connections = [tcp(7001, 45001, local=address) for address in (HOST, SECOND_HOST)]
exchanges = [udp(9001, 45002, local=address) for address in (HOST, SECOND_HOST)]
for number in range(12):
    clock.wait_until(0.5 * number)
    for index, name in enumerate((b"first", b"second")):
        ask(connections[index], b"%s tcp %d\n" % (name, number))
        ask(exchanges[index], b"%s udp %d\n" % (name, number))
for connection in connections:
    close(connection)

"""The far side of most captures: echo services over TCP and UDP.

peer.py --tcp 7001-7004 --udp 9001-9004 [--push-every SECONDS] [--late-udp PORT]

TCP answers every piece of data with the same data and, with --push-every, also speaks unasked. UDP answers every
datagram with the same datagram; on the late ports it does so 300 ms later, when the asker may be gone.
"""

import argparse
import asyncio


def port_range(text):
    """Reads "7001" or "7001-7004"."""
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


class UdpEcho(asyncio.DatagramProtocol):
    """Answers a datagram with itself after a delay in seconds."""

    def __init__(self, delay):
        self._delay = delay
        self._transport = None

    def connection_made(self, transport):
        self._transport = transport

    def datagram_received(self, data, addr):
        asyncio.get_running_loop().call_later(self._delay, self._transport.sendto, data, addr)


async def push(writer, interval):
    """Speaks unasked until the connection goes away."""
    number = 0
    while True:
        await asyncio.sleep(interval)
        number += 1
        writer.write(b"news %d from the peer\n" % number)
        await writer.drain()


async def echo(reader, writer, interval):
    """Serves one connection until the other side has closed."""
    pushing = asyncio.create_task(push(writer, interval)) if interval else None
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # A client that resets its connection is part of some captures.
    finally:
        if pushing:
            pushing.cancel()
        writer.close()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tcp", type=port_range, default=range(0))
    parser.add_argument("--udp", type=port_range, default=range(0))
    parser.add_argument("--late-udp", type=port_range, default=range(0))
    parser.add_argument("--push-every", type=float, default=0.0)
    options = parser.parse_args()
    loop = asyncio.get_running_loop()
    servers = []
    for port in options.tcp:
        servers.append(await asyncio.start_server(lambda r, w: echo(r, w, options.push_every), "::", port))
    for ports, delay in ((options.udp, 0.002), (options.late_udp, 0.3)):
        for port in ports:
            # Any address of this side may be asked; a socket per address answers from the address that was asked.
            for address in local_addresses():
                servers.append(await loop.create_datagram_endpoint(lambda d=delay: UdpEcho(d), local_addr=(address, port)))
    print("ready", flush=True)
    await asyncio.Event().wait()


def local_addresses():
    """The global addresses of this namespace, from the kernel's own table."""
    with open("/proc/net/if_inet6", encoding="ascii") as table:
        rows = [line.split() for line in table]
    return [":".join(row[0][i:i + 4] for i in range(0, 32, 4)) for row in rows if row[3] == "00"]


asyncio.run(main())

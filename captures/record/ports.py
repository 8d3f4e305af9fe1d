"""Addresses of the lab and the socket calls that every traffic program shares."""

import socket
import time

HOST = "fd00:db8::1"
SECOND_HOST = "fd00:db8::2"
SERVER = "2001:db8:5::2"
SECOND_SERVER = "2001:db8:9::1"


def tcp(remote_port, local_port, *, local=HOST, remote=SERVER, timeout=5.0):
    """Opens a TCP connection from exactly this local address and port."""
    connection = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(timeout)
    connection.bind((local, local_port))
    connection.connect((remote, remote_port))
    return connection


def udp(remote_port, local_port, *, local=HOST, remote=SERVER, timeout=2.0):
    """Opens a connected UDP socket on exactly this local address and port."""
    connection = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    connection.settimeout(timeout)
    connection.bind((local, local_port))
    connection.connect((remote, remote_port))
    return connection


def ask(connection, message):
    """Sends one line and waits for the peer's echo of it; lines that the peer pushed in between are read and left."""
    connection.sendall(message)
    if connection.type == socket.SOCK_DGRAM:
        return connection.recv(65535)
    received = b""
    while message not in received:
        part = connection.recv(65535)
        if not part:
            raise ConnectionError("the peer closed before it answered")
        received += part
    return received


def close(connection):
    """Closes a TCP connection in good order: FIN out, then read until the peer's FIN."""
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(65535):
        pass
    connection.close()


class Clock:
    """Counts from the moment it is made, so that programs can say when, not how long."""

    def __init__(self):
        self._start = time.monotonic()

    def wait_until(self, seconds):
        """Sleeps until this many seconds after the start; returns at once where that is past."""
        remaining = self._start + seconds - time.monotonic()
        if remaining > 0:
            time.sleep(remaining)

    @property
    def now(self):
        """Seconds since the start."""
        return time.monotonic() - self._start

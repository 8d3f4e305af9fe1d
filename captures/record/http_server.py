"""A small HTTP/1.1 server with connections that stay open.

GET /bytes/N gives N octets (the same for the same N), paced like a link of about 2 Mbit/s unless --unpaced;
POST /sink takes what it is given.
"""

import random
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import socket

PACED = "--unpaced" not in sys.argv


class Handler(BaseHTTPRequestHandler):
    """Answers without a Server or Date header, so that recording again gives the same octets."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        """Sends the body in pieces of 2500 octets every 10 ms, or in one piece."""
        size = int(self.path.rsplit("/", 1)[1])
        body = random.Random(size).randbytes(size)
        self.start(size)
        step = 2500 if PACED else size
        for offset in range(0, size, step):
            self.wfile.write(body[offset:offset + step])
            if PACED:
                time.sleep(0.01)

    def do_POST(self):
        """Reads the body to its end."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.start(0)

    def start(self, size):
        """Sends the head of a response."""
        self.send_response_only(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(size))
        self.end_headers()


class Server(ThreadingHTTPServer):
    """The standard server, over IPv6."""

    address_family = socket.AF_INET6
    daemon_threads = True


server = Server(("::", 80), Handler)
print("ready", flush=True)
server.serve_forever()

#!/bin/bash
# reset.sh - how long after the dataplane hears of a move a program on a Nonpersistent address gets ECONNRESET: a real connection through a
# lab, blocked in recv(), and the move told over the control socket by the same process, which reads both clocks. Wanted: a median of 5 ms.
# usage (as root): bench/reset.sh [MOVES]
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
MOVES=${1:-50}
LAB=reset$$
[ "$(id -u)" = 0 ] || { echo "reset.sh: root is needed for a lab." >&2; exit 2; }
dotnet build -c Release "$ROOT/src/OnDemand.Cli" -v q --nologo >/dev/null
ondemand() { dotnet "$ROOT/src/OnDemand.Cli/bin/Release/net10.0/ondemand.dll" "$@"; }
trap 'ondemand lab down --name $LAB >/dev/null' EXIT
ondemand lab up --name $LAB >/dev/null
ip netns exec od-$LAB-peer python3 -c '
import socket
server = socket.socket(socket.AF_INET6)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("::", 7003))
server.listen(64)
kept = [server.accept()]
while True:
    kept.append(server.accept())
' &
PEER=$!
sleep 0.5
ip netns exec od-$LAB-host python3 - "/run/ondemand-lab/$LAB/control.sock" "$MOVES" <<'PY'
import json, socket, statistics, sys, threading, time

control, moves = sys.argv[1], int(sys.argv[2])

def attach(name, prefix):
    body = json.dumps({"attachment": name, "prefixes": [{"prefix": prefix, "type": "nonpersistent"}]}).encode()
    with socket.socket(socket.AF_UNIX) as told:
        told.connect(control)
        head = f"POST /v1/attach HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        begun = time.perf_counter()
        told.sendall(head.encode() + body)
        answer = told.recv(65536)
        if b" 200 " not in answer[:16]:
            sys.exit(f"reset.sh: the dataplane does not take the move: {answer[:300]}")
    return begun

# Two halves of a prefix that the lab routes to the host, in turns: the old one ends at once with every move.
halves = ["2001:db8:a1:1::/65", "2001:db8:a1:1:8000::/65"]
attach("warm", halves[1])
took = []
for move in range(moves + 5):
    name = f"router{move % 2}"
    attach(name, halves[move % 2])
    connection = socket.create_connection(("2001:db8:c::1", 7003), timeout=5)
    connection.settimeout(5)
    heard = []

    def listen():
        try:
            connection.recv(1)
            heard.append(("closed", time.perf_counter()))
        except OSError as problem:
            heard.append((type(problem).__name__, time.perf_counter()))

    listener = threading.Thread(target=listen)
    listener.start()
    time.sleep(0.05)
    begun = attach(f"next{move % 2}", halves[(move + 1) % 2])
    listener.join()
    if heard[0][0] != "ConnectionResetError":
        sys.exit(f"reset.sh: the program got {heard[0][0]} instead of ECONNRESET")
    if move >= 5:
        took.append((heard[0][1] - begun) * 1000)
    connection.close()

took.sort()
print(f"{moves} moves, ms from the request to ECONNRESET: median {statistics.median(took):.2f}, 90 % {took[int(0.9 * len(took))]:.2f}, longest {took[-1]:.2f}")
PY
kill $PEER

#!/usr/bin/env bash
# What it costs that the kernel is asked whose each new flow is (targets: first packet at most 300 us later, p50; 20,000 new flows a second).
#   bash bench/asking.sh [SOCKETS [FLOWS]]
# In a lab: each of SOCKETS new datagram sockets asks an echo server twice; the first question waits for the word on its socket, the second
# does not. Then FLOWS flows are opened in each of five seconds, and what became of them is read from the dataplane's counters.
set -eu
cd "$(dirname "$0")/.."
dotnet build src/OnDemand.Cli -c Release -v quiet -nologo >/dev/null
ondemand=$PWD/src/OnDemand.Cli/bin/Release/net10.0/ondemand
name=asking-$$
trap '"$ondemand" lab down --name "$name" >/dev/null' EXIT
"$ondemand" lab up --name "$name" >/dev/null
echo_server='
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(("::", 9003))
while True:
    data, there = s.recvfrom(2048); s.sendto(data, there)
'
asker='
import socket, sys, time
first, second = [], []
for _ in range(int(sys.argv[1])):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.settimeout(2); s.connect(("2001:db8:c::1", 9003))
    for times in (first, second):
        began = time.perf_counter(); s.send(b"x")
        try: s.recv(16)
        except TimeoutError: continue
        times.append(1e6 * (time.perf_counter() - began))
    s.close()
for name, times in (("first question", first), ("second question", second)):
    times.sort()
    print("%-16s p50 %6.0f us   p99 %6.0f us   %d answered" % (name, times[len(times) // 2], times[len(times) * 99 // 100], len(times)))
first.sort(); second.sort()
print("asking costs the first packet %.0f us (p50)" % (first[len(first) // 2] - second[len(second) // 2]))
'
opener='
import socket, sys, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); rate = int(sys.argv[1]); port = 0; began = time.monotonic()
for i in range(5 * rate):
    while time.monotonic() < began + i / rate: pass
    s.sendto(b"x", ("2001:db8:c::1", 10000 + i % 50000)) if i < 50000 else s.sendto(b"x", ("2001:db8:c::2", 10000 + i % 50000))
print("%.2f s for %d flows" % (time.monotonic() - began, 5 * rate))
'
ip netns exec "od-$name-peer" python3 -c "$echo_server" &
server=$!
sleep 1
ip netns exec "od-$name-host" python3 -c "$asker" "${1:-3000}"
kill "$server"
control=/run/ondemand-lab/$name/control.sock
counters() { "$ondemand" counters --control "$control" --json; }
counters >/tmp/asking-before-$$
ip netns exec "od-$name-host" python3 -c "$opener" "${2:-20000}"
sleep 2
counters >/tmp/asking-after-$$
python3 - /tmp/asking-before-$$ /tmp/asking-after-$$ <<'PY'
import json, sys
before, after = (json.load(open(path)) for path in sys.argv[1:])
opened = lambda counters: sum(kind["flowsOpened"] for kind in counters["types"])
print("%d flows opened; dropped: %s" % (opened(after) - opened(before), after["dropped"] or "none"))
PY
rm -f /tmp/asking-before-$$ /tmp/asking-after-$$

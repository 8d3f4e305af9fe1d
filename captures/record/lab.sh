# shellcheck shell=bash
# The lab that the captures are recorded in. Sourced by record.sh; defines functions only.
#
#   host ------------------ router ------------------ server
#   eth0                    tohost  toserver          eth0
#   fd00:db8::1/64          fd00:db8::ff              2001:db8:5::2/64, 2001:db8:9::1/128
#   (capture is taken here) 2001:db8:5::1
#
# Everything lives in three network namespaces whose names carry this shell's process id. Whatever start_lab made and
# whatever run_in_background started is ended, by its own process id, and removed by end_lab, which record.sh also
# runs from its exit trap. The caller names a directory for logs and unfinished captures in $scratch.

: "${scratch:?a scratch directory}"

HOST="od-host-$$"
ROUTER="od-router-$$"
SERVER="od-server-$$"

lab_processes=()
capture_process=
capture_file=

# Installs what is missing; the names are those of the distribution's packages.
require_tools() {
    local -A package_of=(
        [ip]=iproute2 [ethtool]=ethtool [tcpdump]=tcpdump [dumpcap]=wireshark-common [python3]=python3 [curl]=curl
        [dnsmasq]=dnsmasq-base [dig]=bind9-dnsutils [ssh]=openssh-client [sshd]=openssh-server [ping]=iputils-ping
    )
    local missing=() tool
    for tool in "${!package_of[@]}"; do
        command -v "$tool" >/dev/null || missing+=("${package_of[$tool]}")
    done
    if ((${#missing[@]} > 0)); then
        apt-get update -q
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
    fi
}

on_host() { ip netns exec "$HOST" "$@"; }
on_router() { ip netns exec "$ROUTER" "$@"; }
on_server() { ip netns exec "$SERVER" "$@"; }

# start_lab [offload]: builds the topology. Without "offload" every interface computes its checksums and cuts its
# segments itself, so that the capture holds what a wire would carry.
start_lab() {
    local namespace
    for namespace in "$HOST" "$ROUTER" "$SERVER"; do
        ip netns add "$namespace"
        # No router solicitations and no address detection: the addresses are given, the capture starts quiet.
        ip netns exec "$namespace" sysctl -q -w \
            net.ipv6.conf.default.accept_ra=0 net.ipv6.conf.all.accept_ra=0 \
            net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0 \
            net.ipv6.icmp.ratelimit=0
        ip -n "$namespace" link set lo up
    done
    on_router sysctl -q -w net.ipv6.conf.all.forwarding=1

    ip link add name eth0 address 02:00:00:00:00:01 netns "$HOST" type veth \
        peer name tohost address 02:00:00:00:00:02 netns "$ROUTER"
    ip link add name eth0 address 02:00:00:00:00:04 netns "$SERVER" type veth \
        peer name toserver address 02:00:00:00:00:03 netns "$ROUTER"

    if [[ "${1:-}" != offload ]]; then
        on_host ethtool -K eth0 rx off tx off sg off tso off gso off gro off >/dev/null
        on_router ethtool -K tohost rx off tx off sg off tso off gso off gro off >/dev/null
        on_router ethtool -K toserver rx off tx off sg off tso off gso off gro off >/dev/null
        on_server ethtool -K eth0 rx off tx off sg off tso off gso off gro off >/dev/null
    fi

    ip -n "$HOST" link set eth0 up
    ip -n "$ROUTER" link set tohost up
    ip -n "$ROUTER" link set toserver up
    ip -n "$SERVER" link set eth0 up

    ip -n "$HOST" addr add fd00:db8::1/64 dev eth0 nodad
    ip -n "$ROUTER" addr add fd00:db8::ff/64 dev tohost nodad
    ip -n "$ROUTER" addr add 2001:db8:5::1/64 dev toserver nodad
    ip -n "$SERVER" addr add 2001:db8:5::2/64 dev eth0 nodad
    ip -n "$SERVER" addr add 2001:db8:9::1/128 dev lo nodad

    ip -n "$HOST" route add default via fd00:db8::ff dev eth0
    ip -n "$ROUTER" route add 2001:db8:9::/48 via 2001:db8:5::2 dev toserver
    ip -n "$ROUTER" route add blackhole 2001:db8:b::/48 metric 1
    ip -n "$ROUTER" route add prohibit 2001:db8:ad::/48 metric 1
    ip -n "$SERVER" route add default via 2001:db8:5::1 dev eth0

    # Neighbors are learned before the capture starts; what neighbor discovery it holds are later probes.
    on_host ping -q -c 1 -W 5 2001:db8:9::1 >/dev/null
    on_host ping -q -c 1 -W 5 2001:db8:5::2 >/dev/null
}

# run_in_background LOG COMMAND…: starts a long-running part of the lab and notes its process id.
run_in_background() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 &
    lab_processes+=("$!")
}

# await LOG PATTERN: waits until the log says that its program is ready.
await() {
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        grep -q -e "$2" "$1" 2>/dev/null && return
        sleep 0.1
    done
    echo "record.sh: no \"$2\" within 10 s; the log says:" >&2
    cat "$1" >&2
    return 1
}

# start_capture FORMAT FILE [unsettled]: pcap-us and pcap-ns are written by tcpdump, pcapng by dumpcap. Unless told not
# to, it waits until the multicast listener reports of the fresh interfaces are over, so that the first frame of the
# capture is the first frame of the traffic and times in scenarios can be counted from there.
start_capture() {
    capture_file=$2
    if [[ "${3:-}" != unsettled ]]; then
        sleep 2.5
    fi
    local log="$scratch/capture.log"
    : >"$log"
    # Not "on_host": the process id must be that of the capturing program, not of a shell around it.
    case $1 in
        pcap-us) ip netns exec "$HOST" tcpdump -p -n -i eth0 -s 0 -U --immediate-mode --time-stamp-precision=micro -Z root \
            -w "$scratch/input" >"$log" 2>&1 & ;;
        pcap-ns) ip netns exec "$HOST" tcpdump -p -n -i eth0 -s 0 -U --immediate-mode --time-stamp-precision=nano -Z root \
            -w "$scratch/input" >"$log" 2>&1 & ;;
        pcapng) ip netns exec "$HOST" dumpcap -p -i eth0 -s 0 -q -w "$scratch/input" >"$log" 2>&1 & ;;
        *) echo "record.sh: unknown capture format $1" >&2; return 1 ;;
    esac
    capture_process=$!
    await "$log" 'listening on\|^File:'
    sleep 0.5
}

# Ends the capture and puts it in its place only when it is complete.
stop_capture() {
    sleep 0.7
    kill -INT "$capture_process"
    wait "$capture_process" || true
    capture_process=
    mkdir -p "$(dirname "$capture_file")"
    mv "$scratch/input" "$capture_file"
    chmod 644 "$capture_file"
}

# Ends every process that was started here, in reverse order, and removes the namespaces with all that is in them.
end_lab() {
    local index namespace
    if [[ -n "$capture_process" ]]; then
        kill "$capture_process" 2>/dev/null || true
        wait "$capture_process" 2>/dev/null || true
        capture_process=
    fi
    for ((index = ${#lab_processes[@]} - 1; index >= 0; index--)); do
        kill "${lab_processes[index]}" 2>/dev/null || true
        wait "${lab_processes[index]}" 2>/dev/null || true
    done
    lab_processes=()
    for namespace in "$HOST" "$ROUTER" "$SERVER"; do
        if [[ -e "/run/netns/$namespace" ]]; then
            ip netns del "$namespace"
        fi
    done
}

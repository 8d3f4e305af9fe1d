#!/usr/bin/env bash
# Records the captures of this directory from real Linux stacks in network namespaces.
#
#   record.sh            records all of them
#   record.sh NAME…      records these: web-download dns interactive fragmented-udp icmp-errors short-flows four-types
#                        server offload two-hosts message-flow
#
# Needs root. Touches nothing outside the three namespaces it makes, its scratch directory and captures/NAME/input.*.
# The traffic is seeded where it is ours to choose, so that recording again gives an equivalent capture: the same flows,
# ports, sizes and order; other times, sequence numbers and keys.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
captures=$(dirname "$here")
scratch=$(mktemp -d)

# shellcheck source=lab.sh
source "$here/lab.sh"

finish() {
    end_lab
    rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# start_peer ARGUMENT…: the echo services on the server's side.
start_peer() {
    run_in_background "$scratch/peer.log" ip netns exec "$SERVER" python3 "$here/peer.py" "$@"
    await "$scratch/peer.log" ready
}

record_web_download() {
    start_lab
    run_in_background "$scratch/http.log" ip netns exec "$SERVER" python3 "$here/http_server.py"
    await "$scratch/http.log" ready
    start_capture pcap-us "$captures/web-download/input.pcap"
    # One connection kept alive for three downloads, one started every half second.
    on_host curl --silent --fail --local-port 40080 --rate 7200/h --output /dev/null \
        'http://[2001:db8:5::2]/bytes/[20000-20002]'
    stop_capture
}

record_dns() {
    start_lab
    run_in_background "$scratch/dns.log" ip netns exec "$SERVER" dnsmasq --no-daemon --conf-file=/dev/null --no-resolv \
        --no-hosts --port=53 --user=root --group=root --pid-file= --log-facility=- \
        --local=/example/ --host-record=www.example,2001:db8:9::1 --host-record=mail.example,2001:db8:5::25 \
        --cname=web.example,www.example --srv-host=_sip._udp.example,mail.example,5060 \
        "--txt-record=long.example$(printf ',%0200d' 1 2 3 4 5 6 7)"
    await "$scratch/dns.log" 'started, version'
    start_capture pcapng "$captures/dns/input.pcapng" unsettled
    bash "$here/dns_queries.sh" "$HOST"
    stop_capture
}

record_interactive() {
    start_lab
    ssh-keygen -q -t ed25519 -N '' -C lab -f "$scratch/host_key"
    ssh-keygen -q -t ed25519 -N '' -C lab -f "$scratch/user_key"
    mkdir -p /run/sshd
    run_in_background "$scratch/sshd.log" ip netns exec "$SERVER" "$(command -v sshd)" -D -e -f /dev/null \
        -h "$scratch/host_key" -o "AuthorizedKeysFile=$scratch/user_key.pub" -o StrictModes=no -o UsePAM=no \
        -o ListenAddress=2001:db8:5::2 -o PidFile=none -o PermitRootLogin=prohibit-password -o PrintMotd=no
    await "$scratch/sshd.log" 'Server listening'
    start_capture pcapng "$captures/interactive/input.pcapng"
    python3 "$here/typist.py" | on_host ssh -tt -F /dev/null -i "$scratch/user_key" -o IdentitiesOnly=yes \
        -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
        -o IgnoreUnknown=ObscureKeystrokeTiming -o ObscureKeystrokeTiming=no \
        root@2001:db8:5::2 >/dev/null
    stop_capture
}

record_fragmented_udp() {
    start_lab
    start_peer --udp 9101-9102
    start_capture pcap-ns "$captures/fragmented-udp/input.pcap"
    on_host python3 "$here/fragments.py"
    stop_capture
}

record_icmp_errors() {
    start_lab
    start_peer --tcp 7001 --udp 9001 --late-udp 9009
    # The server still announces an MSS for 1500 octets, so that full segments of the host meet the small link and come
    # back as Packet Too Big.
    ip -n "$ROUTER" link set toserver mtu 1280
    ip -n "$SERVER" link set eth0 mtu 1280
    ip -n "$SERVER" route replace default via 2001:db8:5::1 dev eth0 advmss 1440
    start_capture pcapng "$captures/icmp-errors/input.pcapng" unsettled
    on_host ping -q -c 4 -i 0.3 2001:db8:5::2 >/dev/null
    on_host ping -q -c 2 -i 0.3 -M "do" -s 1400 -W 1 2001:db8:5::2 >/dev/null || true
    on_host ping -q -c 1 -W 1 -t 1 2001:db8:5::2 >/dev/null || true
    on_host python3 "$here/icmp_errors.py"
    stop_capture
}

record_short_flows() {
    start_lab
    start_peer --tcp 7001-7004 --udp 9001-9004
    start_capture pcap-us "$captures/short-flows/input.pcap"
    on_host python3 "$here/short_flows.py"
    stop_capture
}

record_four_types() {
    start_lab
    start_peer --tcp 7001-7004 --udp 9001-9004 --push-every 0.45
    start_capture pcapng "$captures/four-types/input.pcapng"
    on_host python3 "$here/four_types.py"
    stop_capture
}

record_server() {
    start_lab
    run_in_background "$scratch/peer.log" ip netns exec "$HOST" python3 "$here/peer.py" --tcp 8080 --udp 5300
    await "$scratch/peer.log" ready
    start_capture pcap-us "$captures/server/input.pcap"
    on_server python3 "$here/inbound_client.py"
    on_server ping -q -c 3 -i 0.3 -I 2001:db8:5::2 fd00:db8::1 >/dev/null
    on_server ping -q -c 2 -i 0.3 -I 2001:db8:9::1 fd00:db8::1 >/dev/null
    stop_capture
}

record_offload() {
    start_lab offload
    run_in_background "$scratch/http.log" ip netns exec "$SERVER" python3 "$here/http_server.py" --unpaced
    await "$scratch/http.log" ready
    head -c 30000 /dev/zero | tr '\0' 'u' >"$scratch/upload"
    start_capture pcapng "$captures/offload/input.pcapng"
    on_host curl --silent --fail --local-port 40080 --output /dev/null 'http://[2001:db8:5::2]/bytes/100000'
    on_host curl --silent --fail --local-port 40081 --output /dev/null --data-binary "@$scratch/upload" \
        'http://[2001:db8:5::2]/sink'
    on_host dig +tries=1 +time=1 @2001:db8:5::2 www.example AAAA >/dev/null || true
    stop_capture
}

record_two_hosts() {
    start_lab
    ip -n "$HOST" addr add fd00:db8::2/64 dev eth0 nodad
    start_peer --tcp 7001 --udp 9001
    on_host ping -q -c 1 -I fd00:db8::2 2001:db8:5::2 >/dev/null
    start_capture pcapng "$captures/two-hosts/input.pcapng"
    on_host python3 "$here/two_hosts.py"
    stop_capture
}

record_message_flow() {
    start_lab
    start_peer --tcp 7001-7004
    start_capture pcapng "$captures/message-flow/input.pcapng"
    on_host python3 "$here/message_flow.py"
    stop_capture
}

all=(web-download dns interactive fragmented-udp icmp-errors short-flows four-types server offload two-hosts message-flow)

main() {
    if ((EUID != 0)); then
        echo "record.sh: network namespaces need root" >&2
        exit 1
    fi
    local name names=("$@")
    if ((${#names[@]} == 0)); then
        names=("${all[@]}")
    fi
    for name in "${names[@]}"; do
        if [[ " ${all[*]} " != *" $name "* ]]; then
            echo "record.sh: no capture is called $name; there are: ${all[*]}" >&2
            exit 2
        fi
    done
    require_tools
    for name in "${names[@]}"; do
        echo "recording $name"
        "record_${name//-/_}"
        end_lab
    done
}

main "$@"

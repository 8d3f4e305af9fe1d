#!/bin/bash
# latency.sh - how long a request of one octet and its answer take over TCP through `ondemand run`, and through the C yardstick `refl -v` (e),
# tayga (c) and the kernel's source NAT (nft), in turns, on bench/onpath.sh's topology: all answers, for the plot of their distribution.
# Prints "VARIANT<tab>MICROSECONDS<tab>COUNT" lines, buckets 3 % wide, counts of all runs together; progress to stderr.
# usage (as root): bench/latency.sh [REPEATS] [VARIANT...]      env: SECONDS_EACH (3), ONDEMAND=.../ondemand.dll another build than this tree's
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
PEERS=${PEERS:-$ROOT/../shared/peers}
REP=${1:-3}
shift || true
VARIANTS=${*:-e nft c ondemand}
EACH=${SECONDS_EACH:-3}
[ "$(id -u)" = 0 ] || { echo "latency.sh: root is needed for namespaces and a TAP." >&2; exit 2; }
for tool in gcc ip ping; do command -v $tool >/dev/null || { echo "latency.sh: $tool is not there." >&2; exit 2; }; done

D=$(mktemp -d)
APP=odl$$-app MID=odl$$-mid SRV=odl$$-srv
TRANSLATOR="" SERVER=""
stop() { [ -z "$1" ] || { kill "$1" 2>/dev/null || true; wait "$1" 2>/dev/null || true; }; }
down() {
    stop "$TRANSLATOR"; stop "$SERVER"
    TRANSLATOR="" SERVER=""
    for n in $APP $MID $SRV; do ip netns del "$n" 2>/dev/null || true; done
}
trap 'down; rm -rf "$D"' EXIT
trap 'exit 130' INT TERM
gcc -std=gnu11 -O2 -o "$D/rr" "$ROOT/bench/latency/rr.c" -lm
case " $VARIANTS " in *" e "*)
    [ -e "$PEERS/refl.c" ] || { echo "latency.sh: the yardstick e is not there ($PEERS)." >&2; exit 2; }
    gcc -O3 -march=native -o "$D/refl" "$PEERS/refl.c" -luring -lpthread ;;
esac
if [ -z "${ONDEMAND:-}" ]; then
    dotnet build -c Release "$ROOT/src/OnDemand.Cli" -v q --nologo >"$D/build" || { cat "$D/build" >&2; exit 2; }
    ONDEMAND=$ROOT/src/OnDemand.Cli/bin/Release/net10.0/ondemand.dll
fi

up() {
    for n in $APP $MID $SRV; do
        ip netns add "$n"
        ip -n "$n" link set dev lo up
        ip netns exec "$n" sh -c 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/default/accept_ra'
    done
    ip link add a0 netns $APP type veth peer name ma netns $MID
    ip link add s0 netns $SRV type veth peer name ms netns $MID
    ip -n $APP addr add fd00:a::2/64 dev a0 nodad; ip -n $MID addr add fd00:a::1/64 dev ma nodad
    ip -n $SRV addr add 2001:db8:5::2/64 dev s0 nodad; ip -n $MID addr add 2001:db8:5::1/64 dev ms nodad
    ip -n $SRV addr add 10.5.0.2/24 dev s0; ip -n $MID addr add 10.5.0.1/24 dev ms
    for end in "$APP a0" "$MID ma" "$MID ms" "$SRV s0"; do ip -n "${end% *}" link set dev "${end#* }" up; done
    ip -n $APP -6 route add default via fd00:a::1
    ip -n $SRV -6 route add default via 2001:db8:5::1; ip -n $SRV route add default via 10.5.0.1
    ip netns exec $MID sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding; echo 1 >/proc/sys/net/ipv4/ip_forward
        for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >"$f"; done'
    ip netns exec $SRV "$D/rr" serve 5301 & SERVER=$!
}

translate() {
    TARGET=2001:db8:5::2
    case $1 in
    e)
        ip netns exec $MID "$D/refl" -i tap0 -v -I fd00:a:: -O 2001:db8:a:: 2>"$D/log" & TRANSLATOR=$!
        for _ in $(seq 100); do ip -n $MID link show tap0 >/dev/null 2>&1 && break; sleep 0.05; done
        ip -n $MID link set dev tap0 mtu 1500 arp off up
        ip -n $MID -6 route add default dev tap0 table 100
        ip -n $MID -6 rule add iif ma pref 100 lookup 100
        ip -n $MID -6 route add 2001:db8:a::/64 dev tap0
        ;;
    c)
        mkdir -p "$D/tayga"
        printf 'tun-device nat64\nipv4-addr 10.99.0.1\nprefix 2001:db8:64::/96\ndynamic-pool 10.99.0.0/24\ndata-dir %s\nipv6-addr fd00:64::1\n' \
            "$D/tayga" >"$D/tayga.conf"
        ip netns exec $MID tayga -c "$D/tayga.conf" --mktun >/dev/null 2>&1
        ip -n $MID link set dev nat64 up
        ip -n $MID route add 10.99.0.0/24 dev nat64; ip -n $MID -6 route add 2001:db8:64::/96 dev nat64
        ip netns exec $MID tayga -c "$D/tayga.conf" --nodetach >"$D/log" 2>&1 & TRANSLATOR=$!
        TARGET=2001:db8:64::a05:2
        ;;
    nft)
        printf 'table ip6 n {\n chain p { type nat hook postrouting priority 100; oifname "ms" ip6 saddr fd00:a::/64 snat to 2001:db8:a::2; }\n}\n' |
            ip netns exec $MID nft -f -
        ip -n $SRV -6 route add 2001:db8:a::/64 via 2001:db8:5::1
        : >"$D/log"
        ;;
    ondemand)
        cat >"$D/host.yaml" <<YAML
seed: 1
internal: [fd00:a::/64]
policy: {default: session-lasting}
network: [{at: 0s, attach: net, prefixes: [{prefix: 2001:db8:a::/64, type: session-lasting}]}]
host: {tap: tap0, forwarding: check, control: $D/control.sock, state: $D/state}
YAML
        rm -rf "$D/state"
        ip netns exec $MID dotnet "$ONDEMAND" run --config "$D/host.yaml" 2>"$D/log" & TRANSLATOR=$!
        for _ in $(seq 200); do grep -q Running "$D/log" 2>/dev/null && break; sleep 0.05; done
        ;;
    *) echo "latency.sh: no variant '$1' (e, nft, c, ondemand)." >&2; exit 2 ;;
    esac
    sleep 0.3
    ip netns exec $APP ping -6 -c 3 -i 0.2 -W 1 $TARGET >/dev/null || { echo "latency.sh: $1 does not answer:" >&2; cat "$D/log" >&2; exit 1; }
}

for ((i = 1; i <= REP; i++)); do
    for variant in $VARIANTS; do
        echo "latency, run $i of $REP: $variant" >&2
        up
        translate "$variant"
        ip netns exec $APP timeout 60 "$D/rr" ask $TARGET 5301 0.5 >/dev/null
        ip netns exec $APP timeout 60 "$D/rr" ask $TARGET 5301 "$EACH" | sed "s/^/$variant /" >>"$D/answers"
        down
    done
done
awk '{ n[$1 "\t" $2] += $3 } END { for (k in n) print k "\t" n[k] }' "$D/answers" | sort -t"$(printf '\t')" -k1,1 -k2,2n

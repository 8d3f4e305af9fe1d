#!/bin/bash
# onpath.sh - `ondemand run` on a TAP beside other translators, in turns in one run, on one topology:
#   app (fd00:a::2) -- mid (the translator) -- srv (2001:db8:5::2), veth pairs in network namespaces of this script's own
# Variants: e  the C yardstick `refl -v` (a TAP loop with offloads)    u  the same with io_uring    c  tayga    nft  the kernel's source NAT
#   ondemand, and to see what each lever does: ondemand-plain (neither io_uring nor joined segments), ondemand-ring, ondemand-join;
#   before: the build that BEFORE=.../ondemand.dll names
# Floors: TCP at least 0.95 times e, 10 times tayga and 0.7 times nft both ways; 64-byte UDP at least 1.3 times tayga and 0.8 times nft;
# request/response at most 1.1 times e's; CPU per GB at most 1.15 times e's. With WIRE=2 TCP at least 2 times e.
# usage (as root): bench/onpath.sh [REPEATS] [VARIANT...]
# env: SECONDS_EACH (3); SUMS=1 finishes checksums in software on the way out; WIRE=1 the end hosts send single frames, and the receivers'
#   links put them together; WIRE=2 they do not; MEASURES="bulk udp rr" some of them only; ONDEMAND=.../ondemand.dll another build than this tree's
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
PEERS=$ROOT/../shared/peers
REP=${1:-3}
shift || true
VARIANTS=${*:-e nft c ondemand}
EACH=${SECONDS_EACH:-3}
[ "$(id -u)" = 0 ] || { echo "onpath.sh: root is needed for namespaces and a TAP." >&2; exit 2; }
[ -e "$PEERS/refl.c" ] || { echo "onpath.sh: the yardsticks are not there ($PEERS)." >&2; exit 2; }
missing=()
for tool in gcc:gcc iperf3:iperf3 tayga:tayga ip:iproute2 ping:iputils-ping ethtool:ethtool nft:nftables; do
    command -v "${tool%%:*}" >/dev/null || missing+=("${tool##*:}")
done
[ -e /usr/include/liburing.h ] || missing+=(liburing-dev)
if [ ${#missing[@]} -gt 0 ]; then
    echo "Installing ${missing[*]}"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null
fi

D=$(mktemp -d)
APP=odb$$-app MID=odb$$-mid SRV=odb$$-srv
TRANSLATOR="" SERVERS=()
gcc -O3 -march=native -o "$D/refl" "$PEERS/refl.c" -luring -lpthread
gcc -O3 -march=native -o "$D/netload" "$PEERS/netload.c"
if [ -z "${ONDEMAND:-}" ]; then
    dotnet build -c Release "$ROOT/src/OnDemand.Cli" -v q --nologo >"$D/build" || { cat "$D/build"; exit 1; }
    ONDEMAND=$ROOT/src/OnDemand.Cli/bin/Release/net10.0/ondemand.dll
fi

end_translator() {
    [ -n "$TRANSLATOR" ] || return 0
    kill "$TRANSLATOR" 2>/dev/null || true
    wait "$TRANSLATOR" 2>/dev/null || true
    TRANSLATOR=""
}
down() {
    end_translator
    for process in "${SERVERS[@]}"; do kill "$process" 2>/dev/null || true; wait "$process" 2>/dev/null || true; done
    SERVERS=()
    for n in $APP $MID $SRV; do ip netns del "$n" 2>/dev/null || true; done
}
trap 'down; rm -rf "$D"' EXIT
trap 'exit 130' INT TERM

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
    ip -n $APP link set dev a0 up; ip -n $MID link set dev ma up; ip -n $MID link set dev ms up; ip -n $SRV link set dev s0 up
    ip -n $APP -6 route add default via fd00:a::1
    ip -n $SRV -6 route add default via 2001:db8:5::1; ip -n $SRV route add default via 10.5.0.1
    ip netns exec $MID sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding; echo 1 >/proc/sys/net/ipv4/ip_forward
        for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >"$f"; done'
    if [ "${WIRE:-0}" != 0 ]; then
        single="tso off gso off tx-udp-segmentation off"
        for end in "$APP a0" "$SRV s0" "$MID ms"; do ip netns exec "${end% *}" ethtool -K "${end#* }" $single >/dev/null 2>&1; done
        if [ "$WIRE" = 1 ]; then
            for end in "$APP a0" "$SRV s0" "$MID ms" "$MID ma"; do ip netns exec "${end% *}" ethtool -K "${end#* }" gro on >/dev/null; done
        fi
    fi
    if [ "${SUMS:-0}" = 1 ]; then
        ip netns exec $MID ethtool -K ms tx off >/dev/null 2>&1; ip netns exec $MID ethtool -K ma tx off >/dev/null 2>&1
    fi
    ip netns exec $SRV iperf3 -s -p 5201 >/dev/null 2>&1 & SERVERS+=($!)
    ip netns exec $SRV "$D/netload" srv 5301 & SERVERS+=($!)
}

translate() {
    TARGET=2001:db8:5::2
    case $1 in
    e | u)
        local ring=""
        [ "$1" = e ] || ring="-u 32"
        ip netns exec $MID "$D/refl" -i tap0 -v $ring -I fd00:a:: -O 2001:db8:a:: 2>"$D/log" & TRANSLATOR=$!
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
        ;;
    ondemand* | before)
        local program=$ONDEMAND levers=""
        case $1 in
        ondemand-plain) levers=", ring: off, coalesce: off" ;;
        ondemand-ring) levers=", coalesce: off" ;;
        ondemand-join) levers=", ring: off" ;;
        before) program=$BEFORE ;;
        esac
        cat >"$D/host.yaml" <<YAML
seed: 1
internal: [fd00:a::/64]
policy: {default: session-lasting}
network: [{at: 0s, attach: net, prefixes: [{prefix: 2001:db8:a::/64, type: session-lasting}]}]
host: {tap: tap0, forwarding: check, control: $D/control.sock, state: $D/state$levers}
YAML
        rm -rf "$D/state"
        ip netns exec $MID dotnet "$program" run --config "$D/host.yaml" 2>"$D/log" & TRANSLATOR=$!
        for _ in $(seq 200); do grep -q Running "$D/log" 2>/dev/null && break; sleep 0.05; done
        ;;
    *) echo "onpath.sh: no variant '$1' (e, u, c, nft, ondemand, ondemand-plain, ondemand-ring, ondemand-join, before)." >&2; exit 2 ;;
    esac
    sleep 0.3
    ip netns exec $APP ping -6 -c 3 -i 0.2 -W 1 $TARGET >/dev/null || { echo "onpath.sh: $1 does not answer:" >&2; cat "$D/log" >&2; exit 1; }
}

note() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$D/results"; }
gigabits() { awk '/"sum_received"/ { r = 1 } r && /bits_per_second/ { gsub(/[^0-9.e+]/, "", $2); printf "%.3f", $2 / 1e9; exit }'; }

# Seconds of processor time since the start: the translator's, and the whole machine's.
translator_time() { [ -z "$TRANSLATOR" ] && echo 0 || awk '{ sub(/^.*\) /, ""); print ($12 + $13) / 100 }' "/proc/$TRANSLATOR/stat"; }
machine_time() { awk '/^cpu / { print ($2 + $3 + $4 + $7 + $8) / 100 }' /proc/stat; }

bulk() { # variant, row, iperf3 flags
    local t0 m0 t1 m1 rate
    t0=$(translator_time) m0=$(machine_time)
    rate=$(ip netns exec $APP timeout 30 iperf3 -6 -c $TARGET -p 5201 -t "$EACH" $3 -J | gigabits)
    t1=$(translator_time) m1=$(machine_time)
    note "$1" "tcp $2 Gbit/s" "$rate"
    awk -v r="$rate" -v s="$EACH" -v t="$t0 $t1" -v m="$m0 $m1" 'BEGIN { split(t, a); split(m, b); g = r * s / 8
        printf "%.4f %.4f\n", (a[2] - a[1]) / g, (b[2] - b[1]) / g }' >"$D/cost"
    note "$1" "cpu s/GB $2, own" "$(cut -d' ' -f1 "$D/cost")"
    note "$1" "cpu s/GB $2, all" "$(cut -d' ' -f2 "$D/cost")"
}

small() { # variant
    ip netns exec $SRV "$D/netload" urecv 5401 "$EACH" 0 >"$D/received" & local receiver=$!
    sleep 0.2
    ip netns exec $APP timeout 30 "$D/netload" usend $TARGET 5401 "$((EACH + 1))" 64 1 >/dev/null
    wait "$receiver"
    note "$1" "udp 64 B kpps" "$(awk '{ printf "%.1f", $3 / 1000 }' "$D/received")"
}

answers() { # variant
    ip netns exec $APP timeout 30 "$D/netload" rr $TARGET 5301 "$EACH" >"$D/answers"
    note "$1" "rr p50 us" "$(awk '{ print $5 }' "$D/answers")"
    note "$1" "rr p99 us" "$(awk '{ print $7 }' "$D/answers")"
}

measure() {
    for what in ${MEASURES:-bulk udp rr}; do
        case $what in
        bulk) bulk "$1" up ""; bulk "$1" down -R ;;
        udp) small "$1" ;;
        rr) answers "$1" ;;
        esac
    done
}

: >"$D/results"
for ((i = 1; i <= REP; i++)); do
    for variant in $VARIANTS; do
        echo "run $i of $REP: $variant" >&2
        up
        translate "$variant"
        measure "$variant"
        down
    done
done

sort -k1,1 -k2,2 -k3,3n -t$'\t' "$D/results" | awk -F'\t' -v variants="$VARIANTS" '
    { v[$1, $2, ++n[$1, $2]] = $3; if (!($2 in seen)) { seen[$2] = 1; what[++k] = $2 } }
    function median(a, b, c) { c = n[a, b]; return c % 2 ? v[a, b, (c + 1) / 2] : (v[a, b, c / 2] + v[a, b, c / 2 + 1]) / 2 }
    END {
        count = split(variants, name, " ")
        printf "%-18s", "median of runs"
        for (i = 1; i <= count; i++) { printf "%15s", name[i]; if (name[i] == "ondemand") ours = name[i] }
        if (ours != "") for (i = 1; i <= count; i++) if (name[i] != ours) printf "%21s", "times " name[i]
        printf "\n"
        for (j = 1; j <= k; j++) {
            printf "%-18s", what[j]
            for (i = 1; i <= count; i++) { m[name[i]] = median(name[i], what[j]); printf "%15.2f", m[name[i]] }
            if (ours != "") for (i = 1; i <= count; i++) if (name[i] != ours) printf "%21s", (m[name[i]] > 0 ? sprintf("%.2f", m[ours] / m[name[i]]) : "-")
            printf "\n"
        }
    }'

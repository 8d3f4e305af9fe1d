#!/bin/bash
# onpath.sh - `ondemand run` on a TAP beside other translators, in turns in one run, on one topology:
#   app (fd00:a::2) -- mid (the translator) -- srv (2001:db8:5::2), veth pairs in network namespaces of this script's own
# Variants: e  the C yardstick `refl -v` (a TAP loop with offloads)    u  the same with io_uring    c  tayga    nft  the kernel's source NAT
#   ondemand, and to see what each lever does: ondemand-plain (neither io_uring nor joined segments), ondemand-ring, ondemand-join,
#   ondemand-2q (two queues of the TAP, two threads: see STREAMS);
#   before: the build that BEFORE=.../ondemand.dll names
# Floors: TCP at least 0.95 times e, 10 times tayga and 0.7 times nft both ways; 64-byte UDP at least 1.3 times tayga and 0.8 times nft;
# request/response at most 1.1 times e's; CPU per GB at most 1.15 times e's. With WIRE=2 TCP at least 2 times e.
# usage (as root): bench/onpath.sh [REPEATS] [VARIANT...]
# env: SECONDS_EACH (3); STREAMS (1) connections, or UDP sockets, at once; SUMS=1 finishes checksums in software on the way out; WIRE=1 the end hosts send single frames, and the receivers'
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

. "$ROOT/bench/topology.sh"
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
    add_nodes
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

note() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$D/results"; }
gigabits() { awk '/"sum_received"/ { r = 1 } r && /bits_per_second/ { gsub(/[^0-9.e+]/, "", $2); printf "%.3f", $2 / 1e9; exit }'; }

# Seconds of processor time since the start: the translator's, and the whole machine's.
translator_time() { [ -z "$TRANSLATOR" ] && echo 0 || awk '{ sub(/^.*\) /, ""); print ($12 + $13) / 100 }' "/proc/$TRANSLATOR/stat"; }
machine_time() { awk '/^cpu / { print ($2 + $3 + $4 + $7 + $8) / 100 }' /proc/stat; }

bulk() { # variant, row, iperf3 flags
    local t0 m0 t1 m1 rate
    t0=$(translator_time) m0=$(machine_time)
    rate=$(ip netns exec $APP timeout 30 iperf3 -6 -c $TARGET -p 5201 -P "${STREAMS:-1}" -t "$EACH" $3 -J | gigabits)
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
    ip netns exec $APP timeout 30 "$D/netload" usend $TARGET 5401 "$((EACH + 1))" 64 1 "${STREAMS:-1}" >/dev/null
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

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

. "$ROOT/bench/topology.sh"
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
    add_nodes
    ip netns exec $SRV "$D/rr" serve 5301 & SERVER=$!
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

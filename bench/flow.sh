#!/bin/bash
# flow.sh - nanoseconds a packet of the whole engine beside those of the C yardstick (flowbench.c: parse, one look-up, rewrite, checksum),
# in turns, so that both meet the same machine. Prints medians and ratios; the floor is a ratio of 2 for batches of 32.
# usage: bench/flow.sh [REPEATS]      env: HOSTS=1 internal addresses (a power of two), PEERS=directory of flowbench.c
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
REP=${1:-3}
HOSTS=${HOSTS:-1}
PEERS=${PEERS:-$ROOT/../shared/peers}
PROJECT=$ROOT/bench/OnDemand.Dataplane.Benchmarks
RUN=$PROJECT/bin/Release/net10.0/OnDemand.Dataplane.Benchmarks.dll
D=$(mktemp -d)
trap 'rm -rf "$D"' EXIT

dotnet build -c Release "$PROJECT" -v q --nologo >"$D/build" || { cat "$D/build"; exit 1; }
C=
if [ ! -e "$PEERS/flowbench.c" ]; then
    echo "flow.sh: $PEERS/flowbench.c is not there; only the engine is measured."
elif ! command -v gcc >/dev/null; then
    echo "flow.sh: gcc is not there; only the engine is measured."
else
    gcc -O3 -march=native -o "$D/flowbench" "$PEERS/flowbench.c"
    C=$D/flowbench
fi

# What else the machine does shall not count, for neither.
FIRST=
if chrt -f 10 true 2>/dev/null; then FIRST="chrt -f 10"; fi
for ((i = 0; i < REP; i++)); do
    if [ -n "$C" ]; then
        $FIRST "$C" | sed -E 's/^C +flows +([0-9]+).*net naive +([0-9.]+).*net batch +([0-9.]+).*/c \1 \2 \3 0/' >>"$D/results"
    fi
    $FIRST dotnet "$RUN" flow --hosts "$HOSTS" |
        sed -E 's/^engine +([a-z]+) .*flows +([0-9]+).*net single +([0-9.]+) +net batch +([0-9.]+) ns.pkt +([0-9.]+).*/\1 \2 \3 \4 \5/' >>"$D/results"
done

echo "ns a packet net of the generator, medians of $REP runs in turns; $HOSTS internal address(es)"
sort -k1,1 -k2,2n "$D/results" | awk '
    function median(list, n,   v, i, j, t) {
        split(list, v, " ")
        for (i = 2; i <= n; i++) { t = v[i] + 0; for (j = i - 1; j > 0 && v[j] + 0 > t; j--) v[j + 1] = v[j]; v[j + 1] = t }
        return n % 2 ? v[(n + 1) / 2] + 0 : (v[n / 2] + v[n / 2 + 1]) / 2
    }
    { k = $1 SUBSEP $2; count[k]++; one[k] = one[k] " " $3; many[k] = many[k] " " $4; if ($5 > bytes[k]) bytes[k] = $5; sizes[$2] = 1 }
    END {
        printf "%9s  %9s %9s | %-9s %9s %9s %7s %7s %7s\n", "flows", "C single", "C batch", "", "single", "batch", "ratio1", "ratio32", "B/pkt"
        n = 0
        for (s in sizes) order[++n] = s + 0
        for (i = 2; i <= n; i++) { t = order[i]; for (j = i - 1; j > 0 && order[j] > t; j--) order[j + 1] = order[j]; order[j + 1] = t }
        for (i = 1; i <= n; i++) {
            s = order[i] ""; c = "c" SUBSEP s; c1 = c32 = 0
            if (c in count) { c1 = median(one[c], count[c]); c32 = median(many[c], count[c]) }
            for (d = 0; d < 2; d++) {
                way = d ? "inbound" : "outbound"; k = way SUBSEP s
                if (!(k in count)) continue
                o1 = median(one[k], count[k]); o32 = median(many[k], count[k])
                if (c32) printf "%9d  %9.1f %9.1f | %-9s %9.1f %9.1f %7.2f %7.2f %7g\n", s, c1, c32, way, o1, o32, o1 / c1, o32 / c32, bytes[k]
                else printf "%9d  %9s %9s | %-9s %9.1f %9.1f %7s %7s %7g\n", s, "-", "-", way, o1, o32, "-", "-", bytes[k]
            }
        }
    }'

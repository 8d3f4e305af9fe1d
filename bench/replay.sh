#!/bin/bash
# replay.sh - `ondemand replay` beside `tcprewrite --pnat` and `cp` on one capture of about 1 GB, in turns, all files in a tmpfs.
# The floor is four times tcprewrite's packets a second and half of cp's, the goal six times and 0.8 (README, Performance).
# usage (as root, for the tmpfs): bench/replay.sh [REPEATS] [PACKETS] [FLOWS]
# env: HUGE=1 the tmpfs takes memory by 2 MiB instead of by 4 KiB, so that less of the time is the kernel's, of everybody alike
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
REP=${1:-3}
PACKETS=${2:-1350000}
FLOWS=${3:-100000}
BENCH=$ROOT/bench/OnDemand.Dataplane.Benchmarks
CLI=$ROOT/src/OnDemand.Cli
D=$(mktemp -d)
mount -t tmpfs -o "size=4g${HUGE:+,huge=within_size}" tmpfs "$D"
trap 'umount "$D"; rmdir "$D"' EXIT

for project in "$BENCH" "$CLI"; do
    dotnet build -c Release "$project" -v q --nologo >"$D/build" || { cat "$D/build"; exit 1; }
done

dotnet "$BENCH/bin/Release/net10.0/OnDemand.Dataplane.Benchmarks.dll" genpcap "$D/in.pcap" "$PACKETS" "$FLOWS"
cat >"$D/scenario.yaml" <<'YAML'
internal: [fd00:a::2]
pickup: true
limits: {flows: 1048576, bindings: 1048576}
network:
  - at: 0s
    attach: net
    prefixes:
      - {prefix: 2001:db8:a::/64, type: session-lasting}
policy: {default: session-lasting}
YAML
OCTETS=$(stat -c %s "$D/in.pcap")
echo "input: $PACKETS packets, $OCTETS octets, $FLOWS flows; medians of $REP runs in turns"

run() {
    local name=$1
    shift
    rm -f "$D/out.pcap"
    local begin end
    begin=$(date +%s.%N)
    "$@" >"$D/log" 2>&1 || { echo "$name failed:"; tail -5 "$D/log"; return 0; }
    end=$(date +%s.%N)
    [ "$(stat -c %s "$D/out.pcap")" = "$OCTETS" ] || { echo "$name: the output is not as long as the input"; return 0; }
    echo "$name $begin $end" | awk '{ print $1, $3 - $2 }' >>"$D/results"
}

: >"$D/results"
cp "$D/in.pcap" "$D/out.pcap"     # the memory is touched once before
for ((i = 0; i < REP; i++)); do
    run cp cp "$D/in.pcap" "$D/out.pcap"
    run replay dotnet "$CLI/bin/Release/net10.0/ondemand.dll" replay "$D/in.pcap" --scenario "$D/scenario.yaml" --output "$D/out.pcap" --quiet
    if [ "$i" = 0 ] && [ -e "$D/out.pcap" ]; then
        # Proof that packets were rewritten: no packet that leaves has its internal address any more.
        if cmp -s "$D/in.pcap" "$D/out.pcap"; then
            echo "replay: the output is the input; nothing was rewritten"
        fi
    fi
    if command -v tcprewrite >/dev/null; then
        run tcprewrite tcprewrite --pnat='[fd00:a::/64]:[2001:db8:a::/64],[2001:db8:a::/64]:[fd00:a::/64]' -i "$D/in.pcap" -o "$D/out.pcap"
    elif [ "$i" = 0 ]; then
        echo "replay.sh: tcprewrite is not there (package tcpreplay)."
    fi
done

sort -k1,1 -k2,2n "$D/results" | awk -v packets="$PACKETS" -v octets="$OCTETS" '
    { v[$1, ++n[$1]] = $2 }
    END {
        for (name in n) { c = n[name]; m[name] = c % 2 ? v[name, (c + 1) / 2] : (v[name, c / 2] + v[name, c / 2 + 1]) / 2 }
        split("cp replay tcprewrite", order, " ")
        for (i = 1; i <= 3; i++) {
            name = order[i]
            if (!(name in m)) continue
            printf "%-10s %7.3f s %8.3f Mpps %8.0f MB/s  best %.3f s", name, m[name], packets / m[name] / 1e6, octets / m[name] / 1e6, v[name, 1]
            if ("tcprewrite" in m) printf "  %6.2f times tcprewrite", m["tcprewrite"] / m[name]
            printf "\n"
        }
    }'

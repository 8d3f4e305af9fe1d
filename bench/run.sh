#!/usr/bin/env bash
# run.sh - the whole of the performance table: this tree and its yardsticks, in turns in one run, with ratios.
#
#   sudo bench/run.sh [engine|tap|replay|all] [REPEATS]     measures (all, 3 times), then draws; all takes about 30 minutes
#   sudo bench/run.sh --quick [PART]                        once and briefly, to see that everything works, into artifacts/bench
#   bench/run.sh draw                                       draws again from bench/results/results.tsv without measuring
#
#   engine   bench/flow.sh against C; 10^2 to 10^7 flows; new flows; a move; memory a flow
#   tap      bench/onpath.sh and bench/latency.sh against a C loop, tayga and the kernel's NAT, also where the wire gives single frames;
#            several connections through one queue of the TAP, and through two
#   replay   bench/replay.sh against tcprewrite and cp; memory for two file sizes; start-up times
#
# Measurements go into bench/results/results.tsv (a part that is measured replaces what was there of it), the table into
# bench/results/table.md, between marks in README.md and bench/README.md and to standard output, pictures into bench/results/*.svg;
# progress to standard error. --output DIRECTORY writes elsewhere, and into no page.
# The yardsticks are ../shared/peers (or what PEERS names) and Debian packages, which are installed as far as they are missing. Without the
# former what needs it is left out, and the table says so.
# Exit status: 0 measured and drawn, 1 a measurement failed (the others stand), 2 it could not begin, 130 stopped.
set -u -o pipefail
ROOT=$(cd "$(dirname "$0")/.." && pwd)
BENCH=$ROOT/bench/OnDemand.Dataplane.Benchmarks
RUN=$BENCH/bin/Release/net10.0/OnDemand.Dataplane.Benchmarks.dll
ONDEMAND=$ROOT/src/OnDemand.Cli/bin/Release/net10.0/ondemand
export PEERS=${PEERS:-$ROOT/../shared/peers}
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

PART="" REP="" QUICK=0 OUT=""
usage() { sed -n '4,6s/^# *//p' "$0" >&2; exit 2; }
while [ $# -gt 0 ]; do
    case $1 in
    engine | tap | replay | all | draw) [ -z "$PART" ] || usage; PART=$1 ;;
    --quick) QUICK=1 ;;
    --output) [ $# -gt 1 ] || usage; OUT=$2; shift ;;
    [1-9] | [1-9][0-9]) [ -z "$REP" ] || usage; REP=$1 ;;
    *) usage ;;
    esac
    shift
done
PART=${PART:-all}
PAGES=()
if [ -z "$OUT" ] && [ "$QUICK" = 1 ]; then
    OUT=$ROOT/artifacts/bench
elif [ -z "$OUT" ]; then
    OUT=$ROOT/bench/results PAGES=("$ROOT/README.md" "$ROOT/bench/README.md")
fi
if [ "$QUICK" = 1 ]; then
    REP=${REP:-1} PACKETS=200000 SIZES="100000 200000" STARTS=3 SCALE=100,10000,1000000 PASSES=1 FLOWS=200000
    export SECONDS_EACH=${SECONDS_EACH:-1}
else
    REP=${REP:-3} PACKETS=1350000 SIZES="135000 1350000" STARTS=15 SCALE=100,1000,10000,100000,1000000,3000000,10000000 PASSES=2 FLOWS=1000000
    export SECONDS_EACH=${SECONDS_EACH:-3}
fi

say() { echo "run.sh: $*" >&2; }
mkdir -p "$OUT" || { say "cannot write to $OUT."; exit 2; }
TSV=$OUT/results.tsv
D=$(mktemp -d)
FAILED=0
leave() {
    mountpoint -q "$D/tmpfs" 2>/dev/null && umount "$D/tmpfs"
    rm -rf "$D"
}
trap leave EXIT
trap 'exit 130' INT TERM

build() { dotnet build -c Release "$1" -v quiet --nologo >"$D/build" 2>&1 || { cat "$D/build" >&2; say "the build failed."; exit 2; }; }
draw() {
    [ -e "$TSV" ] || { say "nothing was measured yet ($TSV is not there)."; exit 2; }
    dotnet "$RUN" draw "$OUT" ${PAGES[@]+"${PAGES[@]}"} || exit 2
}

command -v dotnet >/dev/null || { say "the .NET SDK 10 is needed: https://dotnet.microsoft.com/download"; exit 2; }
say "building"
build "$BENCH"
if [ "$PART" = draw ]; then draw; exit 0; fi
[ "$(id -u)" = 0 ] || { say "root is needed to measure: namespaces, TAP interfaces, a tmpfs, packages."; exit 2; }
build "$ROOT/src/OnDemand.Cli"

missing=()
need() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || missing+=("$2"); }
need gcc gcc; need ip iproute2; need ping iputils-ping; need ethtool ethtool; need iperf3 iperf3; need nft nftables
need tayga tayga; need tcprewrite tcpreplay; [ -x /usr/bin/time ] || missing+=(time)
[ -e /usr/include/liburing.h ] || missing+=(liburing-dev)
if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get >/dev/null || { say "not installed: ${missing[*]}"; exit 2; }
    say "installing ${missing[*]}"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$D/apt" 2>&1 ||
        { cat "$D/apt" >&2; say "could not install ${missing[*]}."; exit 2; }
fi
HAVE_PEERS=1
[ -e "$PEERS/flowbench.c" ] && [ -e "$PEERS/refl.c" ] && [ -e "$PEERS/netload.c" ] || HAVE_PEERS=0
[ "$HAVE_PEERS" = 1 ] || say "the yardsticks in C are not there ($PEERS): our own numbers only, and what Debian has."

# What else the machine does shall not count where one process is measured.
FIRST=
if chrt -f 10 true 2>/dev/null; then FIRST="chrt -f 10"; fi

note() { printf '%s\t%s\t%s\t%s\n' "$@" >>"$D/new"; }
failed() { say "FAILED: $1"; FAILED=1; }
step() { say "$(date -u +%H:%M:%S) $*"; }
# What a part has measured replaces what was there of it; a part of which nothing came keeps what it had.
keep() {
    touch "$TSV" "$D/new"
    awk -F'\t' -v parts="$1" 'BEGIN { n = split(parts, p, " "); for (i = 1; i <= n; i++) gone[p[i]] = 1 }
        !($1 in gone) && !($1 == "machine" && ($2 == "all" || $2 == "'"$2"'"))' "$TSV" >"$D/kept"
    note machine "$2" date "$(date -u +%Y-%m-%d)"
    note machine "$2" repeats "$REP"
    note machine all cpu "$(awk -F': ' '{ sub(/[ \t]+$/, "", $1); v[$1] = $2 } /^$/ { exit }
        END { print v["model name"] (v["cpu family"] == "" ? "" : " (family " v["cpu family"] ", model " v["model"] ")") }' /proc/cpuinfo)"
    note machine all cores "$(nproc)"
    note machine all memory "$(awk '/MemTotal/ { printf "%.0f GB", $2 / 1e6 }' /proc/meminfo)"
    note machine all kernel "$(uname -r | cut -d- -f1)"
    note machine all dotnet "$(dotnet --list-runtimes | sed -n 's/^Microsoft.NETCore.App \([0-9.]*\).*/\1/p' | tail -n 1)"
    note machine all peers "$([ "$HAVE_PEERS" = 1 ] && echo there || echo absent)"
    cat "$D/kept" "$D/new" >"$D/all" && mv "$D/all" "$TSV"
    rm -f "$D/new"
}
# The numbers of a line of JSON: field NAME
field() { sed -n "s/.*\"$1\":\([-0-9.e+E]*\).*/\1/p"; }

engine() {
    step "engine: bench/flow.sh, $REP runs"
    if "$ROOT/bench/flow.sh" "$REP" >"$D/flow" 2>"$D/log"; then
        cat "$D/flow" >&2
        # flows, C single, C batch | way single batch ratio1 ratio32 B/pkt
        awk -F' +' -v OFS='\t' '{ sub(/^ +/, "") } /C single +C batch/ { header = 1; next } !header || $4 != "|" { next }
            { if ($2 != "-" && !seen[$1]++) { print "flow", "C", "single " $1, $2; print "flow", "C", "batch " $1, $3 }
              print "flow", $5, "single " $1, $6; print "flow", $5, "batch " $1, $7; print "flow", $5, "octets " $1, $10 }' "$D/flow" >>"$D/new"
        grep -q "^flow" "$D/new" || failed "bench/flow.sh's table is not as expected."
    else
        cat "$D/flow" "$D/log" >&2
        failed "bench/flow.sh"
    fi

    step "engine: $SCALE flows"
    for way in outbound inbound; do
        if $FIRST dotnet "$RUN" flow --hosts 1 --direction $way --flows "$SCALE" --passes "$PASSES" --json >"$D/json" 2>"$D/log"; then
            while read -r line; do
                flows=$(field flows <<<"$line")
                note scale $way "batch $flows" "$(field batch <<<"$line")"
                note scale $way "single $flows" "$(field single <<<"$line")"
            done <"$D/json"
        else
            cat "$D/log" >&2
            failed "the $way engine over $SCALE flows"
        fi
    done

    for ((i = 1; i <= REP; i++)); do
        step "engine: new flows, a move, engines side by side, memory, run $i of $REP"
        if $FIRST dotnet "$RUN" newflows --json >"$D/json" 2>"$D/log"; then
            note newflows ondemand ns "$(field nanoseconds <"$D/json")"
            note newflows ondemand flows/s "$(field flowsPerSecond <"$D/json")"
            note newflows ondemand octets "$(field bytes <"$D/json")"
        else
            cat "$D/log" >&2; failed "new flows"
        fi
        if $FIRST dotnet "$RUN" move --json >"$D/json" 2>"$D/log"; then
            while read -r line; do
                attach=$(field attach <<<"$line") longest=$(field sliceLongest <<<"$line")
                note move ondemand "attach us" "$attach"
                note move ondemand "slice us" "$(field sliceMedian <<<"$line")"
                note move ondemand "slice 99 us" "$(field slice99 <<<"$line")"
                note move ondemand "longest us" "$(awk -v a="$attach" -v b="$longest" 'BEGIN { print (a > b ? a : b) }')"
                note move ondemand "sweep ms" "$(field sweepMilliseconds <<<"$line")"
            done <"$D/json"
        else
            cat "$D/log" >&2; failed "a move"
        fi
        if $FIRST dotnet "$RUN" side-by-side --json >"$D/json" 2>"$D/log"; then
            while read -r line; do
                note side-by-side ondemand "packets/s $(field engines <<<"$line")" "$(field packetsPerSecond <<<"$line")"
            done <"$D/json"
        else
            cat "$D/log" >&2; failed "engines side by side"
        fi
        for kind in shared own asked; do
            for times in 1 4; do
                if dotnet "$RUN" memory $kind $((FLOWS * times)) >"$D/text" 2>"$D/log"; then
                    what=octets/flow
                    [ $times = 1 ] || what="octets/flow of four times"
                    note memory $kind "$what" "$(sed -n 's/.* \([0-9.]*\) octets.flow.*/\1/p' "$D/text")"
                else
                    cat "$D/log" >&2; failed "memory of $kind sockets"
                fi
            done
        done
    done
    note memory flows count "$(printf "%'d" $FLOWS)"
    keep "flow scale newflows move side-by-side memory" engine
}

# The final table of bench/onpath.sh: a header "median of runs", variants, and ratios that begin with "times" or hold a stroke.
table() { # part, file
    awk -v part="$1" -v OFS='\t' '
        /^median of runs/ {
            values = ratios = 0
            for (i = 4; i <= NF; i++)
                if ($i == "times") { ratios++; i++ } else if ($i ~ /\//) ratios++; else name[++values] = $i
            next
        }
        values && NF > values + ratios {
            first = NF - values - ratios + 1; what = $1
            for (i = 2; i < first; i++) what = what " " $i
            for (i = 1; i <= values; i++) if ($(first + i - 1) ~ /^[0-9.]+$/) print part, name[i], what, $(first + i - 1)
        }' "$2"
}
onpath() { # part, WIRE, variants
    local part=$1 wire=$2
    shift 2
    step "$part: bench/onpath.sh $REP $* (WIRE=$wire)"
    if WIRE=$wire ONDEMAND=$ONDEMAND.dll MEASURES="${MEASURES:-bulk udp rr}" "$ROOT/bench/onpath.sh" "$REP" "$@" >"$D/onpath" 2>"$D/log"; then
        cat "$D/onpath" >&2
        table "$part" "$D/onpath" >"$D/rows"
        grep -q "ondemand.tcp up" "$D/rows" || failed "bench/onpath.sh's table is not as expected."
        cat "$D/rows" >>"$D/new"
    else
        cat "$D/log" "$D/onpath" >&2
        failed "bench/onpath.sh $*"
    fi
}
tap() {
    local variants="nft c ondemand"
    if [ "$HAVE_PEERS" = 1 ]; then
        variants="e $variants"
        onpath tap 0 $variants
        MEASURES=bulk onpath wire 2 e nft ondemand
        STREAMS=4 MEASURES="bulk udp" onpath queues 0 e nft ondemand ondemand-2q
        STREAMS=4 MEASURES=bulk onpath queues-wire 2 e nft ondemand ondemand-2q
    else
        say "throughput over a TAP is not measured: its load generator is one of the yardsticks."
    fi
    step "tap: bench/latency.sh $REP $variants"
    if ONDEMAND=$ONDEMAND.dll "$ROOT/bench/latency.sh" "$REP" $variants >"$D/latency" 2>"$D/log"; then
        awk -F'\t' -v OFS='\t' '{ print "latency", $1, "us " $2, $3 }' "$D/latency" >>"$D/new"
    else
        cat "$D/log" >&2
        failed "bench/latency.sh"
    fi
    keep "tap wire queues queues-wire latency" tap
}

replay() {
    for pages in "" huge; do
        step "replay: bench/replay.sh $REP $PACKETS${pages:+, $pages pages}"
        if HUGE=${pages:+1} "$ROOT/bench/replay.sh" "$REP" "$PACKETS" >"$D/replay" 2>"$D/log"; then
            cat "$D/replay" >&2
            awk -v OFS='\t' -v part="replay${pages:+-$pages}" '$3 == "s" && $5 == "Mpps" {
                print part, $1, "seconds", $2; print part, $1, "best seconds", $9; print part, $1, "Mpps", $4 }' "$D/replay" >>"$D/new"
            grep -q "^replay${pages:+-$pages}.replay" "$D/new" 2>/dev/null || failed "bench/replay.sh's table is not as expected."
        else
            cat "$D/log" "$D/replay" >&2
            failed "bench/replay.sh${pages:+, $pages pages}"
        fi
    done

    mkdir -p "$D/tmpfs"
    mount -t tmpfs -o size=4g tmpfs "$D/tmpfs" || { failed "no tmpfs for captures"; keep replay replay; return; }
    local in=$D/tmpfs/in.pcap out=$D/tmpfs/out.pcap begin
    cat >"$D/scenario.yaml" <<'YAML'
internal: [fd00:a::2]
pickup: true
limits: {flows: 1048576, bindings: 1048576}
network: [{at: 0s, attach: net, prefixes: [{prefix: 2001:db8:a::/64, type: session-lasting}]}]
policy: {default: session-lasting}
YAML
    for packets in $SIZES; do
        dotnet "$RUN" genpcap "$in" "$packets" 100000 || failed "a capture of $packets packets"
        for ((i = 1; i <= REP; i++)); do
            step "replay: memory for $packets packets, run $i of $REP"
            rm -f "$out"
            if /usr/bin/time -f %M -o "$D/peak" "$ONDEMAND" replay "$in" --scenario "$D/scenario.yaml" --output "$out" --quiet >"$D/log" 2>&1; then
                note replay-memory replay "octets $(stat -c %s "$in")" "$(awk '{ print $1 * 1024 / 1e6 }' "$D/peak")"
            else
                cat "$D/log" >&2; failed "replay of $packets packets"
            fi
        done
    done

    step "replay: start-up times, $STARTS runs in turns"
    dotnet "$RUN" genpcap "$in" 1000 100 || failed "a capture of 1,000 packets"
    for ((i = 0; i <= STARTS; i++)); do
        begin=$EPOCHREALTIME
        $FIRST "$ONDEMAND" --version >/dev/null 2>"$D/log" || { cat "$D/log" >&2; failed "ondemand --version"; break; }
        local between=$EPOCHREALTIME
        $FIRST "$ONDEMAND" replay "$in" --scenario "$D/scenario.yaml" --output "$out" --quiet >/dev/null 2>"$D/log" ||
            { cat "$D/log" >&2; failed "replay of 1,000 packets"; break; }
        local end=$EPOCHREALTIME
        [ "$i" = 0 ] && continue   # files are read from the disk
        note start version ms "$(awk -v a="$begin" -v b="$between" 'BEGIN { print (b - a) * 1000 }')"
        note start replay ms "$(awk -v a="$between" -v b="$end" 'BEGIN { print (b - a) * 1000 }')"
    done
    umount "$D/tmpfs"
    keep "replay replay-huge replay-memory start" replay
}

for part in engine tap replay; do
    if [ "$PART" = all ] || [ "$PART" = $part ]; then $part; fi
done
step "drawing"
draw
exit $FAILED

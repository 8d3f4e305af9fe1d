#!/usr/bin/env bash
# How long setsc() takes from C with an address at hand (target: 200 us p50).
#   bash bench/setsc.sh [COUNT [TYPE [THREADS]]]
# Asks the running dataplane whose programs' socket ONDEMAND_PROGRAMS names (default /run/ondemand/od0.programs.sock); before that the
# floor: the same questions to a stand-in that answers at once. Without a dataplane only the floor is measured.
set -eu
cd "$(dirname "$0")/.."
make -s -C src/setsc
out=src/setsc/bin
gcc -std=c11 -O2 -Wall -Wextra -Werror -pedantic -pthread -Isrc/setsc bench/setsc/setsc_bench.c -L$out -lsetsc "-Wl,-rpath,\$ORIGIN" -o $out/setsc_bench
printf 'floor:     '
$out/setsc_bench --floor "${1:-20000}"
socket=${ONDEMAND_PROGRAMS:-/run/ondemand/od0.programs.sock}
if [ -S "$socket" ]; then
    printf 'dataplane: '
    $out/setsc_bench "${1:-20000}" "${2:-2}" "${3:-1}"
else
    echo "No dataplane runs at $socket: only the floor was measured." >&2
fi

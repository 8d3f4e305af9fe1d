#!/bin/bash
# sockets.sh - what it takes to ask the kernel whose socket a flow is, with ten thousand sockets in a network namespace of their own (root).
# usage: bench/sockets.sh [REPEATS] [--json]
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
REP=3
case ${1:-} in [0-9]*) REP=$1; shift ;; esac
PROJECT=$ROOT/bench/OnDemand.Dataplane.Benchmarks
RUN=$PROJECT/bin/Release/net10.0/OnDemand.Dataplane.Benchmarks.dll
LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT

dotnet build -c Release "$PROJECT" -v q --nologo >"$LOG" || { cat "$LOG"; exit 1; }
for ((i = 0; i < REP; i++)); do
    unshare -n sh -c 'ip link set lo up && exec dotnet "$@"' sh "$RUN" sockets "$@"
done

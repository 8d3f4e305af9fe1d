#!/usr/bin/env bash
# Installs what the tests need, builds, and runs them all, and bench/gate.sh as one more. The last line is built from the real results:
#   N passed, N failed, N skipped
# Exit status: 0 all passed, 1 something failed, 2 the tests could not be run.
#
#   bash tests/run.sh            a few minutes
#   bash tests/run.sh --long     with ten million mutated frames, twenty times the random cases, and 20,000 random walks of engine and
#                                model with fresh seeds (ONDEMAND_TEST_SEED repeats one)
set -u -o pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" = --long ]; then
    export ONDEMAND_FUZZ_FRAMES=${ONDEMAND_FUZZ_FRAMES:-10000000} ONDEMAND_TEST_SCALE=${ONDEMAND_TEST_SCALE:-20}
elif [ $# -gt 0 ]; then
    echo "usage: bash tests/run.sh [--long]" >&2
    exit 2
fi

command -v dotnet >/dev/null || { echo "The .NET SDK 10 is needed: https://dotnet.microsoft.com/download" >&2; exit 2; }
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_UI_LANGUAGE=en

# Independent oracles: the tests that use one are skipped, and say so, where it cannot be installed.
missing=()
command -v python3 >/dev/null || missing+=(python3)
command -v tshark >/dev/null || missing+=(tshark)
/usr/bin/python3 -c 'import scapy' 2>/dev/null || missing+=(python3-scapy)

# What the lab is built of, and the programs that are run in it.
need() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || missing+=("$2"); }
need ip iproute2
need ethtool ethtool
need nft nftables
need ping iputils-ping
need traceroute traceroute
need tcpdump tcpdump
need iperf3 iperf3
need curl curl
need dig bind9-dnsutils
need dnsmasq dnsmasq-base
need ssh openssh-client
need sshd openssh-server
# libsetsc is built, and its header tried, by the tests themselves.
need make make
need gcc gcc
need g++ g++
need nm binutils
[ -e /usr/include/netinet/in.h ] || missing+=(libc6-dev)
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing ${missing[*]}"
        export DEBIAN_FRONTEND=noninteractive
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null \
            || echo "Could not install ${missing[*]}; the tests that need them are skipped." >&2
    else
        echo "Not installed: ${missing[*]} (apt-get install ${missing[*]}, as root); the tests that need them are skipped." >&2
    fi
fi

dotnet build OnDemand.Dataplane.sln -c Release -v quiet || { echo "The build failed." >&2; exit 2; }

log=$(mktemp)
trap 'rm -f "$log"' EXIT
dotnet test --solution OnDemand.Dataplane.sln -c Release --no-build 2>&1 | tee "$log"
status=$?

count() { awk -v key="$1:" '$1 == key { n = $2 } END { if (n != "") print n }' "$log"; }
passed=$(count succeeded) failed=$(count failed) skipped=$(count skipped)
if [ -z "$passed" ] || [ -z "$failed" ] || [ -z "$skipped" ] || [ "$passed" = 0 ]; then
    echo "The test run gave no results." >&2
    exit 2
fi

# The gate against slow regressions counts as one test.
if bash bench/gate.sh --no-build; then
    passed=$((passed + 1))
else
    failed=$((failed + 1))
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$status" = 0 ] && [ "$failed" = 0 ]

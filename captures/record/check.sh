#!/usr/bin/env bash
# Checks the captures with tshark and prints what README.md says of them: check.sh [NAME…]
#
# Every checksum must be right, those of datagrams put together from fragments included; only in "offload" some must be
# wrong, because there the stack left them to an interface.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# dissect FILE ARGUMENT…: tshark with every checksum check on.
dissect() {
    tshark -r "$1" -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE -o ip.defragment:TRUE -o ipv6.defragment:TRUE "${@:2}" 2>/dev/null
}

names=("$@")
if ((${#names[@]} == 0)); then
    for input in */input.pcap*; do
        names+=("$(dirname "$input")")
    done
fi

status=0
echo "| capture | format | packets | TCP | UDP | ICMPv6 | fragments | bad checksums | seconds | octets | first packet |"
echo "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
for name in "${names[@]}"; do
    file=$(echo "$name"/input.pcap*)
    format=$(capinfos -T -r -m -t "$file" | cut -d, -f2 | sed 's/.*- //')
    count() { dissect "$file" -Y "$1" | wc -l; }
    # A segment that an ICMPv6 error quotes is cut off, so that its checksum cannot be right.
    bad=$(count '(tcp.checksum.status == 0 || udp.checksum.status == 0) && !icmpv6 || icmpv6.checksum.status == 0')
    first=$(dissect "$file" -c 1 -T fields -e frame.time_epoch)
    last=$(dissect "$file" -T fields -e frame.time_epoch | tail -n 1)
    echo "| \`$name\` | $format | $(count frame) | $(count 'tcp && !icmpv6') | $(count 'udp && !icmpv6') | $(count icmpv6)" \
        "| $(count ipv6.fraghdr) | $bad | $(echo "$last $first" | awk '{printf "%.3f", $1 - $2}') | $(stat -c %s "$file") | $first |"
    if [[ $name == offload && $bad == 0 || $name != offload && $bad != 0 ]]; then
        status=1
    fi
done
echo
for name in "${names[@]}"; do
    sha256sum "$name"/input.pcap*
done
exit "$status"

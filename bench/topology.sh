# topology.sh - what onpath.sh and latency.sh share; sourced by them, not run. Three nodes in namespaces and the translator in the middle:
#   app (fd00:a::2) -- mid (the translator) -- srv (2001:db8:5::2)
# Needs APP, MID and SRV (names of namespaces), D (a directory with refl, if a yardstick is wanted) and ONDEMAND (BEFORE too for 'before').
# shellcheck shell=bash

add_nodes() {
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
}

# Starts a translator; sets TRANSLATOR (its process, if it has one) and TARGET (the server's address as the application sees it).
translate() {
    TARGET=2001:db8:5::2
    : >"$D/log"
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
        ondemand-2q) levers=", queues: 2" ;;
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
    *) echo "${0##*/}: no variant '$1' (e, u, c, nft, ondemand, ondemand-plain, ondemand-ring, ondemand-join, ondemand-2q, before)." >&2; exit 2 ;;
    esac
    sleep 0.3
    ip netns exec $APP ping -6 -c 3 -i 0.2 -W 1 $TARGET >/dev/null || { echo "${0##*/}: $1 does not answer:" >&2; cat "$D/log" >&2; exit 1; }
}

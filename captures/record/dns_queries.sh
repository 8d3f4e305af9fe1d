#!/usr/bin/env bash
# dns_queries.sh NAMESPACE: about five seconds of questions to the lab's name server.
#
# The first, third and sixth question leave from the same local port, like those of a resolver that keeps its socket,
# so that one flow outlives a move; the others take whatever port the kernel gives them. The answer to long.example does not
# fit into 512 octets: dig is told so (TC) and asks again over TCP.
set -euo pipefail

ask() { ip netns exec "$namespace" dig @2001:db8:5::2 +tries=1 +time=2 "$@" >/dev/null; }

namespace=$1
ask -b 'fd00:db8::1#40053' www.example AAAA
sleep 0.8
ask mail.example AAAA
sleep 0.7
ask -b 'fd00:db8::1#40053' web.example AAAA
sleep 0.8
ask _sip._udp.example SRV
sleep 0.7
ask nothing.example AAAA
sleep 0.8
ask -b 'fd00:db8::1#40053' mail.example AAAA
sleep 0.5
ask +tcp www.example AAAA
sleep 0.4
ask +bufsize=512 long.example TXT
sleep 0.3
ask @2001:db8:5::2 +noedns www.example A

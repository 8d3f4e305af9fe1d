#!/usr/bin/env python3
"""Judge many replays in one process: judge_replays.py ORACLES JOBS

ORACLES  the folder of check_replay.py, which does the judging
JOBS     a file with one JSON object a line:
           {"name": "…", "orig": "in.pcap", "new": "out.pcap", "map": "translations.json",
            "container": "strict" or "semantic", "tshark": true or false, "moves": true or false}
         With moves, packets that are not in both files are left out on both sides before judging; a packet is in
         both when time, interface, lengths and the octets behind addresses and checksums are the same.

Prints one JSON object a line: {"name", "ok", "violations", "stats", "left_out": [of orig, of new]}; an unreadable
file or map is a violation. Exit status 0 if every job could be read, whatever the verdicts are.
"""
import collections
import json
import sys


def key_of(judge, packet):
    """What a rewrite leaves alone, without asking how it was rewritten."""
    data = packet.data
    where = judge.find_ipv6(packet.linktype, data, judge.POLICY)
    kept = data
    if where:
        offset = where[0]
        kept = data[:offset + 8]
        walked = judge.walk(data, offset)
        upper = walked.l4 if walked.l4 is not None else None
        if upper is not None and walked.proto == 58:
            kept += data[upper:upper + 2] + data[upper + 4:upper + 8]      # an error quotes addresses
        elif upper is not None:
            at = judge.CSUM_AT.get(walked.proto)
            rest = data[upper:]
            kept += rest if at is None else rest[:at] + rest[at + 2:]
        else:
            kept += data[offset + 40:]
    return packet.ts, packet.iface, packet.caplen, packet.origlen, kept


def leave_out(judge, orig, new):
    """Keeps what is in both, in the order of the new file; returns how many packets went on each side."""
    places = collections.defaultdict(collections.deque)
    for packet in orig.packets:
        places[key_of(judge, packet)].append(packet)
    kept_orig, kept_new = [], []
    for packet in new.packets:
        queue = places.get(key_of(judge, packet))
        if queue:
            kept_orig.append(queue.popleft())
            kept_new.append(packet)
    gone = [len(orig.packets) - len(kept_orig), len(new.packets) - len(kept_new)]
    orig.packets, new.packets = kept_orig, kept_new
    return gone


def do(judge, job):
    mapping = judge.load_mapping(job["map"])
    orig, new = judge.read_capture(job["orig"]), judge.read_capture(job["new"])
    gone = leave_out(judge, orig, new) if job.get("moves") else [0, 0]
    report = judge.judge(orig, new, mapping, job.get("container", "semantic"))
    violations = ["packet %d: %s" % (v["packet"], v["what"]) for v in report["violations"]]
    if job.get("tshark"):
        violations += ["packet %d: %s" % (v["packet"], v["what"]) for v in judge.tshark_check(job["orig"], job["new"])]
    return {"name": job["name"], "ok": not violations, "violations": violations[:10], "stats": report["stats"], "left_out": gone}


def main():
    sys.path.insert(0, sys.argv[1])
    import check_replay as judge
    status = 0
    with open(sys.argv[2]) as jobs:
        for line in jobs:
            job = json.loads(line)
            try:
                result = do(judge, job)
            except (OSError, ValueError, KeyError, judge.Unjudgeable) as problem:
                result = {"name": job["name"], "ok": False, "violations": ["cannot judge: %s" % problem], "stats": {}, "left_out": [0, 0]}
                status = 2
            print(json.dumps(result))
    return status


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""trace.py FILE: whether it is a Chrome trace that can be believed; prints how many calls, processes and nested calls are in it.

Each call has one slice in which it waits and one in which it runs, one after the other; slices of a thread lie in each other or
apart; each arrow begins and ends in a slice; what has slices has a name.
"""
import collections
import json
import sys

US = 0.0011  # two times of the same ns differ by so much, rounded


def check_nesting(events):
    """Slices of one thread."""
    open_until = []
    for event in sorted(events, key=lambda e: (e["ts"], -e["dur"])):
        end = event["ts"] + event["dur"]
        while open_until and open_until[-1] <= event["ts"] + US:
            open_until.pop()
        assert not open_until or end <= open_until[-1] + US, ("slices overlap", event)
        open_until.append(end)


FIELDS = {"X": {"ts", "dur", "tid", "cat"}, "s": {"ts", "tid", "id", "cat"}, "f": {"ts", "tid", "id", "cat", "bp"}, "M": {"args"}}
WHOLE, NUMBERS, TEXTS = ("pid", "tid", "id"), ("ts", "dur"), ("name", "cat", "bp")


def check_fields(event):
    """What the format of chrome://tracing wants of each kind of event, and of which kind it is there."""
    assert event["ph"] in FIELDS, ("unknown kind", event)
    assert FIELDS[event["ph"]] | {"name", "pid"} <= event.keys(), ("a field is missing", event)
    for names, kinds in ((WHOLE, int), (NUMBERS, (int, float)), (TEXTS, str)):
        assert all(isinstance(event[name], kinds) and event[name] != "" for name in names if name in event), event


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        trace = json.load(file)
    assert trace.get("displayTimeUnit") in (None, "ms", "ns"), trace["displayTimeUnit"]
    events = trace["traceEvents"]
    for event in events:
        check_fields(event)
    slices = [e for e in events if e["ph"] == "X"]
    threads = collections.defaultdict(list)
    calls = collections.defaultdict(dict)
    for event in slices:
        assert event["dur"] >= 0 and event["ts"] >= 0, event
        threads[event["pid"], event["tid"]].append(event)
        if event["cat"] in ("queue", "run"):
            assert event["cat"] not in calls[event["args"]["call"]], ("twice", event)
            calls[event["args"]["call"]][event["cat"]] = event
    for events_of in threads.values():
        check_nesting(events_of)
    for call in calls.values():
        queue, run = call["queue"], call["run"]
        assert abs(queue["ts"] + queue["dur"] - run["ts"]) <= US, call
        assert queue["name"] == run["name"] and queue["pid"] == run["pid"], call
    nested = 0
    arrows = {"s": {}, "f": {}}
    for event in events:
        if event["ph"] in arrows:
            arrows[event["ph"]][event["id"]] = event
            around = [e for e in threads[event["pid"], event["tid"]]
                      if e["ts"] - US <= event["ts"] <= e["ts"] + e["dur"] + US]
            assert around, ("an arrow in no slice", event)
            nested += event["ph"] == "s" and any(e["cat"] == "run" for e in around)
    assert arrows["s"].keys() == arrows["f"].keys() == calls.keys()
    named = {e["pid"] for e in events if e["ph"] == "M" and e["name"] == "process_name"}
    assert {e["pid"] for e in slices} <= named, "a process without a name"
    print(f"{len(calls)} calls, {nested} nested, {len({c['run']['pid'] for c in calls.values()})} processes")


main()

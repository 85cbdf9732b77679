#!/usr/bin/env python3
"""layers.py - whether the rooms' includes point one way, and only at doors.

A room's files include their own room's headers, the public ones, and the doors of the rooms below. Tests may include
anything. Run in the tree's root; prints each include that breaks this.
"""

import os
import re
import sys

# A room's folder, the rooms that it may look into, in the order of layers. The longest folder that fits is a file's room.
PUBLIC = "include"
ROOMS = {
    "include": [],
    "transport/base": [],
    "schemas": ["transport/base"],
    "transport": ["schemas", "transport/base"],
    "store": ["transport", "schemas", "transport/base"],
    "broker": ["store", "transport", "schemas", "transport/base"],
    "actors": ["store", "transport", "schemas", "transport/base"],
    "bench/limits": [],
    "bench/core": ["bench/limits", "broker", "transport", "schemas", "transport/base"],
    "bench/store": ["store", "transport", "schemas", "transport/base"],
    "bench": ["bench/limits"],
    "tools": ["bench/limits", "actors", "broker", "store", "transport", "schemas", "transport/base"],
    "examples": [],
}
DOORS = {
    "transport/base": ["transport/base/base.h"],
    "schemas": ["schemas/schemas.h"],
    "transport": ["transport/transport.h"],
    "store": ["store/store.h"],
    "broker": ["broker/broker.h"],
    "actors": ["actors/actors.h"],
    "bench/limits": ["bench/limits/limits.h"],
}
# What measures a room from inside.
INSIDE = {
    ("bench/core", "broker"): ["broker/core/state.h"],
    ("broker", "store"): ["store/spill/files.h"],  # the store thread, alone
    ("bench/store", "store"): ["store/runs.h", "store/spill/files.h"],
}
SOURCE = (".c", ".h", ".cc", ".hpp")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def room_of(path):
    fitting = [room for room in ROOMS if path.startswith(room + "/")]
    return max(fitting, key=len) if fitting else None


def sources():
    for room in ROOMS:
        for folder, _, names in os.walk(room):
            for name in sorted(names):
                path = os.path.join(folder, name)
                if name.endswith(SOURCE) and room_of(path) == room:
                    yield path


def complaint(path, quote, target):
    """What is wrong with this include of this file; None: nothing."""
    room = room_of(path)
    if quote == "<":
        return None  # the system's, or troupe/*.h, which all may include
    if not os.path.exists(target):
        if os.path.exists(os.path.join(os.path.dirname(path), target)):
            # examples are copied out of the tree by whoever learns from them
            return None if room == "examples" else "includes are written from the root"
        return None if target.endswith("_generated.h") else "there is no such file"
    other = room_of(target)
    if other is None:
        return "that is in no room"
    if other == room:
        return None
    if other == PUBLIC:
        return "public headers are included as <troupe/...>"
    if other not in ROOMS[room]:
        return "%s may not look into %s" % (room, other)
    if target not in DOORS.get(other, []) + INSIDE.get((room, other), []):
        return "the door of %s is %s" % (other, ", ".join(DOORS.get(other, ["nowhere"])))
    return None


def main():
    count = broken = 0
    for path in sources():
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                count += 1
                wrong = complaint(path, match[1], match[2])
                if wrong:
                    broken += 1
                    print('%s:%d: "%s": %s' % (path, number, match[2], wrong))
    print("%d includes, %d against the layers" % (count, broken))
    return 1 if broken or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

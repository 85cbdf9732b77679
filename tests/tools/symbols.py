#!/usr/bin/env python3
"""symbols.py LIBRARY - whether libtroupe exports trp_* and nothing else, and every function of the public headers.

The worker host's entry, for our own programs, is declared in actors/actors.h.
"""

import glob
import re
import subprocess
import sys

FUNCTION = re.compile(r"\bTRP_API\b[^;{]*?\b(trp_[a-z0-9_]+)\s*\(", re.S)
COMMENT = re.compile(r"/\*.*?\*/", re.S)
MACRO = re.compile(r"^#.*(?:\\\n.*)*$", re.M)


def exported(library):
    out = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    return {line.split()[2].split("@")[0] for line in out.splitlines() if len(line.split()) == 3}


def declared():
    names = set()
    for path in glob.glob("include/troupe/*.h") + ["actors/actors.h"]:
        with open(path, encoding="utf-8") as file:
            text = MACRO.sub("", COMMENT.sub("", file.read()))
        names.update(FUNCTION.findall(text))
    return names


def main():
    have, want = exported(sys.argv[1]), declared()
    foreign = {name for name in have if not name.startswith("trp_") and not re.match(r"TROUPE_[0-9.]+$", name)}
    for name in sorted(foreign):
        print("%s is exported, but is no trp_*" % name)
    for name in sorted(want - have):
        print("%s is declared in a public header, but not exported" % name)
    for name in sorted(have - want - foreign):
        print("%s is exported, but no header declares it" % name)
    print("%d exported, %d declared" % (len(have), len(want)))
    return 1 if foreign or have - foreign != want or not have else 0


if __name__ == "__main__":
    sys.exit(main())

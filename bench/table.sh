#!/bin/bash
# table.sh [RESULTS] - puts the latest figures into docs/benchmarks.md. RESULTS: what `troupe bench --json` printed; without it
# the bench runs now, from build/.
set -eu
cd "$(dirname "$0")/.."

results=${1-}
if [ -z "$results" ]; then
    mkdir -p build/log
    results=build/log/bench.json
    build/tools/troupe bench --json >"$results"
    build/tools/troupe bench --json outstanding.1m spill restore >>"$results"
fi
page=docs/benchmarks.md
python3 - "$results" "$page" <<'PYTHON'
import json
import os
import platform
import re
import subprocess
import sys


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def first(path, key):
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith(key):
                return line.split(":" if ":" in line else "=", 1)[1].strip().strip('"')
    return "?"


def number(value):
    if value is None:
        return "–"
    if abs(value) >= 10000:
        return format(round(value), ",")
    return "%.3g" % value if abs(value) < 1000 else format(round(value), ",")


def row(r):
    cells = [
        "`%s`" % r["case"], r["unit"], number(r["value"]), number(r["p99"]), number(r["limit"]), number(r["limit_p99"]),
        number(r["ratio"]), r["must"], "yes" if r["met"] else "**no**", number(r["cpu"]), number(r["limit_cpu"]),
        "%d %%" % round(100 * (r["spread"] or 0)),
    ]
    return "| " + " | ".join(cells) + " |"


with open(sys.argv[1], encoding="utf-8") as file:
    results = [json.loads(line) for line in file if line.startswith("{")]
if not results:
    sys.exit("table.sh: no results in " + sys.argv[1])
commit = output_of("git", "rev-parse", "--short", "HEAD")
changed = " and what was changed since" if output_of("git", "status", "--porcelain", "--untracked-files=no") else ""
memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
lines = [
    "Machine: %s, %d CPUs, %.0f GiB, %s, Linux %s. libzmq %s, gcc %s. Commit %s%s."
    % (
        first("/proc/cpuinfo", "model name"), os.cpu_count(), memory_gib, first("/etc/os-release", "PRETTY_NAME"),
        platform.release(), output_of("pkg-config", "--modversion", "libzmq"), output_of("gcc", "-dumpfullversion"),
        commit, changed,
    ),
    "",
    "| case | unit | value | p99 | limit | its p99 | ratio | must | met | cpu | its cpu | spread |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|",
] + [row(r) for r in results]
with open(sys.argv[2], encoding="utf-8") as file:
    page = file.read()
marked = re.compile(r"(<!-- table -->\n).*?(<!-- end of table -->)", re.S)
if not marked.search(page):
    sys.exit("table.sh: %s has no <!-- table --> and <!-- end of table --> lines" % sys.argv[2])
with open(sys.argv[2], "w", encoding="utf-8") as file:
    file.write(marked.sub(lambda m: m[1] + "\n" + "\n".join(lines) + "\n\n" + m[2], page))
print("%s: %d cases" % (sys.argv[2], len(results)))
PYTHON

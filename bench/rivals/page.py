#!/usr/bin/env python3
"""page.py DATA OUT TEMPLATE - the page that shows Troupe beside its rivals: the tables of TEMPLATE (between <!-- NAME --> and
<!-- end of NAME -->) filled with the figures of DATA/*.jsonl, written to OUT/rivals.md, and the plots OUT/rivals-*.svg."""

import json
import os
import platform
import re
import subprocess
import sys

ORDER = ["troupe", "erlang", "caf", "ray"]
ROWS = [  # case, what it is, unit; lower is better where the unit is a time
    ("call.sync", "call and its answer, one after the other, p50", "us"),
    ("call.async", "calls with 1,000 outstanding", "/s"),
    ("task.sync", "stateless task and its answer, p50", "us"),
    ("task.async", "tasks with 1,000 outstanding", "/s"),
    ("spawn.own", "actor in a process of its own, to its first answer", "ms"),
    ("spawn.own.10", "ten of them at once", "/s"),
    ("start", "from nothing to the first answer", "ms"),
    ("shutdown", "ending it", "ms"),
]
PLOTS = "\n\n![Latency](rivals-latency.svg)\n\n![Throughput](rivals-outstanding.svg)"
INSIDE = [
    ("call.sync.inside", "call and its answer within one process, p50", "us"),
    ("call.async.inside", "calls within one process, 1,000 outstanding", "/s"),
    ("spawn.light", "light actors spawned in one process", "/s"),
]


def load(folder):
    systems = {}
    for name in ORDER:
        path = os.path.join(folder, name + ".jsonl")
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        systems[name] = {"label": lines[0]["system"], "cases": {line["case"]: line for line in lines[1:]}}
    if "troupe" not in systems:
        sys.exit("page.py: no figures of Troupe in " + folder)
    return systems


def number(value):
    if value >= 1000:
        return format(round(float("%.3g" % value)), ",")
    return "%.3g" % value


def cell(system, ours, case, unit):
    found = system["cases"].get(case)
    if found is None:
        return "–"
    text = number(found["value"])
    base = ours["cases"].get(case)
    if system is ours or base is None:
        return text
    ratio = found["value"] / base["value"] if unit != "/s" else base["value"] / found["value"]
    return "%s (%s)" % (text, "%.2gx" % ratio if ratio < 100 else "%dx" % round(ratio))


def table(systems, rows):
    ours = systems["troupe"]
    lines = [
        "| | unit | " + " | ".join(system["label"] for system in systems.values()) + " |",
        "|---|---|" + "---|" * len(systems),
    ]
    for case, what, unit in rows:
        cells = [cell(system, ours, case, unit) for system in systems.values()]
        if any(text != "–" for text in cells):
            lines.append("| %s | %s | %s |" % (what, unit, " | ".join(cells)))
    return "\n".join(lines)


def machine():
    def first(path, key):
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.startswith(key):
                    return re.split("[:=]", line, maxsplit=1)[1].strip().strip('"')
        return "?"

    return "Machine: %s, %d CPUs, %s, Linux %s." % (
        first("/proc/cpuinfo", "model name"), os.cpu_count(), first("/etc/os-release", "PRETTY_NAME"), platform.release(),
    )


def plot(path, title, x_label, y_label, settings, curves):
    """gnuplot draws `curves`, [(label, [(x, y)...])...], into an SVG."""
    script = [
        'set terminal svg size 760,440 font "sans-serif,13" background "white"',
        "set output '%s'" % path,
        'set title "%s"' % title, 'set xlabel "%s"' % x_label, 'set ylabel "%s"' % y_label, "set grid", *settings,
    ]
    parts = ["'-' using 1:2 with linespoints linewidth 2 title \"%s\"" % label for label, _ in curves]
    script.append("plot " + ", ".join(parts))
    for _, points in curves:
        script += ["%g %g" % point for point in points] + ["e"]
    subprocess.run(["gnuplot"], input="\n".join(script), text=True, check=True)


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: page.py DATA OUT TEMPLATE")
    data, out, template = sys.argv[1:]
    systems = load(data)
    with open(template, encoding="utf-8") as file:
        page = file.read()
    for name, text in (("machine", machine()), ("table", table(systems, ROWS) + PLOTS), ("inside", table(systems, INSIDE))):
        marked = re.compile(r"(<!-- %s -->\n).*?(<!-- end of %s -->)" % (name, name), re.S)
        if not marked.search(page):
            sys.exit("page.py: %s has no <!-- %s --> part" % (template, name))
        page = marked.sub(lambda m, text=text: "%s\n%s\n\n%s" % (m[1], text, m[2]), page)
    with open(os.path.join(out, "rivals.md"), "w", encoding="utf-8") as file:
        file.write(page)
    curves = [
        (system["label"], [(us, per_mille / 10) for per_mille, us in system["cases"]["call.sync"]["quantiles"]])
        for system in systems.values()
    ]
    plot(
        os.path.join(out, "rivals-latency.svg"), "Latency of one call after the other (64 bytes)", "microseconds",
        "percent of the calls below", ["set logscale x", "set yrange [0:100]", "set key right bottom"], curves,
    )
    curves = [(system["label"], system["cases"]["outstanding"]["points"]) for system in systems.values()]
    plot(
        os.path.join(out, "rivals-outstanding.svg"), "Throughput against outstanding calls (64 bytes)", "calls outstanding",
        "calls a second", ["set logscale xy", "set key left top", 'set format y "%.0s%c"'],
        [(label, [tuple(point) for point in points]) for label, points in curves],
    )
    print("%s: %d systems" % (os.path.join(out, "rivals.md"), len(systems)))


if __name__ == "__main__":
    main()

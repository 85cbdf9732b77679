#!/usr/bin/env python3
"""rivals.py SOURCE BUILD - whether bench/rivals' own side and its page fit together: every case of the page is measured, and the
page is made of the figures as they are. What the rivals need, and the plots, are not needed for it; the program for Ray, which
few machines have, is parsed.
"""

import ast
import json
import os
import subprocess
import sys
import tempfile


def measured(build):
    command = [os.path.join(build, "bench/rivals/rivals_ours"), os.path.join(build, "bench/modules"), "--quick"]
    env = dict(os.environ, TROUPE_NODE=os.path.join(build, "tools/troupe-node"))
    with tempfile.TemporaryDirectory() as scratch:
        env["TROUPE_DIR"] = scratch
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        sys.exit("rivals.py: %s" % done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def refused(build, *arguments):
    return subprocess.run([os.path.join(build, "bench/rivals/rivals_ours"), *arguments], capture_output=True).returncode


def main():
    source, build = sys.argv[1:]
    sys.path.insert(0, os.path.join(source, "bench/rivals"))
    sys.dont_write_bytecode = True
    import page

    cases = {line["case"]: line for line in measured(build)}
    missing = [case for case, _, _ in page.ROWS if cases.get(case, {}).get("value", 0) <= 0]
    assert not missing, "not measured: %s" % missing
    quantiles = [us for _, us in cases["call.sync"]["quantiles"]]
    assert quantiles == sorted(quantiles) and quantiles[0] > 0, quantiles
    assert len(cases["outstanding"]["points"]) >= 5
    with open(os.path.join(source, "bench/rivals/ray_side.py"), encoding="utf-8") as file:
        ast.parse(file.read())
    assert refused(build, "--nonsense") == 2 and refused(build, "a", "b", "c") == 2

    ours = {"label": "Troupe", "cases": {"call.sync": {"value": 100.0}, "call.async": {"value": 1000000.0}}}
    other = {"label": "Other", "cases": {"call.sync": {"value": 450.0}, "call.async": {"value": 8000.0}}}
    text = page.table({"troupe": ours, "other": other}, page.ROWS)
    assert "| 100 | 450 (4.5x) |" in text and "| 1,000,000 | 8,000 (125x) |" in text, text
    assert "task.sync" not in text and text.count("\n") == 3, text


main()

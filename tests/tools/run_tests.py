#!/usr/bin/env python3
"""run_tests.py BUILD - runs the test programs of a build directory and counts every test in them.

A Criterion program reports each of its tests (TAP); any other program is one test, by its exit status (77: skipped).
Writes a line "pass|fail|skip NAME" for each to --results. Exit status 1 when any failed.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

TAIL_LINES = 40
SANITIZERS = {
    "asan": {
        # The packaged libzmq frees by free() what its own operator new made, in code that it inlined.
        "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=0:strict_string_checks=1:alloc_dealloc_mismatch=0",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    },
    "tsan": {
        "TSAN_OPTIONS": "exitcode=66:second_deadlock_stack=1:suppressions=%s"
        % os.path.abspath("tests/sanitize/tsan.supp"),
    },
}
# What a sanitizer says, in the test's own process or in one that it started; Criterion does not look at exit statuses.
FINDING = re.compile(r"(ERROR|WARNING): (Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error: ")
TAP = re.compile(r"^(ok|not ok) - (\S+)(.*)$")


def introspect(build, what):
    out = subprocess.run(["meson", "introspect", build, what], check=True, capture_output=True, text=True).stdout
    return json.loads(out)


def suites_of(test):
    return {suite.split(":", 1)[-1] for suite in test["suite"]}


def selected(options):
    for test in introspect(options.build, "--tests"):
        suites = suites_of(test)
        if options.only and not suites & set(options.only):
            continue
        if suites & set(options.without) or (options.name and test["name"] not in options.name):
            continue
        yield test


def is_criterion(program):
    with open(program, "rb") as file:
        return b"libcriterion" in file.read()


def run(command, env, cwd, timeout_s):
    """Runs it in a process group of its own, which is gone afterwards. (status or None when out of time, output)"""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, cwd=cwd, start_new_session=True
        )
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            status = None
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        out.seek(0)
        return status, out.read().decode("utf-8", "replace")


def read_tap(path):
    """The tests of a TAP report: [(verdict, name)]"""
    found = []
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return found
    for line in lines:
        match = TAP.match(line)
        if match:
            skipped = "# SKIP" in match[3].upper()
            found.append(("fail" if match[1] != "ok" else "skip" if skipped else "pass", match[2]))
    return found


def run_program(test, options):
    """[(verdict, name)], output, whether it ran out of time"""
    program, name = test["cmd"][0], test["name"]
    env = dict(os.environ, **SANITIZERS.get(options.label, {}))
    env.update(test["env"])
    timeout_s = (test["timeout"] or 30) * options.slower
    if not os.path.exists(program):
        return [("fail", "%s (not built)" % name)], "", False
    if not is_criterion(program):
        status, output = run(test["cmd"], env, test["workdir"], timeout_s)
        verdict = "pass" if status == 0 else "skip" if status == 77 else "fail"
        found = [("fail" if FINDING.search(output) else verdict, name)]
        return found, output, status is None
    with tempfile.TemporaryDirectory() as directory:
        report = os.path.join(directory, "tap")
        status, output = run(test["cmd"] + ["--tap=" + report], env, test["workdir"], timeout_s)
        found = [(verdict, "%s/%s" % (name, inner)) for verdict, inner in read_tap(report)]
    if not found:
        found = [("fail", "%s (no test reported)" % name)]
    elif status != 0 and all(verdict != "fail" for verdict, _ in found):
        found.append(("fail", "%s (%s)" % (name, "out of time" if status is None else "exit status %d" % status)))
    if FINDING.search(output):
        found.append(("fail", "%s (a sanitizer found something)" % name))
    return found, output, status is None


def show(test, found, output, out_of_time, took_s):
    failed = [name for verdict, name in found if verdict == "fail"]
    count = "%d test%s, %.1f s" % (len(found), "" if len(found) == 1 else "s", took_s)
    if not failed:
        print("  ok    %s (%s)" % (test["name"], count), flush=True)
        return
    print("  FAIL  %s (%s%s)" % (test["name"], count, ", out of time" if out_of_time else ""))
    for name in failed:
        print("        failed: " + name)
    lines = output.splitlines()
    findings = [i for i, line in enumerate(lines) if FINDING.search(line)]
    first = min(findings[:1] + [max(0, len(lines) - TAIL_LINES)])
    for line in lines[first : first + TAIL_LINES]:
        print("        | " + line)
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--label", default="plain", help="plain, asan or tsan: prefix of names, and their options")
    parser.add_argument("--results", help="file to append to")
    parser.add_argument("--only", action="append", default=[], help="suite")
    parser.add_argument("--without", action="append", default=[], help="suite")
    parser.add_argument("--name", action="append", default=[], help="one test program")
    parser.add_argument("--slower", type=float, default=1, help="multiplies time limits")
    parser.add_argument("--list", action="store_true", help="print the programs, relative to BUILD, and end")
    options = parser.parse_args()
    tests = list(selected(options))
    if options.list:
        for test in tests:
            print(os.path.relpath(test["cmd"][0], options.build))
        return 0
    everything = [] if tests else [("fail", "there are tests to run")]
    for test in tests:
        start = time.monotonic()
        found, output, out_of_time = run_program(test, options)
        show(test, found, output, out_of_time, time.monotonic() - start)
        everything += found
    if options.results:
        with open(options.results, "a", encoding="utf-8") as file:
            for verdict, name in everything:
                file.write("%s %s: %s\n" % (verdict, options.label, name))
    return 1 if any(verdict == "fail" for verdict, _ in everything) else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""hops.py SOURCE BUILD - whether a call travels as README's "How one message travels" says.

A debugger with a breakpoint at each `file:function` of that list is attached to the driver, the broker and the hosts of a
private node; one call is made; the functions have to be met in the processes and in the order of the list. 77 (skipped)
where there is no gdb, or where it may not attach.
"""

import os
import re
import select
import subprocess
import sys
import tempfile

import readme

SECTION = re.compile(r"^## How one message travels\n(.*?)^## ", re.M | re.S)
HOP = re.compile(r"^\d+\. `([\w./]+):(\w+)` \((\w+)\)", re.M)
MOST_HOPS = 10
TRACE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hops_gdb.py")
NAMES = {"broker": "troupe-broker", "host": "troupe-worker"}


class Skip(Exception):
    pass


class Wrong(Exception):
    pass


def listed(source):
    section = SECTION.search(readme.page(source))
    return [("%s:%s" % (file, function), role) for file, function, role in HOP.findall(section[1] if section else "")]


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def descendants(pid):
    found = []
    for thread in os.listdir("/proc/%d/task" % pid):
        for child in read("/proc/%d/task/%s/children" % (pid, thread)).split():
            found += [int(child)] + descendants(int(child))
    return found


def build_programs(source, build, directory):
    """README's module, and a driver of ours, which stops before its second call."""
    readme.write_programs(source, directory)
    library, include = os.path.join(build, "actors"), os.path.join(source, "include")
    own = os.path.join(source, "tests/docs/hops_driver.c")
    for arguments in (
        ["-shared", "-fPIC", "-I" + include, "-o", "counter.so", "counter.c"],
        ["-I" + include, "-o", "driver", own, "-L" + library, "-ltroupe", "-Wl,-rpath," + library],
    ):
        subprocess.run(["cc"] + arguments, cwd=directory, check=True)


def attach(role, pid, hops, directory):
    """A debugger that writes down what it meets; it ends with the process. (process, what is written to when it is ready, its
    file, its log)"""
    out, log = (os.path.join(directory, "%s-%d.%s" % (role, pid, end)) for end in ("trace", "log"))
    own = ",".join(place for place, where in hops if where == role)
    ready, writer = os.pipe()
    env = dict(os.environ, HOPS=own, HOPS_OUT=out, HOPS_READY=str(writer))
    with open(log, "w", encoding="utf-8") as file:
        process = subprocess.Popen(
            ["gdb", "-nx", "-batch", "-p", str(pid), "-x", TRACE], env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            pass_fds=[writer],
        )
    os.close(writer)
    return process, ready, out, log


def is_ready(ready, seconds=60):
    """Whether all its places are watched; it says so, or ends."""
    with open(ready, "rb", buffering=0) as pipe:
        if not select.select([pipe], [], [], seconds)[0]:
            raise TimeoutError("a debugger is attached")
        return pipe.read(5) == b"ready"


def attach_all(driver, hops, directory):
    pids = [("driver", driver.pid)]
    for pid in descendants(driver.pid):
        for role, name in NAMES.items():
            if read("/proc/%d/comm" % pid).strip() == name:
                pids.append((role, pid))
    debuggers = [(role,) + attach(role, pid, hops, directory) for role, pid in pids]
    for _, _, ready, out, log in debuggers:
        was_ready = is_ready(ready)
        if "no such place" in read(out):
            raise Wrong("README's list names a function that is not there: " + read(out).splitlines()[0])
        if not was_ready:
            text = read(log)
            if "ptrace" in text or "Operation not permitted" in text:
                raise Skip("gdb may not attach: " + text.strip().splitlines()[-1])
            raise RuntimeError("gdb says: " + text)
    return debuggers


def trace(source, build, hops, directory):
    """What was met, in order: [(place, role)]"""
    build_programs(source, build, directory)
    env = dict(os.environ, TRP_MODULE_PATH=directory)
    driver = subprocess.Popen(
        [os.path.join(directory, "driver")], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    debuggers = []
    try:
        if driver.stdout.readline() != "ready\n":
            raise RuntimeError("the driver does not start")
        debuggers = attach_all(driver, hops, directory)
        said = driver.communicate("go\n", timeout=60)[0]
        if said != "7\n":
            raise RuntimeError("the call gave %r" % said)
        met = []
        for role, process, _, out, _ in debuggers:
            process.wait(30)
            met += [(int(line.split()[0]), line.split()[1], role) for line in read(out).splitlines()]
        return [(place, role) for _, place, role in sorted(met)]
    finally:
        for process in [debugger[1] for debugger in debuggers] + [driver]:
            if process.poll() is None:
                process.kill()
            process.wait()


def missing(hops, met):
    """The first of the list that is not met after those before it; None: all are."""
    at = 0
    for hop in hops:
        while at < len(met) and met[at] != hop:
            at += 1
        if at == len(met):
            return hop
        at += 1
    return None


def main():
    source, build = map(os.path.abspath, sys.argv[1:3])
    os.umask(0o022)  # modules that others may write are not loaded
    hops = listed(source)
    if not 0 < len(hops) <= MOST_HOPS:
        print("README lists %d hops; 1 to %d are allowed" % (len(hops), MOST_HOPS))
        return 1
    try:
        subprocess.run(["gdb", "--version"], check=True, capture_output=True)
        with tempfile.TemporaryDirectory() as directory:
            met = trace(source, build, hops, directory)
    except FileNotFoundError as error:
        print("skipped: %s" % error)
        return 77
    except Skip as reason:
        print("skipped: %s" % reason)
        return 77
    except Wrong as reason:
        print(reason)
        return 1
    for place, role in met:
        print("met %-50s %s" % (place, role))
    hop = missing(hops, met)
    if hop is not None:
        print("%s (%s) of README's list is not met after those before it" % hop)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

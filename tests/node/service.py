#!/usr/bin/env python3
"""service.py NODE DRIVER MODULES - a node service as a person has it: what its log says of a module path that is nowhere and of
actors that fail, and that another can be started as soon as it was told to end.
"""

import os
import re
import subprocess
import sys
import tempfile
import time

STARTS = 5
DEATHS = [
    r" I troupe-node: actor 'nomodule:Nobody' \(process \d+\) could not be made: there is no module 'nomodule'",
    r" I troupe-node: actor 'trouble:Stillborn' \(process \d+\) could not be made: .*not born",
    r" I troupe-node: actor 'trouble:Trouble' \(process \d+\) was ended by SIGSEGV in trouble:crash$",
]


def start(node, directory, path, log):
    service = subprocess.Popen(
        [node, "--service", "--dir", directory, "--module-path", path], stdout=subprocess.PIPE, stderr=log, text=True
    )
    line = service.stdout.readline()
    return service, line == "READY %s\n" % directory


def missing(text, patterns):
    return [pattern for pattern in patterns if len(re.findall(pattern, text, re.M)) != 1]


def await_all(path, patterns, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with open(path, encoding="utf-8") as log:
            if not missing(log.read(), patterns):
                return
        time.sleep(0.01)


def main():
    node, driver, modules = sys.argv[1:4]
    os.umask(0o022)  # modules that others may write are not loaded
    with tempfile.TemporaryDirectory() as scratch:
        directory = os.path.join(os.path.realpath(scratch), "node")
        log_path = os.path.join(scratch, "log")
        with open(log_path, "w", encoding="utf-8") as log:
            before = None
            for _ in range(STARTS):
                service, ready = start(node, directory, modules + ":/nonexist", log)
                if before is not None:
                    before.wait(20)
                if not ready:
                    break
                before, last = service, service
                if _ + 1 < STARTS:
                    service.terminate()  # and the next one comes at once
            said = ""
            if ready:
                said = subprocess.run([driver, directory], capture_output=True, text=True, timeout=120).stdout
                await_all(log_path, DEATHS)  # what the node's end overtakes is not logged
            last.terminate()
            last.wait(20)
        with open(log_path, encoding="utf-8") as log:
            logged = log.read()
    wrong = [] if ready else ["READY"]
    wrong += missing(
        said,
        [
            r"^nomodule:Nobody: .*there is no module 'nomodule' in .*; the program has joined the node in %s: start that with"
            % re.escape(directory),
        ],
    )
    warning = r"no module comes from /nonexist, which is in the module path: No such file or directory$"
    if len(re.findall(warning, logged, re.M)) != STARTS:
        wrong.append(warning)
    wrong += missing(logged, DEATHS)
    if wrong:
        print("%s\n%s\nnot there, or not once:\n  %s" % (said, logged, "\n  ".join(wrong)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

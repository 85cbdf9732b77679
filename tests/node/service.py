#!/usr/bin/env python3
"""service.py NODE DRIVER MODULES - a node service as a person has it: what its log says of a module path that is nowhere and of
actors that fail, and that another can be started as soon as it was told to end.
"""

import os
import re
import select
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


class Log:
    """What the nodes say on standard error, which is a pipe."""

    def __init__(self):
        self.reader, self.writer = os.pipe()
        self.data = b""

    def text(self):
        return self.data.decode(errors="replace")

    def read_until(self, is_enough, seconds=20):
        """Or until its end, or that long."""
        end = time.monotonic() + seconds
        while not is_enough() and select.select([self.reader], [], [], max(end - time.monotonic(), 0))[0]:
            more = os.read(self.reader, 65536)
            if not more:
                break
            self.data += more


def main():
    node, driver, modules = sys.argv[1:4]
    os.umask(0o022)  # modules that others may write are not loaded
    with tempfile.TemporaryDirectory() as scratch:
        directory = os.path.join(os.path.realpath(scratch), "node")
        log = Log()
        before = None
        for _ in range(STARTS):
            service, ready = start(node, directory, modules + ":/nonexist", log.writer)
            if before is not None:
                before.wait(20)
            if not ready:
                break
            before, last = service, service
            if _ + 1 < STARTS:
                service.terminate()  # and the next one comes at once
        said = ""
        os.close(log.writer)
        if ready:
            said = subprocess.run([driver, directory], capture_output=True, text=True, timeout=120).stdout
            log.read_until(lambda: not missing(log.text(), DEATHS))  # what the node's end overtakes is not logged
        last.terminate()
        last.wait(20)
        log.read_until(lambda: False)
        logged = log.text()
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

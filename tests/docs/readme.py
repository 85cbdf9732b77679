#!/usr/bin/env python3
"""readme.py SOURCE BUILD - whether README's module and driver do what it says: both are taken out of the page, built with
its shell lines in an empty directory, and run. And whether its table of packages is the list that is installed, and docs/protocol.md names every message.
"""

import os
import re
import subprocess
import sys
import tempfile

PACKAGE_ROW = re.compile(r"^\| ([a-z0-9, +-]+) \|", re.M)
BLOCK = re.compile(r"^```c\n(.*?)^```$", re.M | re.S)
SERVICE = re.compile(r"^## A node service\n\n((?:    .*\n)+)\n", re.M)
SHELL = re.compile(r"^After `\./run`.*?\n\n((?:    .*\n)+)\nIt prints `(.*?)`\.$", re.M | re.S)


def page(source):
    with open(os.path.join(source, "README.md"), encoding="utf-8") as file:
        return file.read()


def write_programs(source, directory):
    """counter.c and driver.c, as the page has them."""
    module, driver = BLOCK.findall(page(source))
    for name, text in (("counter.c", module), ("driver.c", driver)):
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(text)


def shell_lines(source, build):
    """[line], what the last one prints. $T/build is where this tree was built."""
    lines, printed = SHELL.search(page(source)).groups()
    return [line.strip().replace("$T/build", build) for line in lines.splitlines()], printed


def run_service(source, build, directory, printed):
    """The lines of "A node service" as they stand, pasted into one shell, in the directory with the built programs."""
    lines = [line.strip().replace("$T/build", build) for line in SERVICE.search(page(source))[1].splitlines()]
    script = "\n".join(["set -em", "unset TRP_MODULE_PATH", *lines, "wait", "echo ended >&2"])
    with tempfile.TemporaryDirectory() as home:
        environment = {name: value for name, value in os.environ.items() if name not in ("TROUPE_DIR", "TRP_MODULE_PATH")}
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=directory,
            env=dict(environment, T=source, PWD=directory, XDG_RUNTIME_DIR=home, TROUPE_CONFIG=""),
            capture_output=True,
            text=True,
            timeout=60,
        )
        node = re.escape(os.path.realpath(home) + "/troupe") + r" \(process \d+\)"
        wanted = r"a node runs at %s, its log is .*\n%s\nnode .*\n(?:.*\n)*the node at %s has ended\n" % (node, printed, node)
    print("$ %s\n%s%s" % (script, done.stdout, done.stderr), end="")
    return done.returncode == 0 and re.fullmatch(wanted, done.stdout) is not None


def packages_differ(source):
    """What only one of README's table and the list of packages has."""
    rows = PACKAGE_ROW.findall(page(source).split("## Dependencies", 1)[1].split("\n## ", 1)[0])
    table = {name for row in rows if row != "package" for name in row.split(", ")}
    with open(os.path.join(source, "tests/tools/packages.txt"), encoding="utf-8") as file:
        wanted = {line.split()[0] for line in file if line.strip() and not line.startswith("#")}
    return sorted(table ^ wanted)


def kinds_missing(source):
    """Messages of schemas/schemas.h that docs/protocol.md does not speak of."""
    with open(os.path.join(source, "schemas/schemas.h"), encoding="utf-8") as file:
        kinds = re.findall(r"^    TRI_([A-Z]+)\b", re.search(r"^enum tri_kind \{(.*?)^\};", file.read(), re.M | re.S)[1], re.M)
    with open(os.path.join(source, "docs/protocol.md"), encoding="utf-8") as file:
        text = file.read()
    return [kind for kind in kinds if not re.search(r"\b%s\b" % kind, text)]


def main():
    source, build = map(os.path.abspath, sys.argv[1:3])
    different = packages_differ(source)
    if different:
        print("only in one of README's table and tests/tools/packages.txt: " + ", ".join(different))
        return 1
    missing = kinds_missing(source)
    if missing:
        print("docs/protocol.md does not speak of " + ", ".join(missing))
        return 1
    os.umask(0o022)  # modules that others may write are not loaded
    lines, printed = shell_lines(source, build)
    with tempfile.TemporaryDirectory() as directory:
        write_programs(source, directory)
        for line in lines:
            done = subprocess.run(
                ["sh", "-c", line],
                cwd=directory,
                env=dict(os.environ, T=source, PWD=directory),
                capture_output=True,
                text=True,
                timeout=60,
            )
            print("$ %s\n%s%s" % (line, done.stdout, done.stderr), end="")
            if done.returncode != 0:
                return 1
        if len(lines) != 3 or done.stdout != printed + "\n":
            print("README has %d lines and says that the last prints %r" % (len(lines), printed))
            return 1
        if not run_service(source, build, directory, printed):
            print("the lines of 'A node service' do not do what README says")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

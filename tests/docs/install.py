#!/usr/bin/env python3
"""install.py SOURCE BUILD - whether what ./run builds can be installed, and whether README's module and driver build and run
with what was installed: into an empty directory (DESTDIR), with README's own lines. A new module and the examples are built
against it, too, and uninstalling leaves nothing. What the build directory was installed as before, `ninja uninstall` still
knows afterwards.
"""

import contextlib
import json
import os
import re
import sys
import tempfile

import installed
from installed import run
from readme import page, write_programs

LINES = re.compile(r"^## Installing\n.*?^```sh\n(.*?)^```\n.*?^```sh\n(.*?)^```\n", re.M | re.S)


def lacking(build):
    """Built files that are installed and that the target `product`, which ./run builds, does not make."""
    with open(os.path.join(build, "meson-info", "intro-installed.json"), encoding="utf-8") as file:
        installed_files = json.load(file)
    parts = run(["ninja", "-C", build, "-t", "query", "product"]).stdout.splitlines()
    made = {os.path.join(build, line.strip(" |")) for line in parts}
    targets = run(["ninja", "-C", build, "-t", "targets", "all"]).stdout.splitlines()
    built = {os.path.join(build, line.rsplit(":", 1)[0]) for line in targets}  # others are written when it is set up
    return [path for path in installed_files if path in built and path not in made and not os.path.islink(path)]


def left_after_uninstall(build, stage, environment):
    """What `ninja uninstall` leaves, directories too."""
    done = run(["ninja", "-C", build, "uninstall"], env=environment)
    left = [os.path.join(base, name) for base, directories, names in os.walk(stage) for name in directories + names]
    return left if done.returncode == 0 else ["everything"]


@contextlib.contextmanager
def kept(path):
    """The file is as it was afterwards, or not there."""
    before = None
    if os.path.exists(path):
        with open(path, "rb") as file:
            before = file.read()
    try:
        yield
    finally:
        if before is not None:
            with open(path, "wb") as file:
                file.write(before)
        elif os.path.exists(path):
            os.remove(path)


def try_stage(source, build, stage, directory):
    """Installs, uses and uninstalls. What is wrong, or None."""
    install, use = ([line.strip() for line in lines.splitlines()] for lines in LINES.search(page(source)).groups())
    line = install[0].replace("-C build", "-C " + build)
    if run(line, shell=True, env=dict(os.environ, DESTDIR=stage)).returncode != 0 or install[1:] != ["ldconfig"]:
        return "it cannot be installed as README says"
    tree = installed.Tree(stage)
    environment = dict(tree.environment, PWD=directory, XDG_RUNTIME_DIR=directory)
    write_programs(source, directory)
    for line in use:
        done = run(line, shell=True, cwd=directory, env=environment)
        if done.returncode != 0:
            return "README's %r failed" % line
    if done.stdout != "5\n":
        return "README's driver printed %r" % done.stdout
    installed.try_out(stage)
    left = left_after_uninstall(build, stage, dict(os.environ, DESTDIR=stage))
    return "uninstall leaves " + ", ".join(left) if left else None


def main():
    source, build = (os.path.realpath(path) for path in sys.argv[1:3])
    absent = lacking(build)
    if absent:
        print("installed, but not in the target 'product': " + ", ".join(absent))
        return 1
    os.umask(0o022)  # modules that others may write are not loaded
    with tempfile.TemporaryDirectory() as stage, tempfile.TemporaryDirectory() as directory:
        with kept(os.path.join(build, "meson-logs", "install-log.txt")):  # of which `ninja uninstall` reads
            wrong = try_stage(source, build, stage, directory)
    if wrong:
        print(wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

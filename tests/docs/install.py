#!/usr/bin/env python3
"""install.py SOURCE BUILD - whether what ./run builds can be installed, and whether README's module and driver build and run
with what was installed: into an empty directory (DESTDIR), with README's own lines. What the build directory was installed
as before, `ninja uninstall` still knows afterwards.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from readme import page, write_programs

LINES = re.compile(r"^## Installing\n.*?\n\n((?:    [^\n]*\n)+)\n.*?\n\n((?:    [^\n]*\n)+)\n", re.M | re.S)


def run(command, **keywords):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **keywords)
    print("$ %s\n%s%s" % (command, done.stdout, done.stderr), end="")
    return done


def lacking(build):
    """Built files that are installed and that the target `product`, which ./run builds, does not make."""
    with open(os.path.join(build, "meson-info", "intro-installed.json"), encoding="utf-8") as file:
        installed = json.load(file)
    parts = run(["ninja", "-C", build, "-t", "query", "product"]).stdout.splitlines()
    made = {os.path.join(build, line.strip(" |")) for line in parts}
    generated = {"meson-private", "meson-info"}  # written when the directory is set up
    return [
        path
        for path in installed
        if path.startswith(build + "/") and path[len(build) + 1 :].split("/")[0] not in generated and path not in made
        and not os.path.islink(path)
    ]


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


def main():
    source, build = (os.path.realpath(path) for path in sys.argv[1:3])
    absent = lacking(build)
    if absent:
        print("installed, but not in the target 'product': " + ", ".join(absent))
        return 1
    os.umask(0o022)  # modules that others may write are not loaded
    install, use = ([line.strip() for line in lines.splitlines()] for lines in LINES.search(page(source)).groups())
    with tempfile.TemporaryDirectory() as stage, tempfile.TemporaryDirectory() as directory:
        line = install[0].replace("-C build", "-C " + build)
        with kept(os.path.join(build, "meson-logs", "install-log.txt")):  # of which `ninja uninstall` reads
            installed = run(line, shell=True, env=dict(os.environ, DESTDIR=stage)).returncode == 0
        if not installed or install[1:] != ["ldconfig"]:
            return 1
        found = [base for base, _, names in os.walk(stage) if "troupe.pc" in names]
        libraries = os.path.dirname(found[0])
        environment = dict(
            {name: value for name, value in os.environ.items() if not name.startswith(("TROUPE_", "TRP_"))},
            PKG_CONFIG_SYSROOT_DIR=stage,
            PKG_CONFIG_PATH=found[0],
            LD_LIBRARY_PATH=libraries,
            PWD=directory,
            XDG_RUNTIME_DIR=directory,
        )
        write_programs(source, directory)
        for line in use:
            done = run(line, shell=True, cwd=directory, env=environment)
            if done.returncode != 0:
                return 1
        programs = ("troupe", "troupe-node", "troupe-broker", "troupe-worker")
        binaries = os.path.join(os.path.dirname(libraries), "..", "bin")
        absent = [name for name in programs if shutil.which(name, path=binaries) is None]
        if done.stdout != "5\n" or absent:
            print("README's driver printed %r; not installed: %s" % (done.stdout, ", ".join(absent) or "nothing"))
            return 1
        command = os.path.join(binaries, "troupe")
        return run([command, "version"], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())

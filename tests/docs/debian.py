#!/usr/bin/env python3
"""debian.py SOURCE BUILD - whether the Debian packages build, and what they install works and goes again. They are installed
into a root of their own below BUILD: the machine's own packages are as before. 77 (skipped), with the reason, where nobody is
root or the tools are absent. The suites are left out of the build, as they have run in the tree; with PACKAGE_TESTS=1 in the
environment they run there, too, as dpkg-buildpackage does it by itself.
"""

import glob
import os
import shutil
import sys
import time

import installed

TOOLS = ("dpkg", "dpkg-buildpackage", "dh", "ninja", "meson")
TESTED = os.environ.get("PACKAGE_TESTS") == "1"
PACKAGES = ("libtroupe0", "libtroupe-dev", "troupe")


def copy_tree(source, target):
    """The tree without what was built in it."""

    def left_out(directory, names):
        return [name for name in names if directory == source and (name.startswith(("build", "obj-")) or name == ".git")]

    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=left_out, symlinks=True)


def build_packages(source, work):
    """The .deb files. Links as tests do; what was compiled before comes from ccache, where that is installed."""
    copy_tree(source, work + "/source")
    environment = dict(
        {name: value for name, value in os.environ.items() if not name.startswith(("TROUPE_", "TRP_"))},
        DEB_BUILD_OPTIONS="%s noautodbgsym parallel=%d" % ("" if TESTED else "nocheck quick", os.cpu_count()),
        CCACHE_DIR=os.environ.get("CCACHE_DIR", os.path.expanduser("~/.cache/ccache")),
        CCACHE_BASEDIR=work,
    )
    if shutil.which("ccache"):
        environment.update(CC="ccache gcc", CXX="ccache g++")
    for name in ("MAKEFLAGS", "MFLAGS", "DESTDIR"):
        environment.pop(name, None)
    done = installed.run(
        ["dpkg-buildpackage", "-b", "-us", "-uc", "-d"], cwd=work + "/source", env=environment, timeout=3600 if TESTED else 900
    )
    files = [glob.glob("%s/%s_*.deb" % (work, package)) for package in PACKAGES]
    if done.returncode != 0 or any(len(found) != 1 for found in files):
        raise AssertionError("dpkg-buildpackage ended with %d and left %s" % (done.returncode, files))
    return [found[0] for found in files]


def make_root(root):
    """A machine without any package, for dpkg."""
    for directory in ("info", "updates", "triggers"):
        os.makedirs("%s/var/lib/dpkg/%s" % (root, directory))
    for name in ("status", "available"):
        with open("%s/var/lib/dpkg/%s" % (root, name), "w", encoding="utf-8"):
            pass


def dpkg(root, *words):
    done = installed.run(["dpkg", "--root=" + root, "--force-depends", "--log=" + root + "/dpkg.log", *words])
    if done.returncode != 0:
        raise AssertionError("dpkg %s ended with %d" % (words[0], done.returncode))


def left_behind(root):
    return sorted(
        os.path.relpath(os.path.join(base, name), root)
        for base, _, names in os.walk(root)
        for name in names
        if not base.startswith(root + "/var/lib/dpkg") and name != "dpkg.log"
    )


def main():
    source, build = (os.path.realpath(path) for path in sys.argv[1:3])
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if os.geteuid() != 0 or absent:
        print("skipped: " + ("not root" if os.geteuid() != 0 else "there is no " + ", ".join(absent)))
        return 77
    os.umask(0o022)
    work = build + "/debian"
    root = work + "/root"
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    start = time.monotonic()
    packages = build_packages(source, work)
    print("built in %.0f s, %s" % (time.monotonic() - start, "and tested" if TESTED else "without the suites (nocheck)"))
    make_root(root)
    dpkg(root, "--install", *packages)
    installed.try_out(root)
    dpkg(root, "--purge", *PACKAGES)
    left = left_behind(root)
    if left:
        print("purging leaves " + ", ".join(left))
        return 1
    shutil.rmtree(work)
    print("done in %.0f s" % (time.monotonic() - start))
    return 0


if __name__ == "__main__":
    sys.exit(main())

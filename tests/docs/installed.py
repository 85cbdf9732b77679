"""installed.py - whether a tree that was installed below a directory of its own (`root`) is complete: the command runs, a new
module is built against it and tested, the examples build and run, a node of it answers a call. For install.py and debian.py.
"""

import glob
import os
import re
import shutil
import subprocess
import tempfile

PROGRAMS = ("troupe", "troupe-node", "troupe-broker", "troupe-worker")
# Below the prefix; manual pages may be compressed.
FILES = (
    "include/troupe/troupe.h",
    "include/troupe/testing.h",
    "lib/systemd/system/troupe@.service",
    "lib/systemd/user/troupe.service",
    "share/doc/troupe/guide/index.md",
    "share/doc/troupe/html/index.html",
    "share/bash-completion/completions/troupe",
    "share/man/man1/troupe.1*",
    "share/man/man1/troupe-sh.1*",
    "share/man/man3/trp_call.3*",
    "share/man/man3/trp_kept.3*",
    "share/man/man5/troupe.cfg.5*",
    "share/man/man7/troupe.7*",
    "share/man/man8/troupe-node.8*",
    "share/zsh/site-functions/_troupe",
)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def run(command, timeout=120, **keywords):
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, **keywords)
    shown = command if isinstance(command, str) else " ".join(command)
    print("$ %s\n%s%s" % (shown, done.stdout[-4000:], done.stderr[-4000:]), end="", flush=True)
    return done


class Tree:
    def __init__(self, root):
        found = [base for base, _, names in os.walk(root) if "troupe.pc" in names]
        if len(found) != 1:
            raise AssertionError("%d pkg-config files are below %s" % (len(found), root))
        self.libraries = os.path.dirname(found[0])
        self.prefix = os.path.normpath(os.path.join(self.libraries, ".."))
        while not os.path.isdir(os.path.join(self.prefix, "bin")):
            self.prefix = os.path.dirname(self.prefix)
        self.programs = os.path.join(self.prefix, "bin")
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TROUPE_", "TRP_", "MALLOC_PERTURB")) and name != "BXFI_MAP"
        }
        self.environment.update(
            PATH=self.programs + ":" + os.environ["PATH"],
            LD_LIBRARY_PATH=self.libraries,
            PKG_CONFIG_SYSROOT_DIR=root,
            PKG_CONFIG_PATH=found[0],
        )

    def says(self, command, wanted, directory, **more):
        """Runs a line for sh, which has to print this and end with 0."""
        done = run(command, shell=True, cwd=directory, env=dict(self.environment, **more))
        if done.returncode != 0 or (wanted is not None and done.stdout != wanted):
            raise AssertionError("%r printed %r and ended with %d" % (command, done.stdout, done.returncode))
        return done.stdout


def lacking(tree):
    programs = [name for name in PROGRAMS if shutil.which(name, path=tree.programs) is None]
    return programs + [name for name in FILES if not glob.glob(os.path.join(tree.prefix, name))]


def astray(tree):
    """Links of the guide's pages, and of those beside it, that lead to no file."""
    pages = glob.glob(os.path.join(tree.prefix, "share/doc/troupe/**/*.md"), recursive=True)
    found = []
    for page in pages:
        with open(page, encoding="utf-8") as file:
            links = LINK.findall(file.read())
        found += ["%s: %s" % (page, link) for link in links if not os.path.exists(os.path.join(os.path.dirname(page), link))]
    return found


def try_module(tree, directory):
    tree.says("troupe module new word_count", "word_count\n", directory)
    tree.says("troupe module build --test word_count", "word_count/build/word_count.so\n", directory)
    tree.says("troupe module inspect word_count/build/word_count.so | head -n 2 | tail -n 1", "what it is for, in one line\n", directory)
    tree.says("troupe module test word_count/build/word_count.so | tail -n 1", "16 passed, 0 failed\n", directory)


def try_examples(tree, directory):
    sources = os.path.join(tree.prefix, "share", "troupe", "examples")
    tree.says("meson setup examples %s" % sources, None, directory)
    tree.says("meson compile -C examples", None, directory)
    tree.says("examples/fib 15", None, directory, TROUPE_DIR=directory)
    tree.says("examples/counter", None, directory, TROUPE_DIR=directory)
    tree.says("examples/wordcount %s" % sources, None, directory, TROUPE_DIR=directory)


def try_node(tree, directory):
    """A node service with the module of try_module and those that are installed, as a file says, and calls from the shell."""
    modules = "%s/word_count/build:%s/troupe/modules" % (directory, tree.libraries)
    with open(directory + "/troupe.cfg", "w", encoding="utf-8") as file:
        file.write("node\n    dir = %s/node\n    module-path = %s\n" % (directory, modules))
    more = {"TROUPE_CONFIG": directory + "/troupe.cfg"}
    tree.says("troupe start --daemon --quiet", "", directory, **more)
    try:
        tree.says("troupe spawn word_count:WordCount --name words 10 >actor", "", directory, **more)
        tree.says("troupe call words add 5", "15\n", directory, **more)
        tree.says("troupe task fib:fib 10", "55\n", directory, **more)
    finally:
        tree.says("troupe stop --quiet", "", directory, **more)


def try_out(root):
    tree = Tree(root)
    absent = lacking(tree)
    if absent:
        raise AssertionError("not installed: " + ", ".join(absent))
    if astray(tree):
        raise AssertionError("links that lead nowhere: " + ", ".join(astray(tree)))
    with tempfile.TemporaryDirectory() as directory:
        tree.says("troupe version | cut -d. -f1", "troupe 0\n", directory)
        try_module(tree, directory)
        try_examples(tree, directory)
        try_node(tree, directory)

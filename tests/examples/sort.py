#!/usr/bin/env python3
"""sort.py BUILD - whether examples/sort makes of text what LC_ALL=C sort makes of it, and leaves nothing: smaller than the store and
larger, with lines of all kinds; and what it refuses.
"""

import os
import random
import re
import subprocess
import sys
import tempfile

SAID = []  # what the program said of itself, each time


def lines_of_all_kinds():
    yield b"none", b""
    yield b"one", b"alone"
    yield b"empty lines", b"\n" * 5000
    yield b"no end", b"b\na\nc"
    yield b"bytes", b"\xff\n\x00\n\x00\x00\na\x00b\na\n\x7f\n"
    yield b"long", b"x" * 3000000 + b"\n" + b"y\n" + b"x" * 3000001 + b"\n"
    yield b"the same", b"the same line again\n" * 50000


def text(size):
    """Words in lines, of which hardly one is like another."""
    words = [word for name in sorted(os.listdir("/usr/share/common-licenses"))
             for word in open("/usr/share/common-licenses/" + name, "rb").read().split()]
    choice = random.Random(size)
    parts = []
    while size > 0:
        line = b" ".join(choice.choices(words, k=choice.randrange(20))) + b"\n"
        parts.append(line)
        size -= len(line)
    return b"".join(parts)


def expect_sorted(program, directory, name, contents, options):
    files = []
    for i, content in enumerate(contents):
        files.append(os.path.join(directory, "input%d" % i))
        with open(files[-1], "wb") as file:
            file.write(content)
    result = os.path.join(directory, "result")
    done = subprocess.run([program, *options, "--output", result, *files], capture_output=True, check=False)
    wanted = subprocess.run(["sort", *files], env={**os.environ, "LC_ALL": "C"}, capture_output=True, check=True).stdout
    if done.returncode != 0:
        return "%s: status %d, %s" % (name, done.returncode, done.stderr.decode())
    with open(result, "rb") as file:
        if file.read() != wanted:
            return "%s: not what sort makes of it" % name
    SAID.append(done.stderr.decode())
    return None


def larger_than_the_store(program, directory):
    """Three times the store, of parts that are too large to travel."""
    yield expect_sorted(program, directory, "larger than the store", [text(96 << 20)], ["--store", "32M"])
    spilled = re.search(r"(\d+)\.\d MB were spilled", SAID[-1])
    if spilled is None or int(spilled[1]) < 30:
        yield "larger than the store: hardly anything was spilled: " + SAID[-1]


def wrong_rows(program, directory):
    missing = os.path.join(directory, "missing")
    with open(os.path.join(directory, "file"), "wb") as file:
        file.write(b"b\na\n")
    for arguments, status, words in (
        (["--help"], 0, b""),
        (["--store"], 2, b"usage: sort"),
        (["--store", "much"], 2, b"usage: sort"),
        (["--store", "0"], 2, b"usage: sort"),
        (["--wrong", "5"], 2, b"usage: sort"),
        ([missing], 1, b"missing: No such file or directory"),
        (["/dev/null"], 1, b"/dev/null: no regular file"),
        (["--output", directory, directory + "/file"], 1, b"Is a directory"),
        (["--output", "/dev/full", directory + "/file"], 1, b"/dev/full: No space left on device"),
    ):
        done = subprocess.run([program, *arguments], capture_output=True, check=False)
        if done.returncode != status or words not in done.stderr:
            yield "%s: status %d, %s" % (arguments, done.returncode, done.stderr.decode())


def main():
    build = sys.argv[1]
    program = build + "/examples/sort"
    os.environ["TRP_MODULE_PATH"] = build + "/examples"
    os.environ["TROUPE_NODE"] = build + "/tools/troupe-node"
    with tempfile.TemporaryDirectory() as directory:
        wrong = list(wrong_rows(program, directory))
        kinds = list(lines_of_all_kinds())
        for name, content in kinds:
            wrong.append(expect_sorted(program, directory, name, [content], ["--store", "64M"]))
        wrong.append(expect_sorted(program, directory, "several files", [content for _, content in kinds], ["--store", "64M"]))
        wrong.append(expect_sorted(program, directory, "smaller than the store", [text(20 << 20)], ["--store", "64M"]))
        wrong.append(expect_sorted(program, directory, "small pieces", [text(5 << 20)], ["--store", "16M", "--chunk", "100k"]))
        wrong.extend(larger_than_the_store(program, directory))
    wrong = [line for line in wrong if line is not None]
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

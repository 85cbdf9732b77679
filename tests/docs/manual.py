#!/usr/bin/env python3
"""manual.py SOURCE BUILD - runs the examples of the manual pages: in literal blocks of a section EXAMPLES the lines after "$ "
are run by one shell ("> " goes on with a line), with a node of its own and the example modules; what is below them is what they print, where "..." is any
text. A block that does not begin so is a configuration file: each of its settings is what `troupe config show` says of it. What
troupe(7) says of an address in a backtrace is done with one of a module's functions.
"""

import fnmatch
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", re.M | re.S)


def plain(line):
    """A line of a literal block as it is shown."""
    return line.replace("\\&", "").replace("\\-", "-").replace("\\e", "\\")


def examples(path):
    """[(command, what it prints)]"""
    with open(path, encoding="utf-8") as file:
        sections = file.read().split("\n.Sh ")
    found = []
    for section in sections:
        if not section.startswith("EXAMPLES"):
            continue
        for block in BLOCK.findall(section):
            lines = [plain(line) for line in block.splitlines()]
            for line in lines if lines[0].startswith("$ ") else []:
                if line.startswith("$ "):
                    found.append([line[2:], ""])
                elif found and line.startswith("> ") and not found[-1][1]:
                    found[-1][0] += "\n" + line[2:]  # the command goes on
                elif found:
                    found[-1][1] += line + "\n"
    return found


def files(path):
    """The blocks of examples that are no commands, as text."""
    with open(path, encoding="utf-8") as file:
        sections = [section for section in file.read().split("\n.Sh ") if section.startswith("EXAMPLES")]
    blocks = [block for section in sections for block in BLOCK.findall(section)]
    return ["".join(plain(line) + "\n" for line in block.splitlines()) for block in blocks if not block.startswith("$ ")]


def differ(text, build):
    """What the command does not find in this configuration file, or finds otherwise."""
    wanted = re.findall(r"^    ([\w-]+) = (.*)$", text, re.M)
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        file.write(text)
        file.flush()
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("TROUPE_", "TRP_"))}
        command = [build + "/tools/troupe", "config", "show", "--json"]
        environment["TROUPE_CONFIG"] = file.name
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        rows = json.loads(done.stdout) if done.returncode == 0 else []
        there = {(row["setting"], str(row["value"])) for row in rows if row["from"].startswith(file.name)}
    return ["%s = %s: %s" % (*row, done.stderr or "is not so") for row in wanted if row not in there] if wanted else [text]


def astray(source, build):
    """What troupe(7) does with an address of a backtrace."""
    with open(source + "/man/troupe.7", encoding="utf-8") as file:
        line = re.search(r"^\.Dl (addr2line .*)$", file.read(), re.M)[1]
    module = build + "/examples/counter.so"
    symbols = subprocess.run(["nm", module], capture_output=True, text=True, check=True).stdout
    address, name = re.search(r"^([0-9a-f]+) t (counter_increment)$", symbols, re.M).groups()
    said = subprocess.run(line.replace("FILE", module).replace("ADDRESS", address).split(), capture_output=True, text=True)
    return [] if said.stdout.splitlines()[:1] == [name] else ["troupe.7: %s\n%s%s" % (line, said.stdout, said.stderr)]


def matches(picture, text):
    return fnmatch.fnmatchcase(text, re.sub(r"([\[?*])", r"[\1]", picture).replace("...", "*"))


def last_status(command):
    """$? of the command before; in what is written into a file it is not the shell's."""
    return command if "<<" in command else command.replace("$?", "$last")


def run(commands, environment, directory):
    """What each prints, stderr, too."""
    script = "".join("%s\nprintf '\\0'\n" % last_status(command) for command, _ in commands)
    script = script.replace("\nprintf", "\nlast=$?; printf")
    done = subprocess.run(
        ["bash", "-c", script], env=environment, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120
    )
    return done.stdout.decode().split("\0")


def check(path, source, build):
    commands = examples(path)
    if not commands:
        return 0
    with tempfile.TemporaryDirectory() as directory:
        environment = dict(os.environ, TROUPE_DIR=directory + "/node", PATH=build + "/tools:" + os.environ["PATH"])
        node = subprocess.Popen(
            [build + "/tools/troupe-node", "--service", "--module-path", build + "/examples", "--log-level", "error"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            node.stdout.readline()
            said = run(commands, environment, directory)
        finally:
            node.terminate()
            node.wait()
    wrong = [(c, w, s) for (c, w), s in zip(commands, said) if not matches(w, s)]
    for command, wanted, text in wrong:
        print("%s:\n$ %s\n%snot as shown:\n%s" % (os.path.relpath(path, source), command, text, wanted))
    print("%s: %d examples" % (os.path.relpath(path, source), len(commands)))
    return len(wrong)


def main():
    source, build = sys.argv[1:]
    paths = sorted(glob.glob(source + "/man/*.[1-9]"))
    wrong = ["%s: %s" % (path, row) for path in paths for text in files(path) for row in differ(text, build)]
    wrong += astray(source, build)
    print("\n".join(wrong))
    return 1 if sum(check(path, source, build) for path in paths) or wrong else 0


if __name__ == "__main__":
    sys.exit(main())

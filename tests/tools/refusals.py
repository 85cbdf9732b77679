#!/usr/bin/env python3
"""refusals.py BUILD [--write] - what each verb says to words that are wrong: missing, too many, empty, huge, not UTF-8, negative, no
number, no JSON; for each operand, and for each option of its own. The table is refusals.txt, beside this: a line for each, with the
exit status and the sentence; this says where the command differs from it, or writes it anew. What is accepted stands there, too.
"""

import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "refusals.txt")
# What each verb is given where it is not that which is wrong.
OPERANDS = {
    "start": [], "stop": [], "status": [], "run": ["true"], "logs": [], "doctor": [], "call": ["s", "echo", "1"], "send": ["s", "echo", "1"],
    "task": ["play:echo", "1"], "put": ["5"], "get": ["five"], "wait": ["five"], "cancel": ["nothing"], "drop": ["nothing"], "spawn": ["play:Stage", "1"],
    "kill": ["nobody"], "watch": ["nobody"], "ls": ["actors"], "describe": ["s"], "why": ["s"], "top": [], "trace": ["true"],
    "module new": ["fresh"], "module build": ["nowhere"], "module inspect": ["none.so"], "module test": ["none.so"], "sh": ["none.trp"],
    "bench": ["call.sync"], "config show": [], "version": [], "help": ["call"],
}
ALWAYS = {"spawn": ["--name", "n"], "top": ["--once", "--interval", "20ms"], "trace": ["--output", "t.json"], "start": ["--daemon"]}
COMMON = {"json", "raw", "full", "quiet", "verbose", "no-color", "help", "dir", "namespace", "timeout"}
VALUES = {"call": 2, "send": 2, "task": 1, "put": 0, "spawn": 1}  # from this operand on they are JSON
NUMBERS = {"N", "TIME", "BYTES"}
HUGE, NOT_UTF8 = "x" * 100000, b"a\xffb"
SHOWN = {HUGE: "HUGE", NOT_UTF8: r"a\377b", "": "''"}
OPTION = re.compile(r"^  (?:-\w, |    )--([a-z-]+)(?: ([A-Z]+))? ", re.M)


class Command:
    def __init__(self, build, directory):
        self.directory = directory
        self.program = build + "/tools/troupe"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TROUPE_", "TRP_", "XDG_"))}
        self.environment = dict(
            kept, TROUPE_DIR=directory + "/node", TROUPE_CONFIG="", NO_COLOR="1", LC_ALL="C.UTF-8",
            TRP_MODULE_PATH="%s/tests/tools:%s/examples" % (build, build),
        )

    def run(self, *words):
        return subprocess.run(
            [self.program, *words], env=self.environment, cwd=self.directory, stdin=subprocess.DEVNULL, capture_output=True, timeout=60
        )

    def says(self, *words):
        done = self.run(*words)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout.decode()


def wrong_operands(verb, usage):
    """(what is wrong, the operands)"""
    good = OPERANDS[verb]
    least = len([word for word in usage if not word.startswith("[")])
    for count in range(least):
        yield "missing", good[:count]
    if not any("..." in word for word in usage):
        yield "too many", good + ["extra"]
    for i in range(len(good)):
        for what, word in (("empty", ""), ("huge", HUGE), ("not UTF-8", NOT_UTF8), ("negative", "-1")):
            yield what, good[:i] + [word] + good[i + 1 :]
    if verb in VALUES:
        for word in ("{", "[1,]", "12x", "1e999", '{"a": 1, "a": 2}', '"\\ud800"', "bytes:1:zz", "f64:x", "%", "%nothing", "@", "@none", "y=1"):
            yield "no value", good[: VALUES[verb]] + [word]


def wrong_options(verb, options):
    for name, value in options:
        option = "--" + name
        always = ALWAYS.get(verb, [])
        good = (always if option not in always else ["--once"] if verb == "top" else []) + OPERANDS[verb]
        if name in COMMON and verb != "call":
            continue
        if not value:
            yield "a value", [option + "=yes"] + good
            continue
        yield "no value", good[: len(good) - len(OPERANDS[verb])] + [option]
        for what, word in (("empty", ""), ("huge", HUGE), ("not UTF-8", NOT_UTF8)):
            yield what, [option, word] + good
        for word in ("-1", "abc", "99999999999999999999", "0x10", "nan") if value in NUMBERS else ("{", "5", "[]") if value == "JSON" else ():
            yield "no " + value, [option, word] + good
    yield "misspelt", ["--jsn"] + OPERANDS[verb]


def cases(command):
    """(verb, what is wrong, words). No two make an actor of the same name."""
    number = 0
    for verb, what, words in all_cases(command):
        number += "n" in words
        yield verb, what, ["n%d" % number if word == "n" else word for word in words]


def all_cases(command):
    for row in json.loads(command.says("help", "--json")):
        verb = row["verb"]
        options = OPTION.findall(command.says(*verb.split(), "--help"))
        for what, words in wrong_operands(verb, (row["operands"] or "").split()):
            yield verb, what, words + ALWAYS.get(verb, [])
        for what, words in wrong_options(verb, options):
            yield verb, what, words


def shown(word):
    text = SHOWN.get(word, word)
    return "'%s'" % text if re.search(r"[ {\[\"%]", text) else text


def line_of(command, case):
    verb, what, words = case
    done = command.run(*verb.split(), *words)
    said = done.stderr.decode("utf-8", "replace").replace(command.directory, "DIR")
    said = re.sub(r"xxx[x.]+", "xxx...", re.sub(r"node '[^']*'", "node '...'", re.sub(r"\b[0-9a-f]{32}\b", "ID", said)))
    said = re.sub(r"\(process \d+\)", "(process N)", said)
    said = re.sub(r"GPUs, \d+ bytes of memory", "GPUs, N bytes of memory", said)
    if done.returncode == 0:
        said = "accepted"
    elif done.stdout or not said.startswith("troupe") or not said.endswith("\n") or (said.count("\n") > 1 and verb != "start"):
        said = "NOT A SENTENCE: %r %r" % (done.stdout[:200], said[:400])
    said = said.strip().replace("\n", " / ")
    return "troupe %s %s\n    %s: %d %s\n" % (verb, " ".join(map(shown, words)), what, done.returncode, said)


def main():
    build = os.path.abspath(sys.argv[1])
    os.umask(0o022)  # modules that others may write are not loaded
    with tempfile.TemporaryDirectory() as directory:
        command = Command(build, directory)
        command.says("start", "-d", "-q", "--num-cpus", "2")
        try:
            command.says("spawn", "play:Stage", "--name", "s")
            command.says("put", "5", "--name", "five")
            command.says("task", "play:echo", "1")
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                lines = list(pool.map(lambda case: line_of(command, case), cases(command)))
        finally:
            command.run("stop", "-q", "--force")
    if "--write" in sys.argv:
        with open(TABLE, "w", encoding="utf-8") as file:
            file.writelines(lines)
        return 0
    with open(TABLE, encoding="utf-8") as file:
        table = re.findall(r"^troupe .*\n    .*\n", file.read(), re.M)
    differing = sorted(set(lines) ^ set(table))
    for line in differing:
        print(("said:  " if line in lines else "table: ") + line, end="")
    print("%d command lines, %d differ" % (len(lines), len(differing)))
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())

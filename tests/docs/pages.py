#!/usr/bin/env python3
"""pages.py SOURCE BUILD PAGE... - runs what the pages of docs/ show: the blocks of a page, in order, in an empty directory, with
a node directory of its own and the programs of this build. What a page shows and this does not run is an error, so:

    ```console     lines after "$ " are run by one shell, what is below them is what they print: "..." is any text, a line
                   that has nothing else any lines; columns of tables may be wider. A command fails only where the next one is `echo $?`
    ```c and other  go to the file that the paragraph above names last in backticks; added to it if it says "to the end of".
                   Without a name they are C, the inside of a function that returns trp_err and has `rt` and `error`: they
                   are run together, before the next console and at the end of the page
    ```sh          lines for somebody in the checkout, run one by one in a copy of it (checkout.py), unless a file *.sh or *.trp is named
    ```python, ```erlang   are parsed only, where there is a python3 or an erlc

Links have to lead somewhere, and a `troupe VERB --option` within the text has to exist.
"""

import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import checkout

FENCE = re.compile(r"^```(\w*)$")
NAME = re.compile(r"`([\w./-]*[\w-]\.\w+)`")
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
VERB = re.compile(r"`troupe ([a-z]+(?: (?:new|build|inspect|test|show))?)((?: [^`]*)?)`")
PARTS = """#include <stdio.h>
#include <troupe/troupe.h>
%s
int
main(void)
{
    trp_runtime *rt = NULL;
    trp_error error = {0};
    trp_err err = trp_init(NULL, &rt, &error);

%s    if (err != TRP_OK)
        fprintf(stderr, "%%s\\n", error.message);
    trp_shutdown(&rt);
    return err != TRP_OK;
}
"""
PART = """
static trp_err
part_%d(trp_runtime *rt, trp_error *error)
{
%s
    return TRP_OK;
}
"""
SECONDS = 120


class Wrong(Exception):
    pass


class Block:
    def __init__(self, section, line, language, above, text):
        self.section, self.line, self.language, self.above, self.text = section, line, language, above, text


def blocks_of(text):
    """The fenced blocks of a page, each with the paragraph above it."""
    blocks, paragraph, is_new, opened, body, section = [], [], True, None, [], ""
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if opened is not None and line == "```":
            blocks.append(Block(section, *opened, " ".join(paragraph), "\n".join(body) + "\n"))
            paragraph, opened = [], None
        elif opened is not None:
            body.append(line)
        elif fence:
            opened, body = (number, fence[1]), []
        elif line.startswith("#"):
            section, paragraph = line.lstrip("# "), []
        elif not line.strip():
            is_new = True
        elif is_new and line.startswith("    "):
            raise Wrong("line %d: an indented block, which nobody runs" % number)
        else:
            paragraph, is_new = ([] if is_new else paragraph) + [line], False
    return blocks


class Shell:
    """One bash for all commands of a page: variables, jobs and the directory stay."""

    def __init__(self, directory, environment):
        self.process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, command):
        """(what it prints, its exit status)"""
        mark = b"\n=== ended with "
        line = "eval %s </dev/null; s=$?; printf '\\n=== ended with %%d\\n' $s; (exit $s)\n" % shlex.quote(command)
        self.process.stdin.write(line.encode())
        self.process.stdin.flush()
        said, deadline = b"", time.monotonic() + SECONDS
        while mark not in said or not said.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            more = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not more:
                raise Wrong("%r %s; it said %r" % (command, "ended the shell" if ready else "does not end", said))
            said += more
        text, status = said.rsplit(mark, 1)
        return text.decode(errors="replace").rstrip("\n"), int(status)

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def fits(shown, said):
    """Whether what was printed is what the page shows. Columns of a table may be wider."""
    shown = [re.sub("  +", "  ", line) for line in shown]
    said = re.sub("  +", "  ", said)
    pattern = ""
    for line in shown:
        pattern += r"(?:.*\n)*" if line.strip() == "..." else ".*".join(map(re.escape, line.split("..."))) + "\n"
    return re.fullmatch(pattern, "".join(line.rstrip() + "\n" for line in said.splitlines())) is not None


def commands_of(block):
    """[(line, command, [what it prints])]; "> " goes on with a command."""
    commands = []
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        if line.startswith("$ "):
            commands.append((number, [line[2:]], []))
        elif not commands:
            raise Wrong("line %d: a console begins with '$ '" % number)
        elif line.startswith("> ") and not commands[-1][2]:
            commands[-1][1].append(line[2:])
        else:
            commands[-1][2].append(line.rstrip())
    return [(number, "\n".join(command), shown) for number, command, shown in commands]


class Page:
    def __init__(self, source, build, path, tried_elsewhere=()):
        self.source, self.build, self.path, self.tried_elsewhere = source, build, path, tried_elsewhere
        self.parts, self.skipped, self.shell = [], [], None
        with open(os.path.join(source, path), encoding="utf-8") as file:
            self.text = file.read()

    def environment(self, directory):
        """Of somebody who has installed it and has no node."""
        own = ("TROUPE_", "TRP_", "MALLOC_PERTURB", "XDG_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(own) and name != "BXFI_MAP"}
        packages = os.path.join(self.build, "actors")
        environment.update(
            T=self.source,
            HOME=directory,
            TROUPE_DIR=directory + ".node",
            TROUPE_NODE=os.path.join(self.build, "tools/troupe-node"),
            PATH=os.path.join(self.build, "tools") + ":" + os.environ["PATH"],
            LD_LIBRARY_PATH=os.path.join(self.build, "actors"),
            PKG_CONFIG_PATH=packages,
            TROUPE_CONFIG="",
            NO_COLOR="1",
            LC_ALL="C.UTF-8",
        )
        return environment

    def write(self, block, name):
        mode = "a" if "to the end of `%s`" % name in block.above else "w"
        with open(os.path.join(self.directory, name), mode, encoding="utf-8") as file:
            file.write(block.text)

    def console(self, block):
        commands = commands_of(block)
        for at, (number, command, shown) in enumerate(commands):
            said, status = self.shell.run(command.replace("$T/build", self.build))
            print("$ %s\n%s" % (command, said), flush=True)
            may_fail = at + 1 < len(commands) and commands[at + 1][1] == "echo $?"
            if status != 0 and not may_fail:
                raise Wrong("line %d: %r ended with %d" % (number, command, status))
            if not fits(shown, said):
                raise Wrong("line %d: %r printed\n%s\nand the page shows\n%s" % (number, command, said, "\n".join(shown)))

    def run_parts(self):
        """The functions' insides that have come since the last time, run in their order."""
        if not self.parts:
            return
        numbers = range(len(self.parts))
        body = "".join(PART % (number, self.parts[number].text) for number in numbers)
        calls = "".join("    if (err == TRP_OK)\n        err = part_%d(rt, &error);\n" % number for number in numbers)
        with open(os.path.join(self.directory, "parts.c"), "w", encoding="utf-8") as file:
            file.write(PARTS % (body, calls))
        line = "cc -Wall -Wextra -Werror -o parts parts.c $(pkg-config --cflags --libs troupe) && TRP_MODULE_PATH=$PWD ./parts"
        said, status = self.shell.run(line)
        print("$ %s\n%s" % (line, said), flush=True)
        if status != 0:
            raise Wrong("the parts in lines %s fail:\n%s" % (", ".join(str(part.line) for part in self.parts), said))
        self.parts = []

    def parse(self, block, name):
        """Whether it is a program of that language; None: nobody can say."""
        check = {"python": "python3 -m py_compile", "erlang": "erlc"}[block.language]
        if shutil.which(check.split()[0]) is None:
            self.skipped.append("%s: no %s" % (name, check.split()[0]))
            return
        said, status = self.shell.run("%s %s" % (check, name))
        if status != 0:
            raise Wrong("line %d: %s is not right:\n%s" % (block.line, name, said))

    def run_in_checkout(self, block):
        """Each line by itself, in a copy of the tree that lasts as long as the page."""
        copy = self.directory + ".checkout"
        if not os.path.exists(copy):
            checkout.copy_of(self.source, self.build, copy)
        for line in checkout.lines_of(block.text):
            said, status = checkout.run_line(self.source, copy, self.shell, line, self.skipped.append)
            print(said, flush=True)
            if status != 0:
                raise Wrong("line %d: %r ended with %d" % (block.line, line, status))

    def run_block(self, block):
        names = NAME.findall(block.above)
        if block.language == "sh":
            names = [name for name in names if name.endswith((".sh", ".trp"))]
        if block.language == "console":
            self.run_parts()
            self.console(block)
        elif block.language == "sh" and not names:
            self.run_parts()
            self.run_in_checkout(block)
        elif not block.language:
            raise Wrong("line %d: a block without a language, which nobody runs" % block.line)
        elif names:
            self.write(block, names[-1])
            if block.language in ("python", "erlang"):
                self.parse(block, names[-1])
        elif block.language == "c":
            self.parts.append(block)
        else:
            raise Wrong("line %d: the text does not name the file of this block" % block.line)

    def check_links(self):
        for target in LINK.findall(self.text):
            path = os.path.join(os.path.dirname(os.path.join(self.source, self.path)), target)
            if "://" not in target and not os.path.exists(path):
                raise Wrong("a link leads to %s, which is not there" % target)

    def check_verbs(self):
        """The verbs and options that the text speaks of."""
        for verb, rest in VERB.findall(re.sub(r"^```.*?^```$", "", self.text, flags=re.M | re.S)):
            if verb == "help":
                continue
            said, status = self.shell.run("troupe %s --help" % verb)
            options = re.findall(r"(?:^|[ \[])(--?[a-z][\w-]*)", rest)
            absent = [option for option in options if not re.search(r"(^|\s)%s\b" % re.escape(option), said)]
            if status != 0 or absent:
                raise Wrong("`troupe %s%s`: there is no such %s" % (verb, rest, "verb" if status else "option " + absent[0]))

    def run(self):
        self.check_links()
        with tempfile.TemporaryDirectory(prefix="page-") as base:
            self.directory = os.path.join(os.path.realpath(base), "work")
            os.mkdir(self.directory)
            environment = self.environment(self.directory)
            self.shell = Shell(self.directory, environment)
            try:
                self.check_verbs()
                for block in blocks_of(self.text):
                    if block.section not in self.tried_elsewhere:
                        self.run_block(block)
                self.run_parts()
            finally:
                subprocess.run(["troupe", "stop", "--force"], env=environment, capture_output=True, check=False)
                self.shell.end()


def main():
    source, build = map(os.path.realpath, sys.argv[1:3])
    os.umask(0o022)  # modules that others may write are not loaded
    failed = 0
    for path in sys.argv[3:]:
        page = Page(source, build, path)
        try:
            page.run()
        except Wrong as wrong:
            print("%s: %s" % (path, wrong))
            failed += 1
        for skipped in page.skipped:
            print("SKIP %s: %s" % (path, skipped))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

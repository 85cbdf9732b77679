#!/usr/bin/env python3
"""terminal.py BUILD - `troupe sh` at a terminal: prompt, editing, history, Ctrl-C, Ctrl-D, blocks of several lines, a terminal
that changes its size, completion. The test holds the other end of a pseudo-terminal and draws what comes as a terminal would.
"""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

DEADLINE_S = 60
PROMPT = "troupe> "
MORE = "      > "
UP, LEFT = "\x1b[A", "\x1b[D"
CSI = re.compile(r"\x1b\[([?>=]*)([0-9;]*)([A-Za-z@])")


class Screen:
    """Lines of text, as a terminal of so many columns has them."""

    def __init__(self, columns):
        self.columns, self.lines, self.row, self.column, self.rest = columns, [""], 0, 0, ""

    def put(self, c):
        if self.column == self.columns:
            self.row, self.column = self.row + 1, 0
        while len(self.lines) <= self.row:
            self.lines.append("")
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + c + line[self.column + 1 :]
        self.column += 1

    def control(self, count, letter):
        line = self.lines[self.row] if self.row < len(self.lines) else ""
        amount = max(count, 1)
        if letter == "A":
            self.row = max(self.row - amount, 0)
        elif letter == "B":
            self.row += amount
        elif letter == "C":
            self.column = min(self.column + amount, self.columns - 1)
        elif letter == "D":
            self.column = max(self.column - amount, 0)
        elif letter == "G":
            self.column = amount - 1
        elif letter in "KJ":
            self.set_line(line[: self.column])
            if letter == "J":
                del self.lines[self.row + 1 :]
        elif letter == "P":
            self.set_line(line[: self.column] + line[self.column + amount :])
        elif letter == "@":
            self.set_line(line[: self.column] + " " * amount + line[self.column :])

    def set_line(self, text):
        if self.row < len(self.lines):
            self.lines[self.row] = text

    def feed(self, text):
        text, self.rest = self.rest + text, ""
        at = 0
        while at < len(text):
            c = text[at]
            match = CSI.match(text, at) if c == "\x1b" else None
            if c == "\x1b" and match is None and len(text) - at < 12:
                self.rest = text[at:]
                return
            at = match.end() if match else at + 1
            if match and not match[1]:
                self.control(int(match[2].split(";")[0] or 0), match[3])
            elif c == "\r":
                self.column = 0
            elif c == "\n":
                self.row += 1
                while len(self.lines) <= self.row:
                    self.lines.append("")
            elif c == "\b":
                self.column = max(self.column - 1, 0)
            elif c >= " ":
                self.put(c)

    def shown(self):
        return "\n".join(line.rstrip() for line in self.lines).rstrip("\n")


class Shell:
    """`troupe sh` and the terminal that it runs in."""

    def __init__(self, place, *words, columns=80, verb="sh", until=PROMPT.rstrip(), **more):
        self.screen = Screen(columns)
        self.pending = b""
        environment = dict(place.environment, TERM="xterm", **more)
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(place.directory)
            self.resize_of(0, columns)
            os.execve(place.command, [place.command, verb, *words], environment)
        self.waits_for(until)

    @staticmethod
    def resize_of(terminal, columns):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def resize(self, columns):
        self.screen.columns = columns
        self.resize_of(self.terminal, columns)

    def types(self, text):
        os.write(self.terminal, text.encode())

    def read(self, until):
        """Draws what comes. False: it has ended, or nothing came in time."""
        if not select.select([self.terminal], [], [], max(until - time.monotonic(), 0))[0]:
            return False
        try:
            data = os.read(self.terminal, 65536)
        except OSError:
            return False
        data = self.pending + data
        end = len(data)
        while end > 0 and end > len(data) - 4:  # a character that has not come whole
            try:
                text = data[:end].decode()
                break
            except UnicodeDecodeError:
                end -= 1
        self.pending = data[end:]
        self.screen.feed(text)
        return bool(data)

    def waits_for(self, ending):
        """Until the screen ends so: text, or a pattern."""
        pattern = ending if isinstance(ending, re.Pattern) else re.compile(re.escape(ending))
        until = time.monotonic() + DEADLINE_S
        while not re.search("(?:%s)\\Z" % pattern.pattern, self.screen.shown()):
            if not self.read(until):
                raise AssertionError("no %r at the end of:\n%s" % (pattern.pattern, self.screen.shown()))

    def waits_for_lines(self):
        """Until what runs is given whole lines: the shell does not edit any more."""
        until = time.monotonic() + DEADLINE_S
        while not termios.tcgetattr(self.terminal)[3] & termios.ICANON:
            assert time.monotonic() < until, "the terminal stays the shell's"

    def says(self, line, *output):
        """Types a line; what follows it on the screen, until the next prompt, is `output`."""
        before = PROMPT + line
        self.types(line + "\r")
        self.waits_for("\n".join([before.rstrip(), *output, PROMPT.rstrip()]))

    def ends(self):
        """Its exit status."""
        until = time.monotonic() + DEADLINE_S
        while self.read(until):
            pass
        modes, wanted = termios.tcgetattr(self.terminal)[3], termios.ICANON | termios.ECHO | termios.ECHOCTL | termios.ISIG
        os.close(self.terminal)
        assert modes & wanted == wanted, "the terminal is not as it was"
        return self.exit_status()

    def exit_status(self):
        """Of its process, which is ending."""
        process = os.pidfd_open(self.pid)
        ended = select.select([process], [], [], DEADLINE_S)[0]
        os.close(process)
        assert ended, "it does not end"
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def leaves(self):
        """By Ctrl-D."""
        self.types("\x04")
        assert self.ends() == 0


class Place:
    """A node, and a home with nothing in it."""

    def __init__(self, build, directory):
        self.directory, self.build = directory, build
        self.command = build + "/tools/troupe"
        self.history = directory + "/state/troupe/history"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TROUPE_", "TRP_", "LC_"))}
        self.environment = dict(
            kept, HOME=directory, XDG_STATE_HOME=directory + "/state", XDG_CONFIG_HOME=directory + "/config",
            TROUPE_DIR=directory + "/node", LANG="C.UTF-8", NO_COLOR="1",
        )
        self.node = subprocess.Popen(
            [build + "/tools/troupe-node", "--service", "--module-path", "%s/tests/tools:%s/examples" % (build, build)],
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        if not self.node.stdout.readline().startswith("READY"):
            raise AssertionError("the node does not start")

    def end(self):
        self.node.terminate()
        self.node.wait()

    def run(self, *words):
        return subprocess.run([self.command, *words], env=self.environment, capture_output=True, text=True, check=True).stdout

    def waits_for_call(self, actor):
        until = time.monotonic() + DEADLINE_S
        while not re.search(r"\bcall +%s\.wait .*accepted" % actor, self.run("ls", "calls")):
            assert time.monotonic() < until, "%s is not called" % actor


# ------------------------------------------------------------------------------------------------------------- tests


def lines_are_edited(place):
    shell = Shell(place)
    shell.says("echo hello", "hello")
    shell.types("echo wrld" + LEFT * 3 + "o\r")
    shell.waits_for("troupe> echo world\nworld\ntroupe>")
    shell.types("cho start\x01e\x05ed\r")  # to the beginning, to the end
    shell.waits_for("troupe> echo started\nstarted\ntroupe>")
    shell.types("echo a b c\x17\x17\x7f\r")  # words, a character
    shell.waits_for("troupe> echo a\na\ntroupe>")
    shell.types("echo éß\x7fü\r")
    shell.waits_for("troupe> echo éü\néü\ntroupe>")
    shell.says("x = call", "troupe call: ACTOR is missing; usage: troupe call ACTOR METHOD [ARG...]", "  line:1:5: x = call",
               "                ^~~~")
    shell.says("")
    shell.says("   ")
    shell.types("exit 3\r")
    assert shell.ends() == 3


def history_is_kept(place):
    shell = Shell(place)
    shell.says("echo one", "one")
    shell.says("echo two", "two")
    shell.types(UP + UP + "\r")
    shell.waits_for("troupe> echo one\none\ntroupe>")
    os.kill(shell.pid, signal.SIGKILL)
    os.waitpid(shell.pid, 0)
    os.close(shell.terminal)
    assert os.stat(place.history).st_mode & 0o777 == 0o600
    shell = Shell(place)
    shell.types(UP)
    shell.waits_for("troupe> echo one")
    shell.types(UP)
    shell.waits_for("troupe> echo two")
    shell.types("\x15\x12hello")  # looks for it, backwards
    shell.waits_for(re.compile("hello"))
    shell.types("\x1b\x05\r")
    shell.waits_for("echo hello\nhello\ntroupe>")
    shell.leaves()
    with open(place.directory + "/.editrc", "w", encoding="utf-8") as file:
        file.write('bind "^T" em-kill-line\nbind "^I" em-kill-line\n')
    shell = Shell(place, XDG_STATE_HOME="/dev/null/nowhere")  # no place for it
    shell.types("nothing\x14unse\ton; echo on\r")
    shell.waits_for("troupe> unset on; echo on\non\ntroupe>")
    shell.leaves()
    os.remove(place.directory + "/.editrc")


def a_block_has_several_lines(place):
    shell = Shell(place)
    shell.types("for i in 1..2 {\r")
    shell.waits_for("troupe> for i in 1..2 {\n      >")
    shell.types("echo $i\r}\r")
    shell.waits_for("\n      > echo $i\n      > }\n1\n2\ntroupe>")
    shell.types(UP)
    shell.waits_for(re.compile(r"for i in 1\.\.2 \{[^>]*echo \$i[^>]*\}"))
    shell.types("\x15")
    shell.types("echo 'a\r")
    shell.waits_for("      >")
    shell.types("b'\r")
    shell.waits_for("      > b'\na\nb\ntroupe>")
    shell.types("for i in 1..2 {\r")
    shell.waits_for("      >")
    shell.types("\x04")  # the end of the text, and not of the shell
    shell.waits_for("a block is not closed: '}' is missing\n  line:2:1:\n            ^\ntroupe>")
    shell.says("echo on", "on")
    shell.leaves()


def ctrl_c_ends_what_is_typed_or_what_runs(place):
    shell = Shell(place)
    shell.types("echo no")
    shell.waits_for("troupe> echo no")
    shell.types("\x03")
    shell.waits_for("troupe> echo no^C\ntroupe>")
    shell.says("echo yes", "yes")
    shell.types("for i in 1..2 {\r")
    shell.waits_for("      >")
    shell.types("echo never\x03")
    shell.waits_for("      > echo never^C\ntroupe>")
    shell.says("echo again", "again")
    shell.types("\x03\x03\x03")
    shell.waits_for("troupe> ^C\ntroupe> ^C\ntroupe> ^C\ntroupe>")
    place.run("spawn", "play:Stage", "--name", "s")
    shell.types("call s wait\r")
    shell.waits_for("troupe> call s wait")
    place.waits_for_call("s")
    shell.types("\x03")
    shell.waits_for(re.compile(r"\ntroupe call: [^\n]*\n  line:1:\d+: call s wait\n *\^~*\ntroupe>"))
    shell.says("call s go 5", "null")
    shell.types("echo begun; while true { x = 1 }\r")
    shell.waits_for("\nbegun")  # it does not read lines any more
    deadline = time.monotonic() + 20
    while shell.screen.column != 0 and shell.read(deadline):
        pass  # the line's end, too: what is not shown yet Ctrl-C takes away
    shell.types("\x03")
    shell.waits_for("\nbegun\ntroupe>")
    shell.says("echo on", "on")
    shell.leaves()


def ctrl_d_once_ends_what_is_read(place):
    shell = Shell(place)
    for number in ("6", "7"):  # also after one that has ended
        line = "put - --name typed%s" % number
        shell.types(line + "\r")
        shell.waits_for_lines()
        shell.types(number + "\n")
        shell.waits_for("troupe> %s\n%s" % (line, number))
        shell.types("\x04")
        shell.waits_for("\n%s\n\"ref:typed%s\"\ntroupe>" % (number, number))
    shell.says("get typed6 typed7", "6", "7")
    shell.leaves()


def ctrl_c_ends_a_node_in_the_foreground_once(place):
    node = Shell(place, "--dir", place.directory + "/front", verb="start", until="Ctrl-C ends it")
    node.types("\x03")
    assert node.ends() == 0
    assert node.screen.shown().count("the node ends") == 1, node.screen.shown()


def a_terminal_changes_its_size(place):
    shell = Shell(place)
    shell.says("echo wide", "wide")
    shell.resize(30)
    os.kill(shell.pid, signal.SIGWINCH)
    shell.types("echo 0123456789012345678901234567890123456789")
    shell.waits_for("troupe> echo 01234567890123456\n78901234567890123456789")
    shell.types(LEFT * 24 + "x\r")
    shell.waits_for("\n0123456789012345x6789012345678\n90123456789\ntroupe>")
    shell.leaves()


def words_are_completed(place):
    place.run("spawn", "counter:Counter", "--name", "tally")
    place.run("spawn", "counter:Counter", "--name", "my $ 1;")
    with open(place.directory + "/some-script", "w", encoding="utf-8") as file:
        file.write("echo sourced\n")
    shell = Shell(place)
    for typed, completed in (
        ("desc\t", "describe"),
        ("call ta\t", "call tally"),
        ("call tally incr\t", "call tally increment"),
        ("x = call tally incr\t", "x = call tally increment"),
        ("call my\t", "call my\\ \\$\\ 1\\;"),
        ("x = call my\\ \t", "x = call my\\ \\$\\ 1\\;"),
        ("call my\\ \\$\\ 1\\; inc\t", "call my\\ \\$\\ 1\\; increment"),
        ("if call tally incr\t", "if call tally increment"),
        ("echo a; call tally incr\t", "echo a; call tally increment"),
        ("spawn counter:C\t", "spawn counter:Counter"),
        ("spawn --na\t", "spawn --name"),
        ("ls mod\t", "ls modules"),
        ("module ins\t", "module inspect"),
        ("unse\t", "unset"),
        ("source some-\t", "source some-script"),
        ("call nobody \t", "call nobody"),
        ("echo 'call ta\t", "echo 'call ta"),
        ("nonsense wor\t", "nonsense wor"),
    ):
        shell.types(typed + "\x03")
        shell.waits_for(re.compile(re.escape("troupe> " + completed) + r" ?\^C\ntroupe>"))
    shell.says("longish = 5")
    shell.types("echo $lon\t\r")
    shell.waits_for("echo $longish\n5\ntroupe>")
    shell.says("a = spawn counter:Counter")
    shell.types("call $a incr\t2\r")
    shell.waits_for("call $a increment 2\n2\ntroupe>")
    shell.types("call tally \t")
    shell.waits_for(re.compile(r"troupe> call tally\n[^>]*increment +get_counter[^>]*\ntroupe> call tally"))
    shell.types("get_counter\r")
    shell.waits_for("call tally get_counter\n0\ntroupe>")
    shell.types("for i in 1..2 {\rcall tally incr\t$i\r}\r")
    shell.waits_for("      > }\n1\n3\ntroupe>")
    shell.leaves()


def a_terminal_that_closes_ends_it(place):
    shell = Shell(place)
    shell.says("echo last", "last")
    os.close(shell.terminal)
    shell.exit_status()
    with open(place.history, encoding="utf-8") as file:
        assert "last" in file.read()


TESTS = (
    lines_are_edited,
    history_is_kept,
    a_block_has_several_lines,
    ctrl_c_ends_what_is_typed_or_what_runs,
    ctrl_d_once_ends_what_is_read,
    ctrl_c_ends_a_node_in_the_foreground_once,
    a_terminal_changes_its_size,
    words_are_completed,
    a_terminal_that_closes_ends_it,
)


def main():
    build = os.path.abspath(sys.argv[1])
    wanted = sys.argv[2:]
    os.umask(0o022)  # modules that others may write are not loaded
    failed = 0
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        place = Place(build, directory)
        stack.callback(place.end)
        for test in TESTS:
            if wanted and test.__name__ not in wanted:
                continue
            try:
                test(place)
                print("ok %s" % test.__name__, flush=True)
            except AssertionError as error:
                failed += 1
                print("not ok %s: %s" % (test.__name__, error), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""completion.py BUILD bash|zsh - what Tab makes of a command line, in the shell itself: an interactive one on a pseudo-terminal,
with the completion as it is installed and a node that runs. The line is shown when Tab is done, and never run. 77 (skipped),
with the reason, where there is no such shell.
"""

import contextlib
import os
import pty
import re
import shutil
import sys
import tempfile

import terminal

PROMPT = "here> "
# What is typed, and what it becomes. A blank at the end is not looked at.
BOTH = (
    ("troupe desc\t", "troupe describe"),
    ("troupe module ins\t", "troupe module inspect"),
    ("troupe help vers\t", "troupe help version"),
    ("troupe nothing-such \t", "troupe nothing-such"),
    ("troupe call --time\t", "troupe call --timeout"),
    ("troupe call ta\t", "troupe call tally"),
    ("troupe call tally incr\t", "troupe call tally increment"),
    ("troupe call --timeout 5 tally incr\t", "troupe call --timeout 5 tally increment"),
    ("troupe call --timeout=5 tally incr\t", "troupe call --timeout=5 tally increment"),
    ("troupe call tally increment \t", "troupe call tally increment"),
    ("troupe call nobody inc\t", "troupe call nobody inc"),
    ("troupe call my\t", r"troupe call my\ \$\;1"),
    ("troupe call 'my\t", "troupe call 'my $;1'"),
    ('troupe call "my\t', r'troupe call "my \$;1"'),
    (r"troupe call my\ \$\;1 inc" + "\t", r"troupe call my\ \$\;1 increment"),
    (r"troupe call 'my $;1' inc" + "\t", r"troupe call 'my $;1' increment"),
    ("troupe call lab/ot\t", "troupe call lab/other"),
    ("troupe call lab/other get\t", "troupe call lab/other get_counter"),
    ("troupe call --namespace lab ot\t", "troupe call --namespace lab other"),
    ("troupe send tally incr\t", "troupe send tally increment"),
    ("troupe kill tally my\t", r"troupe kill tally my\ \$\;1"),
    ("troupe spawn coun\t", "troupe spawn counter:Counter"),
    ("troupe spawn counter:C\t", "troupe spawn counter:Counter"),
    ("troupe spawn --na\t", "troupe spawn --name"),
    ("troupe task play:e\t", "troupe task play:echo"),
    ("troupe describe play:S\t", "troupe describe play:Stage"),
    ("troupe describe play:ec\t", "troupe describe play:echo"),
    ("troupe get thir\t", "troupe get thirteen"),
    ("troupe get ref:thir\t", "troupe get ref:thirteen"),
    ("troupe why thir\t", "troupe why thirteen"),
    ("troupe ls mod\t", "troupe ls modules"),
    ("troupe top --sort mem\t", "troupe top --sort memory"),
    ("troupe top --sort=mem\t", "troupe top --sort=memory"),
    ("troupe start --log-level wa\t", "troupe start --log-level warning"),
    ("troupe start --log-level=wa\t", "troupe start --log-level=warning"),
    ("troupe status --dir nod\t", "troupe status --dir node"),
    ("troupe status --dir=nod\t", "troupe status --dir=node"),
    ("troupe call tally increment @som\t", r"troupe call tally increment @some\ file"),
    ("troupe sh som\t", r"troupe sh some\ file"),
    ("troupe module inspect som\t", r"troupe module inspect some\ file"),
    ("troupe run som\t", r"troupe run some\ file"),
    ("troupe run cat som\t", r"troupe run cat some\ file"),
    ("troupe trace -o som\t", r"troupe trace -o some\ file"),
    ("troupe run mkfif\t", "troupe run mkfifo"),
    ("./tool call ta\t", "./tool call tally"),
    ("$NOWHERE/troupe call ta\t", "$NOWHERE/troupe call tally"),
    ("true; troupe call ta\t", "true; troupe call tally"),
    ("troupe call `touch no` ta\t", "troupe call `touch no` ta"),
    ("troupe call $(touch no) ta\t", "troupe call $(touch no) ta"),
)
# Several fit: they are shown, and the line goes on.
SHOWN = (
    ("troupe call tally \t\t", ("increment", "get_counter")),
    ("troupe module \t\t", ("new", "build", "inspect", "test")),
    ("troupe ls \t\t", ("actors", "processes", "modules", "calls", "nodes", "objects", "kept")),
    ("troupe st\t\t", ("start", "status", "stop")),
)
START = {
    "bash": (["--norc", "--noprofile", "-i"], "bind 'set enable-bracketed-paste off'; . '{tools}/completion/troupe.bash'; "
             "complete -F _troupe tool; PS1='{prompt}'"),
    "zsh": (["-f", "-i"], "unset zle_bracketed_paste; unsetopt prompt_sp; autoload -U compinit; fpath=('{tools}/completion' $fpath); compinit -u -D; "
            "compdef _troupe tool; PS1='{prompt}'"),
}


class Line(terminal.Shell):
    """A shell of its own, whose line is looked at."""

    def __init__(self, place, name, source):  # pylint: disable=super-init-not-called
        words, script = START[name]
        self.screen, self.pending, self.cleared = terminal.Screen(200), b"", 0
        environment = dict(
            place.environment, TERM="xterm", PATH=place.build + "/tools:" + os.environ["PATH"], PS1="starts> ", HISTFILE=""
        )
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(place.directory)
            self.resize_of(0, 200)
            os.execvpe(name, [name, *words], environment)
        self.waits_for(re.compile("> ?|[#%$] ?"))
        self.types(script.format(tools=source + "/tools", prompt=PROMPT) + "\r")
        self.waits_for("\n" + PROMPT.rstrip())

    def clear(self):
        """The line is emptied, and there is a new prompt."""
        self.cleared += 1
        line = ": %d" % self.cleared
        self.types("\x05\x15%s\r" % line)
        self.waits_for("\n%s%s\n%s" % (PROMPT, line, PROMPT.rstrip()))

    def becomes(self, typed, line):
        self.types(typed + "\x05\x1b[D\x1b[C!")  # what comes after Tab is drawn after it
        self.waits_for(re.compile(re.escape("\n" + PROMPT + line) + "[ '/]?!"))
        self.clear()

    def shows(self, typed, words):
        self.types(typed)
        text = typed.rstrip("\t ")
        self.waits_for(re.compile("".join(r"(?=[^>]*\s%s\b)" % word for word in words) + "[^>]*(\n" + re.escape(PROMPT + text) + ".*)?"))
        self.clear()


def prepare(place):
    place.run("spawn", "counter:Counter", "--name", "tally")
    place.run("spawn", "counter:Counter", "--name", "my $;1")
    place.run("spawn", "counter:Counter", "--name", "lab/other")
    place.run("task", "play:echo", "1")
    place.run("put", "13", "--name", "thirteen")
    with open(place.directory + "/some file", "w", encoding="utf-8") as file:
        file.write("1\n")
    os.chmod(place.directory + "/some file", 0o755)
    os.symlink(place.build + "/tools/troupe", place.directory + "/tool")


def main():
    build, name = os.path.abspath(sys.argv[1]), sys.argv[2]
    source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if shutil.which(name) is None:
        print("skipped: there is no " + name)
        return 77
    os.umask(0o022)  # modules that others may write are not loaded
    failed, line = 0, None
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        place = terminal.Place(build, directory)
        stack.callback(place.end)
        prepare(place)
        for row in BOTH + SHOWN:
            line = line or Line(place, name, source)
            try:
                (line.becomes if row in BOTH else line.shows)(*row)
            except AssertionError as error:
                failed += 1
                print("%r: %s" % (row, error), flush=True)
                line = None  # whatever state it is in
        if os.path.exists(directory + "/no"):
            failed += 1
            print("what is typed was run")
    print("%d lines, %d wrong" % (len(BOTH) + len(SHOWN), failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

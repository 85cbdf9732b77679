#!/usr/bin/env python3
"""documented.py SOURCE BUILD - whether the manual says what there is, and nothing else: verbs, options, exit statuses, settings,
variables of the environment. Each exit status is brought about, and each listing read as JSON, on a node of its own.
"""

import glob
import json
import os
import re
import signal
import subprocess
import sys
import tempfile

# Where a status comes from, for sh; {} is the directory. 10 is for errors that this release has none of.
STATUSES = {
    0: "troupe call s echo 1",
    1: "troupe version >/dev/full",
    2: "troupe vresion",
    3: "troupe call s bytes five",
    4: "troupe call nobody echo 1",
    5: "troupe spawn play:Stage -n full --max-pending 1 && troupe call full wait --async && troupe call full echo 1",
    6: "troupe spawn play:Stage -n large --cpus 100000",
    7: "troupe call s fail 5 sorry",
    8: "troupe spawn play:Stage -n frail && troupe call frail crash",
    9: "troupe ls actors --dir {}/nowhere",
    10: None,
    124: "troupe call s wait --timeout 20ms",
    130: "(trap - INT; exec troupe watch s) & until grep -q '^SigCgt:.*[2367abef]$' /proc/$!/status; do :; done; kill -INT $!; wait $!",
    141: "mkfifo {}/pipe; exec 3<>{}/pipe 4>{}/pipe 3<&-; troupe help >&4",
}
# Of programs that a verb runs, not of the command.
OTHER_STATUSES = {126, 127, 128}
LISTINGS = [
    "ls actors", "ls processes", "ls modules", "ls calls", "ls nodes", "ls objects", "ls kept", "doctor", "config show", "bench --list",
    "help", "module test {echo}", "why w", "wait five w -c 1",
]
OBJECTS = ["status", "describe s", "describe play", "describe play:Stage", "describe play:echo", "module inspect {echo}", "top --once -d 20ms"]
# Read by the command, and set by nobody who would look for them in the manual.
NOT_TOLD = {"CC", "PATH", "TERM", "HOME", "PKG_CONFIG_PATH"}
OPTION = re.compile(r"^  (?:-(\w))?(?:, )? *(?:--([a-z-]+))?", re.M)


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read()


def items(text):
    """{tag: its text} of the first list in it; lists within items belong to them."""
    found, depth, tag = {}, 0, None
    for line in text.splitlines():
        depth += line.startswith(".Bl") - line.startswith(".El")
        if depth == 1 and line.startswith(".It "):
            tag = line[4:]
            found[tag] = line + "\n"
        elif depth >= 1 and tag is not None:
            found[tag] += line + "\n"
        elif depth == 0 and tag is not None:
            break
    return found


def flags(text):
    """The options that mdoc marks as such; after a comma they go on."""
    lines = [re.sub(" , (?!Fl )", " Fl ", line) for line in text.replace(".Fl", " Fl").splitlines() if " Fl " in line]
    return set(re.findall(r" Fl -?([a-z][a-z-]*)", "\n".join(lines), re.I))


def tags_of(text):
    return "\n".join(line for line in text.splitlines() if line.startswith(".It"))


def section(text, heading, mark=".Sh "):
    parts = re.split("^%s%s$" % (re.escape(mark), re.escape(heading)), text, flags=re.M)
    return re.split(r"^\.S[hs] " if mark == ".Ss " else r"^\.Sh ", parts[1], flags=re.M)[0]


class Command:
    def __init__(self, build, directory):
        self.directory = directory
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TROUPE_", "TRP_"))}
        self.environment = dict(
            kept, PATH=build + "/tools:" + os.environ["PATH"], TROUPE_DIR=directory + "/node", TROUPE_CONFIG="", NO_COLOR="1",
            TRP_MODULE_PATH="%s/tests/tools:%s/examples" % (build, build),
        )
        self.echo = build + "/examples/echo.so"

    def run(self, line):
        line = line.replace("{}", self.directory).replace("{echo}", self.echo)
        return subprocess.run(["sh", "-c", line], env=self.environment, cwd=self.directory, capture_output=True, text=True, timeout=60)

    def says(self, line):
        done = self.run(line)
        assert done.returncode == 0, "%s: %s" % (line, done.stderr)
        return done.stdout


def differ(what, documented, there):
    return ["%s: %s is documented, and not there" % (what, name) for name in sorted(documented - there, key=str)] + [
        "%s: %s is there, and not documented" % (what, name) for name in sorted(there - documented, key=str)
    ]


def check_verbs(manual, command):
    told = items(section(manual, "DESCRIPTION"))
    common = flags(manual.split("Options that every verb has:")[1].split(".Ss ")[0])
    of_node = flags(manual.split("Options of the verbs that talk to a node:")[1].split(".Ss ")[0])
    tags = {}
    for tag, text in told.items():
        words = re.match(r"Cm (\w+)(?: (\w+))?", tag)
        name = words[1] + (" " + words[2] if words[1] in ("module", "config") else "")
        tags[name] = text
    verbs = {row["verb"]: row for row in json.loads(command.says("troupe help --json"))}
    wrong = differ("verbs", set(tags), set(verbs))
    for verb in set(tags) & set(verbs):
        help_text = command.says("troupe %s --help" % verb)
        there = {name for pair in OPTION.findall(help_text.split("\n\n", 2)[2]) for name in pair if name}
        told_of = flags(tags[verb])
        wrong += ["%s: option %s is documented, and not there" % (verb, name) for name in sorted(flags(tags_of(tags[verb])) - there)]
        wrong += ["%s: option %s is not documented" % (verb, name) for name in sorted(there - told_of - common - of_node)]
    return wrong


def statuses_of(manual):
    return {int(tag) for tag in items(section(manual, "EXIT STATUS")) if tag.isdigit()}


def check_statuses(source, manual, command):
    wrong = differ("exit statuses", statuses_of(manual), set(STATUSES))
    table = read(source, "docs/guide/operating.md").split("## Exit codes")[1].split("\n## ")[0]
    wrong += differ("the guide's exit codes", {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.M)}, set(STATUSES))
    for status, line in STATUSES.items():
        done = command.run(line) if line else None
        if done is not None and done.returncode != status:
            wrong.append("exit status %d, not %d, of: %s\n%s" % (done.returncode, status, line, done.stderr))
        if done is not None and status not in (0, 130, 141) and len(done.stderr.splitlines()) != 1:
            wrong.append("%s: says more or less than a line: %r" % (line, done.stderr))
    return wrong


def check_errors(source, manual):
    """Each error of the interface has the status of its group."""
    names = {int(number): name for name, number in re.findall(r"X\((TRP_E\w+), (\d+)", read(source, "include/troupe/base.h"))}
    wrong = []
    for tag, text in items(section(manual, "EXIT STATUS")).items():
        told = re.findall(r"TRP_E\w+", text)
        numbers = [number for number, name in names.items() if name in told]
        if " to " in text:
            numbers = [number for number in names if numbers[0] <= number <= numbers[-1]]
        for number in numbers:
            status = {21: 124, 40: 7}.get(number, 8 if number > 40 and number < 50 else 3 + number // 10 + (number // 10 == 5))
            if int(tag) != status:
                wrong.append("%s has exit status %d, and %s is documented" % (names[number], status, tag))
            names.pop(number)
    return wrong + ["%s has no exit status" % name for number, name in names.items() if number < 60]


def check_settings(source, command):
    manual = read(source, "man/troupe.cfg.5")
    rows = json.loads(command.says("troupe config show --json"))
    wrong = []
    for name in ("node", "command"):
        told = {tag[3:] for tag in items(section(manual, name, ".Ss ")) if tag.startswith("Ic ")}
        wrong += differ("settings of " + name, told, {row["setting"] for row in rows if row["section"] == name})
    node = set(re.findall(r"^\s+--([a-z-]+)", command.says("troupe-node --help"), re.M))
    of_start = {name for _, name in OPTION.findall(command.says("troupe start --help")) if name}
    settings = {row["setting"] for row in rows if row["section"] == "node"}
    wrong += ["'%s' of troupe-node cannot be set in a file" % name for name in sorted((node & of_start) - settings - {"help"})]
    wrong += ["the setting '%s' is no option of start" % name for name in sorted(settings - of_start)]
    return wrong


def check_environment(source):
    manuals = "".join(read(path) for path in glob.glob(source + "/man/*.[1-8]"))
    told = set(re.findall(r"\b[A-Z][A-Z_]{3,}\b", "".join(re.findall(r"^\.?.*Ev .*$", manuals, re.M))))
    read_by = set()
    for room in ("tools", "broker", "actors", "store", "transport"):
        for path in glob.glob("%s/%s/**/*.c" % (source, room), recursive=True):
            read_by |= set(re.findall(r'getenv\("([A-Z_]+)"\)', read(path)))
    return ["the variable %s is not documented" % name for name in sorted(read_by - told - NOT_TOLD)]


def check_listings(command):
    wrong = []
    for lines, kind in ((LISTINGS, list), (OBJECTS, dict)):
        for line in lines:
            said = command.says("troupe %s --json" % line)
            try:
                value = json.loads(said)
            except ValueError as error:
                wrong.append("troupe %s --json: %s" % (line, error))
                continue
            if not isinstance(value, kind) or not value or said.count("\n") != 1:
                wrong.append("troupe %s --json: no line with a %s of something: %s" % (line, kind.__name__, said[:200]))
            quiet = command.run("troupe %s --quiet" % line)
            if quiet.stdout:
                wrong.append("troupe %s --quiet says: %s" % (line, quiet.stdout[:200]))
            told = command.run("troupe %s --verbose" % line).stderr
            if line.split()[0] in ("ls", "why", "wait", "describe", "top") and ": joined the node at " not in told:
                wrong.append("troupe %s --verbose does not say what it does: %s" % (line, told[:200]))
    return wrong


def main():
    source, build = (os.path.abspath(path) for path in sys.argv[1:3])
    os.umask(0o022)  # modules that others may write are not loaded
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    manual = read(source, "man/troupe.1")
    with tempfile.TemporaryDirectory() as directory:
        command = Command(build, directory)
        # It ends the node when its pipe closes, even where this is killed.
        guard = subprocess.Popen(
            ["sh", "-c", 'read -r _; troupe stop -q; rm -rf "$0"', directory], env=command.environment, stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )
        command.says("troupe start -d -q")
        try:
            command.says("troupe spawn play:Stage -n s -q && troupe put 5 -n five -q && troupe call s wait -n w -q")
            command.says("troupe task play:echo 1 -q")
            wrong = check_errors(source, manual) + check_verbs(manual, command)
            wrong += check_settings(source, command) + check_environment(source)
            wrong += check_listings(command) + check_statuses(source, manual, command)
        finally:
            guard.communicate()
            os.makedirs(directory, exist_ok=True)  # TemporaryDirectory wants to remove it
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

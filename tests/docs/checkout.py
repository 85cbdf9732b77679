"""checkout.py - runs the lines of a ```sh block of a page, which are for somebody in the checkout, in a copy of it with the
programs of this build. What would take minutes runs in a shorter form, what cannot run here is skipped; both are said, with
the reason. For pages.py.
"""

import os
import re
import shutil
import subprocess

# What a line runs as here, and why. {case} is quick to measure.
SHORTER = {
    "./check": ("./check --help", "it runs this very test"),
    "build/tools/troupe bench": ("build/tools/troupe bench --rounds 1 start wait.1000", "all cases take two minutes"),
    "build/tools/troupe bench call.sync": ("build/tools/troupe bench --rounds 1 call.sync", "five rounds say no more here"),
    "build/tools/troupe bench --json": ("build/tools/troupe bench --rounds 1 --json start", "all cases take two minutes"),
    "build/bench/core/directory": ("build/bench/core/directory --quick", "a million names take half a minute"),
    "build/bench/core/objects": ("build/bench/core/objects 10000", "what a million takes is judged, here it is not"),
    "bench/table.sh": (
        "build/tools/troupe bench --rounds 1 --json wait.1000 >figures && bench/table.sh figures",
        "all cases take two minutes",
    ),
    "sudo bench/rivals/run.sh": ("bench/rivals/run.sh --quick", "all of it takes ten minutes"),
    "sudo bench/rivals/run.sh --quick": ("bench/rivals/run.sh --quick", "who runs this is root, or it is skipped"),
    "build/tests/sim/sim --seeds 40000": ("build/tests/sim/sim --seeds 40", "40,000 seeds take a quarter of an hour"),
    "build/tests/sim/sim --from 1000 --seeds 500 --keep-going": (
        "build/tests/sim/sim --from 1000 --seeds 50 --keep-going",
        "500 seeds take ten seconds",
    ),
}
# What bench/rivals/run.sh says of one that it leaves out.
LEFT_OUT = re.compile(r"^(\S+) +(not installed: left out)$", re.M)


def copy_of(source, build, target):
    """The tree, with `build` for what was built. Links, but for the pages, which commands write to."""
    os.mkdir(target)
    for name in os.listdir(source):
        if name == "docs":
            shutil.copytree(os.path.join(source, name), os.path.join(target, name), symlinks=True)
        elif name != ".git" and not name.startswith("build"):
            os.symlink(os.path.join(source, name), os.path.join(target, name))
    os.symlink(build, os.path.join(target, "build"))


def lacking_packages(source):
    """Those that ./run would install, which is nothing for a test to do."""
    with open(os.path.join(source, "tests/tools/packages.txt"), encoding="utf-8") as file:
        rows = [line.split() for line in file if line.strip() and not line.startswith("#")]
    query = ["dpkg-query", "-W", "-f", "${db:Status-Status}"]
    if shutil.which("dpkg-query") is None:
        return ["dpkg"]
    wanted = [row[0] for row in rows if row[1:] == ["run"]]
    return [name for name in wanted if subprocess.run([*query, name], capture_output=True, text=True).stdout != "installed"]


def obstacle(source, line):
    """Why a line cannot run here; None: it can."""
    if line == "./run" and lacking_packages(source):
        return "it would install " + ", ".join(lacking_packages(source))
    if "rivals/run.sh" in line:
        if os.geteuid() != 0:
            return "it needs root"
        if subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode != 0:
            return "no network namespace can be made here"
        if shutil.which("gnuplot") is None:
            return "there is no gnuplot for its plots"
    return None


def lines_of(text):
    """The commands of a block, without what stands beside them."""
    return [line for line in (re.sub(r"\s+#.*", "", line).strip() for line in text.splitlines()) if line]


def run_line(source, directory, shell, line, say_skipped):
    """(what it says, its status)"""
    why = obstacle(source, line)
    if why is not None:
        program = line.removeprefix("sudo ").split()[0]
        say_skipped("%s: %s" % (line, why))
        return "", 0 if os.access(os.path.join(directory, program), os.X_OK) else 127
    shorter, reason = SHORTER.get(line, (line, None))
    if reason is not None:
        print("instead of '%s', for %s:" % (line, reason))
    print("$ " + shorter, flush=True)
    said, status = shell.run("cd %s; (%s); s=$?; cd - >/dev/null; (exit $s)" % (directory, shorter))
    for name, left_out in LEFT_OUT.findall(said):
        say_skipped("%s: %s %s" % (line, name, left_out))
    return said, status

#!/usr/bin/env python3
"""readme.py SOURCE BUILD - whether README's blocks do what it says (pages.py; those of "Installing" are install.py's). And whether its
table of packages is the list that is installed, and docs/protocol.md names every message.
"""

import os
import re
import sys

from pages import Page, Wrong

PACKAGE_ROW = re.compile(r"^\| ([a-z0-9, +-]+) \|", re.M)
BLOCK = re.compile(r"^```c\n(.*?)^```$", re.M | re.S)


def page(source):
    with open(os.path.join(source, "README.md"), encoding="utf-8") as file:
        return file.read()


def write_programs(source, directory):
    """counter.c and driver.c, as the page has them."""
    module, driver = BLOCK.findall(page(source))
    for name, text in (("counter.c", module), ("driver.c", driver)):
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(text)


def packages_differ(source):
    """What only one of README's table and the list of packages has."""
    rows = PACKAGE_ROW.findall(page(source).split("## Dependencies", 1)[1].split("\n## ", 1)[0])
    table = {name for row in rows if row != "package" for name in row.split(", ")}
    with open(os.path.join(source, "tests/tools/packages.txt"), encoding="utf-8") as file:
        wanted = {line.split()[0] for line in file if line.strip() and not line.startswith("#")}
    return sorted(table ^ wanted)


def kinds_missing(source):
    """Messages of schemas/schemas.h that docs/protocol.md does not speak of."""
    with open(os.path.join(source, "schemas/schemas.h"), encoding="utf-8") as file:
        kinds = re.findall(r"^    TRI_([A-Z]+)\b", re.search(r"^enum tri_kind \{(.*?)^\};", file.read(), re.M | re.S)[1], re.M)
    with open(os.path.join(source, "docs/protocol.md"), encoding="utf-8") as file:
        text = file.read()
    return [kind for kind in kinds if not re.search(r"\b%s\b" % kind, text)]


def main():
    source, build = map(os.path.abspath, sys.argv[1:3])
    different = packages_differ(source)
    if different:
        print("only in one of README's table and tests/tools/packages.txt: " + ", ".join(different))
        return 1
    missing = kinds_missing(source)
    if missing:
        print("docs/protocol.md does not speak of " + ", ".join(missing))
        return 1
    os.umask(0o022)  # modules that others may write are not loaded
    for name in ("run", "check"):
        if not os.access(os.path.join(source, name), os.X_OK):
            print("there is no ./%s" % name)
            return 1
    try:
        Page(source, build, "README.md", tried_elsewhere=("Installing",)).run()
    except Wrong as wrong:
        print("README.md: %s" % wrong)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

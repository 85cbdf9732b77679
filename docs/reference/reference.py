#!/usr/bin/env python3
"""reference.py HEADERS VERSION OUT - makes the reference of the public headers from their comments: manual pages of section 3
into OUT/man3, pages for browsers into OUT/html. Both directories are made anew. HEADERS is include/troupe.
"""

import os
import shutil
import sys
import time

sys.dont_write_bytecode = True

import mdoc
import web
from headers import read_all
from pages import pages_of

FILES = ["troupe.h", "base.h", "runtime.h", "module.h", "testing.h", "dlpack.h"]


def date_of(directory):
    """That of the newest header, so that the same headers make the same pages."""
    newest = max(os.path.getmtime(os.path.join(directory, file)) for file in FILES)
    day = time.gmtime(float(os.environ.get("SOURCE_DATE_EPOCH", newest)))
    return "%s %d, %d" % (time.strftime("%B", day), day.tm_mday, day.tm_year)


def write(directory, files):
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    for name, text in files.items():
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(text)


def main():
    source, version, out = sys.argv[1:4]
    headers = read_all(source, FILES)
    pages, found = pages_of(headers)
    write(os.path.join(out, "man3"), mdoc.write_pages(headers, pages, found, date_of(source)))
    write(os.path.join(out, "html"), web.write_pages(headers, version))


if __name__ == "__main__":
    main()

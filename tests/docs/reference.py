#!/usr/bin/env python3
"""reference.py SOURCE BUILD - whether the reference is whole and the texts are true: every function of libtroupe has its page
and every page its function, links lead somewhere, and every name that a page, a document or a comment mentions exists.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

PUBLIC = re.compile(r"\b(?:trp|TRP)_\w*\w\b")
PRIVATE = re.compile(r"\b(?:tri|TRI)_\w*\w\b")
COMMENT = re.compile(r"/\*.*?\*/", re.S)
LITERAL = re.compile(r'"((?:TRP|TROUPE)_\w+)"')
FILE = re.compile(r"(?<![\w./~$@-])((?:actors|bench|broker|docs|examples|include|man|schemas|store|tests|tools|transport)"
                  r"/[\w./-]+\.(?:c|cc|h|md|py|sh|fbs|txt|in|service|bash|trp))\b")
XR = re.compile(r"^\.Xr (\S+) (\d)|\bXr (\S+) (\d)", re.M)
MARK = re.compile(r"\b(?:TODO|FIXME|XXX|HACK|WIP|TBD)\b|\b(?:coming soon|not yet implemented|to be written|lorem ipsum)\b")
CODE = (".c", ".h", ".cc", ".hpp", ".py", ".sh", ".build")
SOURCES = ("actors", "bench", "broker", "examples", "include", "schemas", "store", "tests", "tools", "transport")
# What the examples in the headers' comments leave out.
EXAMPLE = """
extern const trp_module troupe_module_counter;
extern trp_runtime *rt;
extern trp_actor *counter;
extern trp_ctx *ctx;
extern trp_ref *ref;
extern trp_value value;
extern trp_error error;
extern int state;
trp_err counter_increment(trp_ctx *ctx, void *self);
#define cr_expect(condition) ((void)(condition))
#define cr_assert(condition, ...) ((void)(condition))
#define cr_expect_eq(a, b) ((void)((a) == (b)))
"""
HOST = "actors/actors.h"  # what libtroupe offers to our own programs alone


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def named(path):
    """A manual page's names, with those of the page that it stands for."""
    return re.findall(r"^\.Nm (\S+)", text_of(path), re.M)


def constants(path):
    """Those that a manual page lists."""
    return re.findall(r'^\.It Dv "(\w+)', text_of(path), re.M)


class Page(HTMLParser):
    """The anchors and links of a page, and its tags that are not closed in order."""

    VOID = {"meta", "br", "hr", "img", "link"}

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.wrong, self.open = [], [], [], []
        self.feed(text)
        self.close()
        self.wrong += ["<%s> is not closed" % tag for tag in self.open]

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if "href" in attributes:
            self.links.append(attributes["href"])
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append("</%s> closes something else" % tag)


# ------------------------------------------------------------------------------------------------------------- pages


def exported(build, source):
    command = ["nm", "-D", "--defined-only", build + "/actors/libtroupe.so"]
    out = subprocess.run(command, check=True, capture_output=True, text=True)
    names = {line.split()[2].split("@")[0] for line in out.stdout.splitlines() if len(line.split()) == 3}
    own = COMMENT.sub("", text_of(os.path.join(source, HOST)))
    return {name for name in names if name.startswith("trp_") and not re.search(r"\b%s\b" % name, own)}


def declared(source):
    """Every name in the code of the public headers."""
    code = "".join(COMMENT.sub(" ", text_of(path)) for path in glob.glob(source + "/include/troupe/*.h"))
    return set(re.findall(r"\b(?:trp|TRP)_\w+\b", code))


def constants_of(source):
    """What `man` has to find beside functions: codes of errors, constants, and macros that are used like functions."""
    code = "".join(COMMENT.sub(" ", text_of(path)) for path in glob.glob(source + "/include/troupe/*.h"))
    found = re.findall(r"\bX\((TRP_\w+),|^#define (TRP_[A-Z]\w*[A-Z])\(|^ +(TRP_[A-Z]\w*\w) = ", code, re.M)
    names = {name for names in found for name in names if name}
    return {name for name in names if not re.match(r"TRP_(EACH_|COUNT|PRINTF|0$)|.*_$", name)}


def wrong_pages(source, build):
    pages = {os.path.basename(path)[:-2]: path for path in glob.glob(build + "/docs/man3/*.3")}
    functions = exported(build, source)
    for name in sorted(functions - set(pages)):
        yield "%s(3) is missing" % name
    known = declared(source)
    for name in sorted(constants_of(source) - set(pages)):
        yield "%s(3) is missing" % name
    for name, path in sorted(pages.items()):
        if not name.startswith("troupe") and name not in known:
            yield "%s(3): no header declares it" % name
        target = re.match(r"\.so man3/(\S+)\.3\n$", text_of(path))
        see_also = text_of(path).split(".Sh SEE ALSO")[-1]
        if '"trp_value args"' in text_of(path) and ".Xr TRP_V 3" not in see_also:
            yield "%s(3) takes values, and does not refer to TRP_V(3)" % name
        if target and (target[1] not in pages or name not in named(pages[target[1]]) + constants(pages[target[1]]) + [target[1]]):
            if not target[1].startswith("troupe_"):
                yield "%s(3) stands for %s(3), which does not have it" % (name, target[1])
        if not target and name in functions and ".Sh DESCRIPTION\n.Sh" in text_of(path):
            yield "%s(3) says nothing" % name
    if "Er TRP_ENOENT" in text_of(pages["trp_fail"]):
        yield "trp_fail(3) takes an error from its example"


def wrong_links(build):
    pages = {os.path.basename(path): Page(text_of(path)) for path in glob.glob(build + "/docs/html/*.html")}
    for name, page in sorted(pages.items()):
        yield from ("%s: %s" % (name, what) for what in page.wrong)
        yield from ("%s: two anchors '%s'" % (name, anchor) for anchor in sorted({x for x in page.ids if page.ids.count(x) > 1}))
        for link in sorted(set(page.links)):
            file, _, anchor = link.partition("#")
            if file not in pages or (anchor and anchor not in pages[file].ids):
                yield "%s: the link %s leads nowhere" % (name, link)
    if "index.html" not in pages:
        yield "there is no index.html"


def wrong_examples(source):
    """Examples in comments of the public headers that do not compile, in a function where what they leave out is there."""
    sys.path.insert(0, source + "/docs/reference")
    sys.dont_write_bytecode = True
    from headers import blocks_of, read_all
    from reference import FILES

    prelude = "#include <inttypes.h>\n#include <stdio.h>\n#include <troupe/troupe.h>\n#include <troupe/testing.h>\n" + EXAMPLE
    for header in read_all(source + "/include/troupe", FILES):
        texts = [header.text] + [section.text for section in header.sections] + [group.text for group in header.groups]
        for code in ["\n".join(block.content) for text in texts for block in blocks_of(text) if block.kind == "code"]:
            if not re.search(r";$", code, re.M):
                continue  # a table
            program = "%svoid example(void) { { %s } }\n" % (prelude, code)
            command = ["cc", "-x", "c", "-std=gnu11", "-Wall", "-Wno-unused", "-Werror", "-I" + source + "/include"]
            done = subprocess.run([*command, "-fsyntax-only", "-"], input=program, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                yield "%s: an example does not compile:\n%s\n%s" % (header.file, code, done.stderr)


def wrong_manual(build):
    """Whether man(1) finds a page by a name that it has beside its first one."""
    man = shutil.which("man")
    for name, wanted in (("trp_kept", "trp_keep(trp_ref *ref"), ("TRP_MAP", "TRP_LIST(...)"), ("trp_map", "trp_map(const"),
                         ("TRP_EINVAL", "TRP_ENOENT = 10"), ("TRP_REF", "TRP_ACTOR = "), ("trp_ref", "trp_ref_retain(")):
        if man is None:
            return
        done = subprocess.run([man, "-M", build + "/docs", "-P", "cat", "3", name], capture_output=True, text=True, check=False)
        if "minimized" not in done.stdout and wanted not in re.sub(r".\x08", "", done.stdout):
            yield "man %s: %s%s" % (name, done.stdout, done.stderr)


# ------------------------------------------------------------------------------------------------------------- names


def sources(source):
    for room in SOURCES:
        for folder, _, names in os.walk(os.path.join(source, room)):
            yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(CODE))


def documents(source, build):
    yield from sorted(glob.glob(source + "/*.md"))
    for folder, _, names in os.walk(source + "/docs"):
        # what was decided tells of what is no more
        yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(".md") and name != "decisions.md")
    yield from sorted(path for path in glob.glob(source + "/man/*") if path[-1].isdigit())
    yield from sorted(glob.glob(build + "/docs/man3/*.3"))


def comments_of(path, text):
    return "\n".join(COMMENT.findall(text)) if path.endswith((".c", ".h", ".cc", ".hpp")) else ""


def unknown_names(source, build):
    public, code = declared(source), ""
    texts = {path: text_of(path) for path in sources(source)}
    for path, text in texts.items():
        code += COMMENT.sub(" ", text) if path.endswith((".c", ".h", ".cc", ".hpp")) else text
    for path in glob.glob(build + "/schemas/*.h"):
        code += text_of(path)
    public |= set(LITERAL.findall(code)) | set(re.findall(r"\b(?:TRP|TROUPE)_\w+\b", code))
    public |= {name for name in re.findall(r"\btrp_\w+\b", text_of(os.path.join(source, HOST)))}
    private = set(PRIVATE.findall(code))
    shown = [(path, text_of(path)) for path in documents(source, build)]
    shown += [(path, comments_of(path, text)) for path, text in texts.items()]
    for path, text in shown:
        for pattern, known in ((PUBLIC, public), (PRIVATE, private)):
            for match in pattern.finditer(re.sub(r"^\.Dt .*", "", text, flags=re.M)):
                is_beginning = match[0].endswith("_") or text[match.end() : match.end() + 1] in ("*", "<")
                if match[0] not in known and not is_beginning:
                    yield "%s: %s does not exist" % (path, match[0])
        for name in FILE.findall(text):
            if not os.path.exists(os.path.join(source, name)) and not os.path.exists(os.path.join(build, name)):
                yield "%s: there is no %s" % (path, name)


def wrong_references(source, build):
    """Manual pages that others refer to as ours and that do not exist; marks of what is not finished."""
    paths = list(documents(source, build))
    pages = {tuple(os.path.basename(path).rsplit(".", 1)) for path in paths}
    for path in paths:
        text = text_of(path)
        for match in XR.finditer(text) if path[-1].isdigit() else []:
            page = (match[1] or match[3], match[2] or match[4])
            if page not in pages and page[0].startswith(("troupe", "trp_", "TRP_")):
                yield "%s: there is no %s(%s)" % (path, *page)
        for match in MARK.finditer(text):
            yield "%s: '%s'" % (path, match[0])


def main():
    source, build = map(os.path.abspath, sys.argv[1:3])
    wrong = [*wrong_pages(source, build), *wrong_links(build), *wrong_manual(build), *wrong_examples(source)]
    wrong += [*unknown_names(source, build), *wrong_references(source, build)]
    for line in dict.fromkeys(wrong):
        print(line.replace(source + "/", "").replace(build + "/", ""))
    pages = len(glob.glob(build + "/docs/man3/*.3"))
    print("%d manual pages, %d wrong" % (pages, len(wrong)))
    return 1 if wrong or pages == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

"""headers.py - reads Troupe's public headers: their sections, what is declared in them, and the comments on it.

It knows the way in which our headers are written, not C: a comment belongs to the declarations that follow it without an empty
line between; "--- title ---" begins a section; names that end with '_' are private. What it makes of them (pages) is mdoc.py's
and html.py's.
"""

import re
from dataclasses import dataclass, field

NAME = re.compile(r"\b(?:trp_[a-z0-9_]*[a-z0-9]|TRP_[A-Z0-9_]*[A-Z0-9]|DL[A-Z][A-Za-z]+)\b")
PRIVATE = re.compile(r"_$|^(?:TROUPE|TRP_EACH|TRP_COUNT|TRP_API|TRP_0|TRP_PRINTF|DLPACK_DLPACK)")
SECTION = re.compile(r"^-{3,} *(.*?)(?: -+)?$")
ITEM = re.compile(r"^ {2,3}(\S.*?)(?: {2,})(\S.*)$")
X_ROW = re.compile(r'X\((\w+), (\d+), "([^"]*)"\)|/\* (.*?) \*/')


# ------------------------------------------------------------------------------------------------------------- comments


@dataclass
class Block:
    """A part of a comment: 'text' (a paragraph), 'code' (lines), or 'list' ([(term, text)])."""

    kind: str
    content: object


def blocks_of(text):
    """The paragraphs, lists and examples of a comment, from its lines without their stars."""
    blocks, state = [], None
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        item = ITEM.match(line)
        if not line.strip():
            state = "code" if state == "code" else None
            if state == "code":
                blocks[-1].content.append("")
        elif indent == 0:
            if state != "text":
                blocks.append(Block("text", ""))
            blocks[-1].content = (blocks[-1].content + " " + line.strip()).strip()
            state = "text"
        elif state == "list" and not item:
            term, old = blocks[-1].content[-1]
            blocks[-1].content[-1] = (term, old + " " + line.strip())
        elif item and state != "code":
            if state != "list":
                blocks.append(Block("list", []))
            blocks[-1].content.append(item.groups())
            state = "list"
        else:
            if state != "code":
                blocks.append(Block("code", []))
            blocks[-1].content.append(line[4:])
            state = "code"
    for block in blocks:
        while block.kind == "code" and not block.content[-1]:
            block.content.pop()
    return blocks


def comment_text(source):
    """What is between the marks of a comment, its stars taken off."""
    lines = source[2:-2].strip("\n").splitlines()
    lines = [re.sub(r"^ ?\* ?|^ {3}", "", line) if number or source[2] == "\n" else line for number, line in enumerate(lines)]
    return "\n".join(line.rstrip() for line in lines).strip("\n").strip()


def sentences(text):
    """The sentences of a paragraph. One ends at .!? and a blank before a capital, a quote, a bracket or `code`."""
    return [part for part in re.split(r'(?<=[.!?])(?<!\betc\.) (?=[A-Z("`\'])', text) if part]


# ---------------------------------------------------------------------------------------------------------- declarations


@dataclass
class Member:
    """A field of a struct, a constant of an enum, or a row that says something about the next ones (name "")."""

    name: str
    code: str
    text: str = ""


@dataclass
class Declaration:
    kind: str  # function, inline, macro, type, callback
    name: str
    code: str  # as it stands in the header, without body and attributes
    result: str = ""
    parameters: list = field(default_factory=list)
    members: list = field(default_factory=list)  # of a struct or an enum whose members are plain
    text: str = ""  # the comment behind it

    @property
    def is_call(self):
        return self.kind in ("function", "inline", "callback") or (self.kind == "macro" and bool(self.parameters))

    @property
    def is_enum(self):
        return self.kind == "type" and re.match(r"(?:typedef )?enum", self.code) is not None

    @property
    def parameter_names(self):
        return [re.sub(r"\W+$", "", text).split()[-1].lstrip("*") for text in self.parameters if text != "..."]


@dataclass
class Group:
    """Declarations and the comment on them."""

    text: str = ""
    declarations: list = field(default_factory=list)
    aliases: list = field(default_factory=list)  # names that the comment is about, declared elsewhere

    @property
    def names(self):
        return [declaration.name for declaration in self.declarations] + self.aliases

    @property
    def exported(self):
        return any(declaration.kind == "function" for declaration in self.declarations)


@dataclass
class Section:
    title: str
    is_part: bool  # of the section before it
    text: str = ""
    groups: list = field(default_factory=list)


@dataclass
class Header:
    file: str  # "runtime.h"
    about: str = ""
    text: str = ""
    sections: list = field(default_factory=list)

    @property
    def groups(self):
        return [group for section in self.sections for group in section.groups]

    @property
    def declarations(self):
        return [declaration for group in self.groups for declaration in group.declarations]


def as_c(text):
    """The header as a C compiler sees it: without what is for C++ alone, nor the marks of clang-format."""
    lines, skipping = [], []
    for line in text.splitlines():
        if re.match(r"\s*/\* clang-format (on|off) \*/$", line):
            continue
        if re.match(r"#\s*(if|ifdef|ifndef)\b", line):
            skipping.append(line.split() == ["#ifdef", "__cplusplus"])
            continue
        if re.match(r"#\s*else\b", line):
            if "__cplusplus" not in line and skipping:
                skipping[-1] = not skipping[-1] if skipping[-1] else line
            continue
        if re.match(r"#\s*endif\b", line):
            skipping.pop()
            continue
        if not any(skipping):
            lines.append(line)
    return "\n".join(lines)


def chunks(text):
    """(kind, source, line after an empty line, comment behind it): comments, macros and declarations from top to bottom."""
    at = 0
    while at < len(text):
        blank = re.compile(r"\s*").match(text, at).group()
        at += len(blank)
        if at == len(text):
            return
        begin = at
        if text.startswith("/*", at):
            kind, at = "comment", text.index("*/", at) + 2
        elif text[at] == "#":
            kind, at = "macro", re.compile(r"(?:[^\n]*\\\n)*[^\n]*").match(text, at).end()
        else:
            kind, depth = "declaration", 0
            while True:
                if text.startswith("/*", at):
                    at = text.index("*/", at) + 2
                    continue
                depth += {"{": 1, "}": -1}.get(text[at], 0)
                at += 1
                if depth == 0 and (text[at - 1] == ";" or (text[at - 1] == "}" and text[at : at + 1] == "\n")):
                    break
        if kind == "macro" and text.count("/*", begin, at) > text.count("*/", begin, at):
            at = text.index("*/", at) + 2
        source, behind = text[begin:at], ""
        if kind == "macro" and source.endswith("*/") and "\\\n" not in source:
            source, behind = source[: source.index("/*")].rstrip(), source[source.index("/*") :]
        following = re.compile(r"[ \t]*(/\*.*?\*/)[ \t]*(?=\n|$)", re.S).match(text, at)
        if kind == "declaration" and following:
            at, behind = following.end(), following[1]
        yield kind, source, "\n\n" in blank, comment_text(behind) if behind else ""


def one_line(code):
    return re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", " ", code, flags=re.S)).strip()


def split_parameters(text):
    """Of "int a, void (*f)(int, int)" the two."""
    parts, depth, last = [], 0, ""
    for c in text:
        depth += {"(": 1, ")": -1}.get(c, 0)
        if c == "," and depth == 0:
            parts.append(last.strip())
            last = ""
        else:
            last += c
    return [part for part in parts + [last.strip()] if part]


def macro(source):
    match = re.match(r"#\s*define\s+(\w+)(\(([^)]*)\))?[ \t]*(.*)$", source, re.S)
    if match is None or PRIVATE.search(match[1]):
        return None
    parameters = split_parameters(match[3] or "")
    body = match[4].strip()
    code = "#define %s%s" % (match[1], match[2] or "")
    if "\n" not in body and len(body) < 40 and not parameters:
        code += " " + body
    found = Declaration("macro", match[1], code, parameters=[name.rstrip("_") for name in parameters])
    if re.match(r"X\(", body.lstrip("\\\n ")):
        for name, number, text, above in X_ROW.findall(body):
            found.members.append(Member("", "", above) if above else Member(name, "%s = %s" % (name, number), text))
    return found


def members_of(body, between):
    """The fields (ended by ';') or constants (',') between the braces of a type; none where one is a struct itself."""
    found = []
    if "{" in body:
        return found
    for comment, code in re.findall(r"(/\*.*?\*/)|((?:[^%s/]|/(?!\*))+)" % between, body, re.S):
        code = re.sub(r" ?\bTRP_0\b", "", one_line(code))
        if comment and found:
            found[-1].text = " ".join((found[-1].text + " " + comment_text(comment)).split())
        elif code and not re.search(r"\w\(", code):
            name = re.search(r"\(\*(\w+)\)", code) or re.match(r"(\w+)\s*=", code) or re.search(r"(\w+)(?:\[\w+\])?$", code)
            found.append(Member(name[1], code))
    return [member for member in found if not PRIVATE.search(member.name)]


def declaration(source):
    flat = one_line(source)
    for attribute in (r"TRP_API ", r"TRP_CHECKED ", r" TRP_PRINTF\([^)]*\)", r"\s*TRP_0\b"):
        flat = re.sub(attribute, "", flat)
    inline = re.match(r"static inline (.*?)\s*\{.*\}$", flat)
    prototype = re.sub(r"\* (?=\w)", "*", inline[1] if inline else flat.rstrip(";")).strip()
    call = re.match(r"(typedef )?([\w *]+?[ *])(\w+)\s*\((.*)\)$", prototype)
    if call and "{" not in prototype:
        kind = "callback" if call[1] else "inline" if inline else "function"
        parameters = [] if call[4] == "void" else split_parameters(call[4])
        return Declaration(kind, call[3], prototype + ";", call[2].strip(), parameters)
    named = re.search(r"\}\s*(\w+)\s*;$", flat) or re.match(r"(?:typedef )?(?:struct|enum) \w+ (\w+);$", flat)
    named = named or re.match(r"struct (\w+) \{", flat)
    if named is None:
        return None
    found = Declaration("type", named[1], re.sub(r"\bTRP_0\s*;", ";", re.sub(r"\s+TRP_0\b", "", source)))
    if "{" in source:
        between = "," if found.is_enum else ";"
        found.members = members_of(source[source.index("{") + 1 : source.rindex("}")], between)
    return found


# ---------------------------------------------------------------------------------------------------------------- headers


class Reader:
    """Puts a header together from its chunks."""

    def __init__(self, file):
        self.header = Header(file)
        self.section = Section("", False)
        self.header.sections.append(self.section)
        self.comment = None  # one that no declaration has followed yet
        self.group = None  # that a declaration without an empty line before it belongs to

    def loose(self):
        """A comment that is on no declaration: of the section."""
        if self.comment:
            self.section.text = (self.section.text + "\n\n" + self.comment).strip("\n")
        self.comment = None

    def on_comment(self, text, after_blank):
        del after_blank
        self.loose()
        first, _, rest = text.partition("\n")
        title = SECTION.match(first)
        self.group = None
        if not self.header.about:
            match = re.match(r"troupe/\S+ - (.*?)(?:\n\n|$)(.*)$", text, re.S)
            self.header.about, self.header.text = " ".join(match[1].split()), match[2]
        elif title:
            self.begin(re.sub(r" ?-+$", "", title[1]), first.startswith("--- "), rest.strip("\n"))
        else:
            self.comment = text

    def begin(self, title, is_part, text):
        """A section; what follows the first of ,:; in the title of a part is said of it."""
        if is_part:
            title, _, more = re.match(r"([^,:;]+)([,:;] )?(.*)$", title).groups()
            text = "\n\n".join(part for part in (more[:1].upper() + more[1:] + "." * bool(more), text) if part)
        self.section = Section(title, is_part, text)
        self.header.sections.append(self.section)

    def on_declaration(self, found, after_blank, behind):
        if self.comment is not None and after_blank:
            self.loose()
        if found is None or PRIVATE.search(found.name):
            return
        found.text = " ".join(behind.split())
        if self.group is None or (after_blank and self.group.declarations):
            self.group = Group(self.comment or "")
            self.comment = None
            self.section.groups.append(self.group)
        self.group.declarations.append(found)


def drop_forward(headers):
    """A type that is only named here and declared or described elsewhere counts there."""
    full = {d.name for header in headers for d in header.declarations if d.kind == "type" and "{" in d.code}
    full |= {name for header in headers for group in header.groups for name in group.aliases}
    for header in headers:
        for section in header.sections:
            for group in section.groups:
                group.declarations = [
                    d for d in group.declarations if d.kind != "type" or "{" in d.code or d.name not in full
                ]
            section.groups = [group for group in section.groups if group.declarations]


def read(path, file):
    with open(path, encoding="utf-8") as source:
        text = as_c(source.read())
    reader = Reader(file)
    for kind, source, after_blank, behind in chunks(text):
        if kind == "comment":
            reader.on_comment(comment_text(source), after_blank)
        elif kind == "macro":
            reader.on_declaration(macro(source), after_blank, behind)
        elif not source.startswith("extern"):
            reader.on_declaration(declaration(source), after_blank, behind)
    reader.loose()
    return reader.header


def read_all(directory, files):
    """All headers, with the types that a comment on something else describes ("trp_ref: ...") among that group's names."""
    headers = [read("%s/%s" % (directory, file), file) for file in files]
    types = {d.name for header in headers for d in header.declarations if d.kind == "type"}
    for header in headers:
        for group in header.groups:
            for name in re.findall(r"^(trp_\w+): ", group.text):
                if name in types and name not in group.names:
                    group.aliases.append(name)
            for declaration_ in group.declarations:  # the enum that is made of the rows of a macro
                uses = re.search(r"\{\s*(\w+)\(", declaration_.code) if declaration_.kind == "type" else None
                rows = uses and next((d for g in header.groups for d in g.declarations if d.name == uses[1]), None)
                if rows:
                    declaration_.members = rows.members
    for header in headers:
        for section in header.sections:
            section.groups = [group for group in section.groups if not merged(header, group)]
    drop_forward(headers)
    return headers


def merged(header, group):
    """Puts an enum without a comment to the table that it is made of: whether it did."""
    if group.text or len(group.declarations) != 1 or group.declarations[0].kind != "type":
        return False
    uses = re.search(r"\{\s*(\w+)\(", group.declarations[0].code)
    for other in header.groups:
        if uses and other is not group and uses[1] in other.names:
            other.declarations = group.declarations + other.declarations
            return True
    return False

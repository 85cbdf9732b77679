"""mdoc.py - the reference as manual pages of section 3, in mdoc(7)."""

import re

from headers import blocks_of, sentences
from pages import files_of, header_page_name, mentioned

CODE = re.compile(r"\bTRP_E[A-Z]+\b")
EXAMPLE = re.compile(r"`[^`]*`|^    .*$", re.M)
ERROR = re.compile(r"^((?:TRP_E[A-Z]+(?:, )?)+)( [^:.]*)?(?:: (.*)|\.)$", re.S)
CORE = re.compile(r"^([(]?)(.*?)([.,;:)?!]*)$")


# ------------------------------------------------------------------------------------------------------------------ text


def escaped(text):
    return text.replace("\\", "\\e").replace('"', "\\(dq").replace("'", "\\(aq").replace("-", "\\-" if text[:1] == "-" else "-")


def safe(line):
    """A line of text that does not begin as a request does."""
    return "\\&" + line if line[:1] in (".", "'") else line


class Writer:
    """Text with the names in it marked; `own` are those of the page itself."""

    def __init__(self, found, names, page):
        self.found, self.page, self.own = found, page, set(page.names)
        self.kinds, self.files = names, files_of(found)
        self.parameters = {name for declaration in page.declarations for name in declaration.parameter_names}
        self.lines = []

    def macro(self, core):
        """The macro that a word is, or None."""
        if core.startswith("`") and core.strip("`*") in self.parameters:
            return ".Fa %s" % core.strip("`")
        if core.startswith("`"):
            return '.Ql "%s"' % escaped(core.strip("`"))
        kind = self.kinds.get(core)
        if kind is None:
            return None
        if core not in self.own and core in self.found and self.found[core] is not self.page:
            if core in self.files:
                return ".Xr %s 3" % core
        if kind in ("function", "inline"):
            return ".Fn %s" % core
        return ".Vt %s" % core if kind == "type" else ".Dv %s" % core

    def text(self, text):
        """A paragraph, each sentence on lines of its own."""
        for sentence in sentences(text):
            words = []
            for word in re.findall(r"[(]?`[^`]*`\S*|\S+", sentence):
                lead, core, trail = CORE.match(word).groups()
                macro = self.macro(core) if core else None
                if macro is None:
                    words.append(word)
                    continue
                self.flush(words)
                name, _, rest = macro.partition(" ")
                self.lines.append(" ".join([name] + ["("] * bool(lead) + [rest] + list(trail)))
            self.flush(words)

    def flush(self, words):
        line = ""
        for word in words:
            if len(line) + len(word) > 78:
                self.lines.append(safe(escaped(line)))
                line = ""
            line = (line + " " + word).strip()
        if line:
            self.lines.append(safe(escaped(line)))
        words.clear()

    def code(self, lines):
        self.lines += [".Bd -literal -offset indent"] + [safe(escaped(line)) for line in lines] + [".Ed"]

    def items(self, rows):
        """[(term as mdoc, text)]"""
        self.lines.append(".Bl -tag -width Ds")
        for term, text in rows:
            self.lines.append(".It " + term)
            self.text(text)
        self.lines.append(".El")

    def comment(self, text):
        first = True
        for block in blocks_of(text):
            if block.kind == "text":
                if not first:
                    self.paragraph()
                self.text(block.content)
            elif block.kind == "code":
                self.code(block.content)
            else:
                self.items([('Sy "%s"' % escaped(term), what) for term, what in block.content])
            first = False

    def paragraph(self):
        last = self.lines[-1]
        if not last.startswith((".Sh", ".Ss", ".Pp", ".Bl", ".It")):
            self.lines.append(".Pp")


# ---------------------------------------------------------------------------------------------------------------- errors


def errors_of(texts):
    """({code: what its sentence says}, the texts without the paragraphs that are about errors alone)."""
    rows, rest = {}, []
    for text in texts:
        kept = []
        for paragraph in text.split("\n\n"):
            last, only = None, True
            for number, sentence in enumerate(sentences(" ".join(paragraph.split()))):
                match = ERROR.match(sentence)
                if match:
                    last = [match[1], match[2] or "", match[3] or ""]
                    for code in CODE.findall(match[1]):
                        rows[code] = last
                elif last is not None and only and number > 0:
                    last[2] += " " + sentence
                else:
                    only = False
            if not (only and last is not None):
                kept.append(paragraph)
        rest.append("\n\n".join(kept))
    for text in texts:
        for code in CODE.findall(EXAMPLE.sub("", text)):  # those of examples are anybody's
            rows.setdefault(code, None)
    return rows, rest


def put_errors(writer, rows, texts, holds_everywhere):
    """The section on errors; codes that are said in passing have their own text."""
    writer.lines.append(".Sh ERRORS")
    calls = [declaration for declaration in writer.page.declarations if declaration.is_call]
    failing = [declaration.name for declaration in calls if declaration.result == "trp_err"]
    if len(failing) < len(calls) and rows:
        writer.lines += ["Those of"] + [".Fn %s ," % name for name in failing[:-1]] + [".Fn %s :" % failing[-1]]
    done, items = [], []
    for code, row in rows.items():
        if row is None:
            items.append((code, texts[code]))
        elif row not in done:
            done.append(row)
            said = (row[1] + " " if row[1] else "") + (row[2] or texts[CODE.match(row[0])[0]])
            items.append((row[0], said.strip()))
    if items:
        rows = []
        for codes, text in items:
            text = text[:1].upper() + text[1:] + ("" if text.endswith((".", ")")) else ".")
            rows.append(("Bq Er %s" % codes.replace(", ", " , Er "), text))
        writer.items(rows)
    if holds_everywhere:
        writer.lines += [".Pp"] * bool(items)
        writer.lines += ["What any call may return is in", ".Xr %s 3 ." % holds_everywhere]


# ----------------------------------------------------------------------------------------------------------------- pages


def put_prototype(writer, declaration):
    lines = writer.lines
    if declaration.kind == "type":
        keyword = re.match(r"(?:typedef )?(struct|enum)", declaration.code)[1]
        lines.append('.Vt "typedef %s ... %s" ;' % (keyword, declaration.name))
    elif declaration.kind == "macro" and not declaration.parameters:
        lines.append('.Fd "%s"' % escaped(declaration.code))
    else:
        if declaration.kind == "callback":
            lines.append('.Ft "typedef %s"' % declaration.result)
        elif declaration.result:
            lines.append('.Ft "%s"' % declaration.result)
        lines.append(".Fo %s" % declaration.name)
        lines += ['.Fa "%s"' % parameter for parameter in declaration.parameters]
        if declaration.kind != "macro" and not declaration.parameters:
            lines.append(".Fa void")
        lines.append(".Fc")


def mark_of(declaration):
    return "Fn" if declaration.is_call else "Vt" if declaration.kind == "type" else "Dv"


def put_members(writer, declaration):
    """The fields of a struct, the constants of an enum, or the type as it stands."""
    if not declaration.members:
        if "{" in declaration.code:
            writer.code(declaration.code.splitlines())
        return
    constants = declaration.is_enum
    writer.paragraph()
    writer.lines += ["The %s of" % ("constants" if constants else "fields"), ".Vt %s :" % declaration.name]
    open_list = False
    for member in declaration.members:
        if not member.name:
            writer.lines += [".El"] * open_list + [".Pp"]
            writer.text(member.text)
            open_list = False
            continue
        writer.lines += [] if open_list else [".Bl -tag -width Ds"]
        open_list = True
        codes = [escaped(member.code)] if constants else escaped(member.code).split(", ")
        writer.lines.append(".It " + " , ".join('%s "%s"' % ("Dv" if constants else "Fa", code) for code in codes))
        writer.text(member.text)
    writer.lines += [".El"] * open_list


def put_description(writer, page, texts):
    lines = writer.lines
    lines.append(".Sh DESCRIPTION")
    if page.section is not None and page.section.text:
        writer.comment(page.section.text)
    listed = page.section is not None
    for group, text in zip(page.groups, texts):
        names = [declaration for declaration in group.declarations]
        if listed and (text or any(declaration.text for declaration in names)):
            lines.append(".Pp")
            calls = [".%s %s" % (mark_of(declaration), declaration.name) for declaration in names]
            lines += [call + " ," for call in calls[:-1]] + [calls[-1] + " :"]
        if text:
            writer.comment(re.sub(r"^trp_(\w+): (\w)", lambda m: "trp_%s is " % m[1] + m[2], text))
        for declaration in group.declarations:
            if declaration.text and not listed:
                writer.paragraph()
                lines.append(".%s %s :" % (mark_of(declaration), declaration.name))
            if declaration.text:
                writer.text(declaration.text)
            if declaration.kind == "type":
                put_members(writer, declaration)


VALUE = re.compile(r"\btrp_value \w+[,);]")


def takes_values(page):
    """Whether something on it wants a value that its caller builds."""
    return page.header.file != "base.h" and any(
        VALUE.search(declaration.code) for declaration in page.declarations if declaration.kind in ("function", "type")
    )


def put_see_also(writer, page, texts):
    found = writer.found
    texts = texts + ["TRP_V"] * takes_values(page)
    names = {found[name].name for name in mentioned(texts) if name in found} | {header_page_name(page.header), "troupe"}
    names.discard(page.name)
    rows = [(name, "3") for name in names] + [("troupe", "7")]
    rows.sort(key=lambda row: (row[1], row[0].lower(), row[0]))
    writer.lines.append(".Sh SEE ALSO")
    writer.lines += [".Xr %s %s ," % row for row in rows[:-1]] + [".Xr %s %s" % rows[-1]]


def head(page, date):
    lines = [".Dd " + date, ".Dt %s 3" % page.name.upper(), ".Os", ".Sh NAME"]
    names = [page.name] + [name for name in page.names if name != page.name]
    lines += [".Nm %s ," % name for name in names[:-1]] + [".Nm " + names[-1]]
    lines += [".Nd " + escaped(page.about.rstrip("."))]
    lines += [".Sh LIBRARY", "libtroupe", ".Pq Ql pkg\\-config troupe", ".Sh SYNOPSIS", ".In troupe/%s" % page.header.file]
    return lines


def declarations_page(page, found, kinds, codes, date):
    writer = Writer(found, kinds, page)
    writer.lines = head(page, date)
    for declaration in page.declarations:
        put_prototype(writer, declaration)
    texts = [group.text for group in page.groups]
    returns = any(declaration.result == "trp_err" for declaration in page.declarations)
    rows, rest = errors_of(texts) if returns else ({}, texts)
    put_description(writer, page, rest)
    everywhere = header_page_name(page.header) if page.header.file != "base.h" else None
    if everywhere in ("troupe_module", "troupe_testing"):
        everywhere = "troupe_runtime"
    if returns and (rows or everywhere):
        put_errors(writer, rows, codes, everywhere)
    said = [declaration.code + declaration.text for declaration in page.declarations] + texts
    if page.section:
        said += [page.section.text] + [name for group in page.section.groups for name in group.names]
    put_see_also(writer, page, said + ([everywhere] if everywhere else []))
    return writer.lines


def listed(page, files):
    """The names on a page for a list of pages, its own first."""
    return [page.name] + [name for name in page.names if name != page.name and name in files]


def header_page(page, found, kinds, pages, date):
    writer = Writer(found, kinds, page)
    lines = writer.lines = head(page, date)
    lines.append(".Sh DESCRIPTION")
    writer.comment(page.header.text or page.about[:1].upper() + page.about[1:] + ".")
    own = [other for other in pages if other.header is page.header and other.groups]
    for section in page.header.sections:
        rows = []
        for group in section.groups:
            for other in own:
                if group in other.groups and other not in [row for row, _ in rows]:
                    rows.append((other, other.about))
        bare = [d for group in section.groups for d in group.declarations if found.get(d.name) is page]
        if not rows and not bare:
            continue
        lines.append(".Ss " + escaped(section.title[:1].upper() + section.title[1:] if section.title else "What is declared"))
        if section.text and not section.is_part:
            writer.comment(section.text)
        if rows:
            lines.append(".Bl -tag -width Ds")
        for other, about in rows:
            lines.append(".It " + " , ".join("Xr %s 3" % name for name in listed(other, writer.files)))
            writer.text(about[:1].upper() + about[1:].rstrip(".") + ".")
        lines += [".El"] * bool(rows)
        for declaration in bare:
            if "{" in declaration.code:
                put_members(writer, declaration)
            else:
                writer.paragraph()
                lines.append('.Dl "%s"' % escaped(declaration.code))
                writer.text(declaration.text)
    put_see_also(writer, page, [page.header.text] + [header_page_name(other.header) for other in pages])
    return lines


def link_targets(headers, found):
    """{name: page} of all that `man` finds: also the macros that are called as a function is, constants, and codes of errors."""
    targets = {name: page for name, page in found.items() if not name.startswith("DL")}
    for declaration in (d for header in headers for d in header.declarations):
        for member in declaration.members if declaration.kind == "macro" or declaration.is_enum else []:
            if member.name and not member.name.startswith("kDL"):
                targets.setdefault(member.name, found[declaration.name])
    return targets


def write_pages(headers, pages, found, date):
    """{file's name: its text}"""
    kinds = {d.name: d.kind for header in headers for d in header.declarations}
    kinds.update({member.name: "constant" for header in headers for d in header.declarations for member in d.members
                  if d.kind != "type" or d.is_enum})
    kinds.update({name: "type" for header in headers for group in header.groups for name in group.aliases})
    codes = {member.name: member.text for header in headers for d in header.declarations for member in d.members}
    files = {}
    for page in pages:
        if page.groups:
            lines = declarations_page(page, found, kinds, codes, date)
        else:
            lines = header_page(page, found, kinds, pages, date)
        files[page.name + ".3"] = "\n".join(lines) + "\n"
    for name, page in sorted(link_targets(headers, found).items()):
        files.setdefault(name + ".3", ".so man3/%s.3\n" % page.name)
    return files

"""web.py - the reference for browsers: a page for each header, everything in the order in which it is declared there, and an
index of all names. Plain HTML, readable without scripts and without style.
"""

import html
import re

from headers import blocks_of

WORD = re.compile(r"`([^`]*)`|\b(?:trp_\w*[a-z0-9]|TRP_\w*[A-Z0-9]|DL[A-Z]\w+|kDL\w+|[a-z]+\.h)\b")
STYLE = """body { max-width: 56em; margin: 2em auto; padding: 0 1em; font: 1em/1.5 sans-serif; color: #222; background: #fff; }
pre, code, dt { font-family: monospace; }
pre { background: #f4f4f2; padding: .6em .8em; overflow-x: auto; line-height: 1.35; }
h3 { margin: 2em 0 .3em; font: 1em monospace; font-weight: bold; }
dd { margin-bottom: .4em; }
a { color: #0b5394; text-decoration: none; }
a:hover { text-decoration: underline; }
nav, footer { font-size: .9em; color: #555; }
ul.names { columns: 3 14em; list-style: none; padding: 0; font-family: monospace; }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #181818; }
  pre { background: #242424; }
  a { color: #8ab4f8; }
  nav, footer { color: #aaa; }
}
"""


class Links:
    def __init__(self, headers):
        self.at = {}  # name -> "file.html#anchor"
        self.macros = {d.name for header in headers for d in header.declarations if d.kind == "macro"}
        for header in headers:
            self.at[header.file] = file_of(header)
            for group in header.groups:
                for name in anchors(group, self.macros):
                    self.at.setdefault(name, "%s#%s" % (file_of(header), name))

    def of(self, name, own=()):
        if name not in self.at or name in own:
            return html.escape(name)
        return '<a href="%s">%s</a>' % (self.at[name], name)

    def text(self, text):
        parts, last = [], 0
        for match in WORD.finditer(text):
            parts.append(html.escape(text[last : match.start()]))
            code = match[1]
            parts.append("<code>%s</code>" % self.code(code) if code is not None else self.of(match[0]))
            last = match.end()
        return "".join(parts) + html.escape(text[last:])

    def code(self, text, own=()):
        parts, last = [], 0
        for match in re.finditer(r"\b(?:trp_|TRP_|DL|kDL)\w+\b", text):
            parts += [html.escape(text[last : match.start()]), self.of(match[0], own)]
            last = match.end()
        return "".join(parts) + html.escape(text[last:])


def file_of(header):
    return header.file[:-2] + ".html"


def anchors(group, macros=()):
    """The names that a group has anchors for: those declared in it, what it describes, and the constants of its enums. A macro
    that is called as a constant is has the anchor."""
    names = list(group.names)
    for declaration in group.declarations:
        if declaration.kind != "type" or declaration.is_enum:
            names += [member.name for member in declaration.members if member.name and member.name not in macros]
    return list(dict.fromkeys(names))


def comment(links, text):
    out = []
    for block in blocks_of(text):
        if block.kind == "text":
            out.append("<p>%s</p>" % links.text(block.content))
        elif block.kind == "code":
            out.append("<pre>%s</pre>" % links.code("\n".join(block.content)))
        else:
            out += ["<dl>"] + ["<dt>%s</dt><dd>%s</dd>" % (html.escape(term), links.text(what)) for term, what in block.content]
            out.append("</dl>")
    return out


def shown(links, declaration, own):
    """A declaration as the header has it; of tables of codes, what they are."""
    code = declaration.code
    if declaration.kind == "type" and re.search(r"\{\s*[A-Z_]+\(", code):
        return None
    if declaration.kind in ("function", "callback", "inline") and len(code) > 100:
        begin = code.index("(") + 1
        code = code[:begin] + ",\n".join(
            ("" if at == 0 else " " * min(begin, 24)) + parameter for at, parameter in enumerate(declaration.parameters)
        ) + ");"
    line = links.code(code, own)
    if declaration.text:
        line += " /* %s */" % links.text(declaration.text)
    return line


def group_html(links, group):
    names = anchors(group, links.macros)
    rows = next((d.members for d in group.declarations if d.kind == "macro" and d.members), [])
    listed = {member.name for member in rows}
    out = ['<h3 id="%s">%s</h3>' % (names[0], ", ".join(group.names))]
    marks = "".join('<a id="%s"></a>' % name for name in names[1:] if name not in listed)
    lines = [shown(links, declaration, names) for declaration in group.declarations]
    out.append("%s<pre>%s</pre>" % (marks, "\n".join(line for line in lines if line is not None)))
    out += comment(links, group.text)
    if rows:
        out.append("<dl>")
        for member in rows:
            code = '<dt id="%s">%s</dt>' % (member.name, member.code) if member.name else ""
            out.append(code + "<dd>%s</dd>" % links.text(member.text) if code else "</dl><p>%s</p><dl>" % links.text(member.text))
        out.append("</dl>")
    return out


def frame(title, nav, body):
    head = '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    head += '<meta name="viewport" content="width=device-width">\n'
    head += "<title>%s</title>\n<style>\n%s</style>\n</head>\n<body>\n" % (html.escape(title), STYLE)
    return head + "<nav>%s</nav>\n" % nav + "\n".join(body) + "\n</body>\n</html>\n"


def nav_of(headers, current):
    rows = ["index" if current is None else '<a href="index.html">index</a>']
    for header in headers:
        rows.append(header.file if header is current else '<a href="%s">%s</a>' % (file_of(header), header.file))
    return " &middot; ".join(rows)


def header_html(links, headers, header):
    body = ["<h1>troupe/%s</h1>" % header.file, "<p>%s</p>" % links.text(header.about[:1].upper() + header.about[1:])]
    body += comment(links, header.text)
    for section in header.sections:
        if not section.groups:
            continue
        if section.title:
            body.append("<h2>%s</h2>" % html.escape(section.title[:1].upper() + section.title[1:]))
        body += comment(links, section.text)
        for group in section.groups:
            body += group_html(links, group)
    return frame("troupe/%s" % header.file, nav_of(headers, header), body)


def index_html(links, headers, version):
    body = ["<h1>Troupe %s: reference</h1>" % html.escape(version), "<dl>"]
    for header in headers:
        body.append('<dt><a href="%s">troupe/%s</a></dt><dd>%s</dd>' % (file_of(header), header.file, links.text(header.about)))
    body.append("</dl>")
    kinds = {d.name: d.kind for header in headers for d in header.declarations}
    for title, wanted in (
        ("Functions", ("function", "inline", "callback")),
        ("Types", ("type",)),
        ("Macros", ("macro",)),
        ("Constants", (None,)),
    ):
        names = sorted(name for name, at in links.at.items() if "#" in at and not name.startswith(("DL", "kDL"))
                       and (kinds.get(name, "type" if name.islower() else None) in wanted))
        body.append('<h2>%s</h2>\n<ul class="names">' % title)
        body += ["<li>%s</li>" % links.of(name) for name in names] + ["</ul>"]
    body.append("<footer><p>The same is in section 3 of the manual: <code>man trp_call</code>.</p></footer>")
    return frame("Troupe %s: reference" % version, nav_of(headers, None), body)


def write_pages(headers, version):
    """{file's name: its text}"""
    links = Links(headers)
    files = {file_of(header): header_html(links, headers, header) for header in headers}
    files["index.html"] = index_html(links, headers, version)
    return files

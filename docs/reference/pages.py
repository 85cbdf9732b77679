"""pages.py - which manual page each name of the public headers is on.

A page is a commented group of declarations. Types without a comment are on the page of what uses them next, else on that of
the group before; the inline functions and macros of a part of a section share a page; what is left is on its header's page.
"""

import re
from dataclasses import dataclass, field

from headers import NAME, blocks_of, sentences


@dataclass
class Page:
    name: str
    header: object
    about: str
    groups: list = field(default_factory=list)
    section: object = None  # of which the page has all that is not on another; None: of groups alone

    @property
    def declarations(self):
        return [declaration for group in self.groups for declaration in group.declarations]

    @property
    def names(self):
        """What `man` finds it by: not the flags and numbers, which are listed on it."""
        return [name for group in self.groups for name in group.names]


def header_page_name(header):
    return "troupe" if header.file == "troupe.h" else "troupe_" + header.file[:-2]


def about(text, fallback):
    """A line on what something is: its comment's first sentence."""
    first = next((block.content for block in blocks_of(text) if block.kind == "text"), fallback)
    line = re.sub(r"^trp_\w+: ", "", sentences(first)[0]).rstrip(".:").replace("`", "")
    if len(line) > 90:
        line = re.split(r"[;:] ", line)[0]
    return line[0].lower() + line[1:] if re.match(r"[A-Z][a-z]+ |A ", line) else line


def main_name(groups):
    """The page's name: that of its first function, else of its first type, else of its first macro."""
    declarations = [declaration for group in groups for declaration in group.declarations]
    kinds = ["function", "inline", "callback", "type", "macro"]
    return min(declarations, key=lambda declaration: kinds.index(declaration.kind)).name


def host_of(group, groups):
    """The group on whose page one without a comment is; None: the header's."""
    at = groups.index(group)
    for later in groups[at + 1 :]:
        code = " ".join(declaration.code for declaration in later.declarations)
        if (later.text or later.exported) and any(re.search(r"\b%s\b" % name, code) for name in group.names):
            return later
    return next((earlier for earlier in reversed(groups[:at]) if earlier.text), None)


def pages_of_section(header, section):
    pages, shared, guests = [], [], {}
    for group in section.groups:
        if header.file == "dlpack.h":
            continue  # another's names, listed on the header's page
        if section.is_part and not group.exported:
            shared.append(group)
        elif group.text or group.exported:
            pages.append(Page(main_name([group]), header, "", [group]))
        elif section.title:
            guests[id(group)] = host_of(group, section.groups)
    for group in section.groups:
        host = guests.get(id(group))
        for page in pages:
            if host in page.groups:
                page.groups.append(group)
    for page in pages:
        page.about = about(next((group.text for group in page.groups if group.text), ""), section.title)
    if shared:
        made = [group for group in shared if any(d.is_call and d.kind == "macro" for d in group.declarations)]
        what = section.title + " values" * (" " not in section.title)
        pages.append(Page(main_name(made or shared), header, what, shared, section))
    return pages


def pages_of(headers):
    """All pages, those of headers first; and {name: page}."""
    pages, found = [], {}
    for header in headers:
        pages.append(Page(header_page_name(header), header, header.about))
        for section in header.sections:
            pages += pages_of_section(header, section)
    for page in pages:
        for name in page.names:
            found[name] = page
    for page in pages[:]:
        if not page.groups:
            own = [name for group in page.header.groups for name in group.names if name not in found]
            found.update({name: page for name in own})
    return pages, found


def files_of(found):
    """The names that have a file of their own: not macros that are called as a function is, where case does not count, nor
    another's types."""
    lower = {name for name in found if name.islower()}
    own = {page.name for page in found.values()}
    return own | {name for name in found if name.lower() not in lower - {name} and not name.startswith("DL")}


def mentioned(texts):
    return {name for text in texts for name in NAME.findall(text)}

"""One chapter: from bytes to XHTML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from argosy.errors import TransferError
from argosy_epub.attributes import ANCHOR, LANGUAGE, Attributes
from argosy_epub.bounds import TooComplex, tree_of
from argosy_epub.cleaning import Cleaner
from argosy_epub.content import adopted
from argosy_epub.decoding import decoded
from argosy_epub.elements import HEADINGS
from argosy_epub.foreign import settled
from argosy_epub.kinds import Role
from argosy_epub.members import BookFile, Members, References
from argosy_epub.pages import page
from argosy_epub.styles import LARGEST_SHEET, clean_sheet, media_wanted
from argosy_epub.tree import MATHML, SVG, XHTML, XLINK, Element, escaped, line, written

# XHTML may close an element in its start tag; an HTML parser would read on inside it, so it gets an end tag
_XHTML = re.compile(
    r"(?:<!--(?:(?!-->).)*+-->|<!DOCTYPE(?![^>]*XHTML)[^>]*>|\s)*+(?:<\?xml\b|<!DOCTYPE|<html[^>]*\bxmlns\s*=)",
    re.I | re.S,
)
_CLOSED = re.compile(r"<([A-Za-z][\w.-]*)((?:\s+[\w:.-]+(?:\s*=\s*(?:\"[^\"<]*\"|'[^'<]*'))?)*)\s*/>")
_VOID = re.compile(r"(?:area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr)\Z", re.I)
_LONGEST_TITLE = 300
_TO_DECLARE = (("mathml", MATHML), ("svg", SVG))


@dataclass(slots=True)
class Chapter:
    """A cleaned chapter."""

    member: BookFile
    draft: Path  # its text; the links in it are not resolved yet
    title: str
    language: str  # empty if unknown
    ids: set[str]
    #: Id and text of the headings listed in the table of contents.
    headings: list[tuple[str, str]] = field(default_factory=list)
    properties: tuple[str, ...] = ()  # for the package document (EPUB 3.3 section 5.6.2)
    empty: bool = False  # has no visible content
    unstyled: bool = False  # has a style sheet that is too large


# id and text of the headings listed in the table of contents
# for the package document (EPUB 3.3 section 5.6.2)
def read_chapter(
    member: BookFile,
    members: Members,
    scratch: Path,
    titles: Mapping[str, str],
    language: str,
) -> Chapter:
    """Clean one chapter and write its draft; raise TransferError if its markup is too complex."""
    try:
        document = parsed(decoded(member.file.read_bytes()))
    except TooComplex as error:
        raise TransferError(
            f"The EPUB cannot include the chapter {member.path!r}: {error}.",
            kind="content",
            hint="Use another output for this item.",
        ) from None
    references = References(members, member)
    html = next((node for node in document.children if node.name == "html"), document)
    head = _Head(html, references)
    attributes = Attributes(references)
    cleaner = Cleaner(attributes)
    own = next((node for node in html.children if node.name in {"body", "frameset"}), None)
    body = Element("body", attributes.of("body", "body", own.attrs) if own is not None else {})
    body.children = adopted(cleaner.children(own.children if own is not None else [], ("body",)))
    settled(body)
    ids = {element.attributes["id"] for element in body.elements() if "id" in element.attributes}
    headings = _headings(body, ids)
    title = titles.get(member.path) or _title(headings, head.title, member.path)
    spoken = attributes.language(attributes.plain(html.attrs or {})).get("lang") or language
    draft = scratch / f"{member.name}.draft"
    draft.write_text(page(title, body, language=spoken, sheets=head.sheets, css=head.css), "utf-8")
    return Chapter(
        member,
        draft,
        title,
        spoken if LANGUAGE.match(spoken) else "",
        ids,
        _listed(headings, title),
        tuple(name for name, space in _TO_DECLARE if any(e.namespace == space for e in body.elements())),
        empty=not body.text().strip() and not any(e.name in {"img", "svg", "audio", "video"} for e in body.elements()),
        unstyled=head.unstyled,
    )


def finished(chapter: Chapter, chapters: Mapping[int, Chapter]) -> bytes:
    """Return the XHTML of a chapter, with links only to places that exist."""

    def resolved(found: re.Match[str]) -> str:
        target, place = chapters[int(found[1])], found[2]
        there = place in target.ids
        if target is chapter and not there:
            return ""
        return f' href="{"" if target is chapter else target.member.name}{f"#{place}" if there else ""}"'

    return ANCHOR.sub(resolved, chapter.draft.read_text("utf-8")).encode()


def drawing(member: BookFile, members: Members) -> bytes | None:
    """Return a clean SVG file, or None if there is no drawing in it; raise TooComplex if its markup is too complex."""
    document = parsed(decoded(member.file.read_bytes()))
    found = next((node for node in _nodes(document) if node.name == "svg" and node.namespace == "svg"), None)
    if found is None:
        return None
    cleaner = Cleaner(Attributes(References(members, member)))
    made = cleaner.children([found], ())
    if not made or not isinstance(made[0], Element):
        return None
    settled(made[0])
    if any("xlink:href" in element.attributes for element in made[0].elements()):
        made[0].attributes = {"xmlns:xlink": XLINK, **made[0].attributes}
    made[0].attributes = {"xmlns": SVG, **made[0].attributes}
    return f'<?xml version="1.0" encoding="utf-8"?>\n{written(made[0], SVG)}\n'.encode()


def parsed(text: str) -> Any:  # untyped if the extra is not installed
    """Return the document that a browser would create from a text, XHTML or not."""
    if _XHTML.match(text[:4096]):
        text = _without_cdata(text)
        text = _CLOSED.sub(
            lambda found: found[0] if _VOID.match(found[1]) else f"<{found[1]}{found[2]}></{found[1]}>", text
        )
    return tree_of(text)


def _without_cdata(text: str) -> str:
    """Return a text with its CDATA sections (XML 1.0 section 2.7) as ordinary text."""
    first, *rest = text.split("<![CDATA[")
    for part in rest:
        inside, end, after = part.partition("]]>")
        first += f"{escaped(inside)}{after}" if end else f"<![CDATA[{part}"
    return first


class _Head:
    """The contents of a document's head, even if they are elsewhere: title, base, styles."""

    def __init__(self, html: Any, references: References) -> None:
        self.title = ""
        self.unstyled = False
        self.sheets: list[str] = []
        styles: list[str] = []
        nodes = [n for n in _nodes(html) if n.name in {"title", "base", "link", "style"} and n.namespace == "html"]
        for node in nodes:  # it applies to the elements before it, too (HTML, section 4.2.3)
            if node.name == "base" and node.attrs.get("href"):
                references.rebase(node.attrs["href"])
                break
        for node in nodes:
            if node.name == "title":
                self.title = self.title or line(node.to_text())
            elif node.name == "style" and media_wanted(node.attrs.get("media") or ""):
                text = "".join(child.data or "" for child in node.children if child.name == "#text")
                self.unstyled = self.unstyled or len(text) > LARGEST_SHEET
                styles.append(clean_sheet(text, references.style_address))
            elif node.name == "link" and _is_sheet(node.attrs):
                found = references.file(node.attrs.get("href") or "", {Role.STYLE})
                if found is not None and found.name not in self.sheets:
                    self.sheets.append(found.name)
        self.css = "".join(styles)


def _is_sheet(attrs: Mapping[str, str | None]) -> bool:
    words = (attrs.get("rel") or "").lower().split()
    return "stylesheet" in words and "alternate" not in words and media_wanted(attrs.get("media") or "")


def _nodes(root: Any) -> Iterator[Any]:
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        if node.name not in {"template", "#text"}:
            stack.extend(reversed(node.children or []))


def _headings(body: Element, ids: set[str]) -> list[tuple[int, str, str]]:
    """Return level, id and text of all headings; add missing ids."""
    found: list[tuple[int, str, str]] = []
    number = 1
    for element in body.elements():
        if element.name in HEADINGS and element.namespace == XHTML and (text := line(element.text())):
            own = element.attributes.get("id")
            number = max(number, len(found) + 1)  # skips numbers that are taken
            while own is None:
                own = f"heading-{number}"
                if own in ids:
                    own, number = None, number + 1
            element.attributes.setdefault("id", own)
            ids.add(own)
            found.append((HEADINGS.index(element.name) + 1, own, text[:_LONGEST_TITLE]))
    return found


def _title(headings: list[tuple[int, str, str]], title: str, path: str) -> str:
    """Return the title of a chapter; its heading comes first, since page titles often repeat the book's."""
    first = next((text for level, _, text in headings if level == 1), "")
    return (first or title or (headings[0][2] if headings else "") or line(PurePosixPath(path).stem))[:_LONGEST_TITLE]


def _listed(headings: list[tuple[int, str, str]], title: str) -> list[tuple[str, str]]:
    """Return the headings below the title: those of the highest remaining level."""
    rest = headings[1:] if headings and headings[0][2] == title else headings
    top = min((level for level, _, _ in rest), default=0)
    return [(own, text) for level, own, text in rest if level == top]

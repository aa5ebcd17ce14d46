"""The package document and the tables of contents (EPUB 3.3 sections 5 and 7; EPUB 2 for old readers)."""

from __future__ import annotations

from collections.abc import Sequence

from argosy_epub.chapters import Chapter
from argosy_epub.members import BookFile
from argosy_epub.metadata import Metadata
from argosy_epub.pages import READING, page
from argosy_epub.tree import Child, Element, written

CONTAINER = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
    '<rootfiles><rootfile full-path="EPUB/package.opf" media-type="application/oebps-package+xml"/></rootfiles>'
    "</container>\n"
)
_OPF = "http://www.idpf.org/2007/opf"
_DC = "http://purl.org/dc/elements/1.1/"
_NCX = "http://www.daisy.org/z3986/2005/ncx/"
COVER_PAGE = "cover.xhtml"


def package(
    metadata: Metadata,
    language: str,
    chapters: Sequence[Chapter],
    members: Sequence[BookFile],
    cover: BookFile | None,
    *,
    cover_page: bool,
) -> str:
    """Return the package document; `cover` is the cover image, and `cover_page` whether it has its own page."""
    manifest: list[Child] = [
        _entry("nav", "nav.xhtml", "application/xhtml+xml", "nav"),
        _entry("ncx", "toc.ncx", "application/x-dtbncx+xml"),
        _entry("reading", READING, "text/css"),
    ]
    spine: list[Child] = []
    if cover_page:
        manifest.append(_entry("cover", COVER_PAGE, "application/xhtml+xml"))
        spine.append(Element("itemref", {"idref": "cover"}, [], _OPF))
    for chapter in chapters:
        own = chapter.member
        manifest.append(_entry(_id(own), own.name, own.kind.media_type, " ".join(chapter.properties)))
        spine.append(Element("itemref", {"idref": _id(own)}, [], _OPF))
    for member in members:
        properties = "cover-image" if member is cover else ""
        manifest.append(_entry(_id(member), member.name, member.kind.media_type, properties))
    root = Element("package", {"xmlns": _OPF, "version": "3.0", "unique-identifier": "id"}, [], _OPF)
    root.attributes["xml:lang"] = language
    root.children = [
        _metadata(metadata, language, cover),
        Element("manifest", {}, _lines(manifest), _OPF),
        Element("spine", {"toc": "ncx"}, _lines(spine), _OPF),
    ]
    return _document(root)


def _metadata(known: Metadata, language: str, cover: BookFile | None) -> Element:
    parts = [
        _dc("identifier", known.identifier, "id"),
        _dc("title", known.title, "title"),
        _dc("language", language),
        Element("meta", {"property": "dcterms:modified"}, [known.modified], _OPF),
    ]
    for number, name in enumerate(known.authors, 1):
        parts.append(_dc("creator", name, f"creator-{number}"))
        role = {"refines": f"#creator-{number}", "property": "role", "scheme": "marc:relators"}
        parts.append(Element("meta", role, ["aut"], _OPF))
    parts += [_dc("contributor", name) for name in known.contributors]
    parts += [_dc("subject", name) for name in known.subjects]
    single = {
        "publisher": known.publisher,
        "date": known.date,
        "description": known.description,
        "rights": known.rights,
        "source": known.source,
    }
    parts += [_dc(name, text) for name, text in single.items() if text]
    if known.series:
        parts.append(Element("meta", {"property": "belongs-to-collection", "id": "series"}, [known.series], _OPF))
        parts.append(Element("meta", {"refines": "#series", "property": "collection-type"}, ["series"], _OPF))
        if known.position:
            place = {"refines": "#series", "property": "group-position"}
            parts.append(Element("meta", place, [known.position], _OPF))
    if cover is not None:  # for readers of EPUB 2
        parts.append(Element("meta", {"name": "cover", "content": _id(cover)}, [], _OPF))
    return Element("metadata", {"xmlns:dc": _DC}, _lines(parts), _OPF)


def navigation(title: str, heading: str, language: str, chapters: Sequence[Chapter], *, cover: bool) -> str:
    """Return the navigation document (EPUB 3.3 section 7)."""
    listing = Element("ol")
    for chapter in chapters:
        item = Element("li", {}, [_link(chapter.member.name, chapter.title)])
        if chapter.headings:
            inner = [Element("li", {}, [_link(f"{chapter.member.name}#{own}", text)]) for own, text in chapter.headings]
            item.children += ["\n", Element("ol", {}, _lines(inner))]
        listing.children += ["\n", item]
    contents = Element("nav", {"epub:type": "toc", "id": "toc"}, [Element("h1", {}, [heading]), listing])
    body = Element("body", {}, [contents])
    if cover:
        places = [Element("li", {}, [_link(COVER_PAGE, "Cover", "cover")])]
        places.append(Element("li", {}, [_link(chapters[0].member.name, chapters[0].title, "bodymatter")]))
        landmarks = {"epub:type": "landmarks", "id": "landmarks", "hidden": "hidden"}
        body.children.append(Element("nav", landmarks, [Element("ol", {}, list(places))]))
    return page(title, body, language=language)


def old_contents(metadata: Metadata, language: str, chapters: Sequence[Chapter], *, cover: bool) -> str:
    """Return the table of contents for readers of EPUB 2 (OPF 2.0.1 section 2.4.1)."""
    points: list[Child] = []
    if cover:
        points.append(_point(1, "Cover", COVER_PAGE, []))
    number = len(points)
    for chapter in chapters:
        number += 1
        own = number
        inner: list[Child] = []
        for anchor, text in chapter.headings:
            number += 1
            inner.append(_point(number, text, f"{chapter.member.name}#{anchor}", []))
        points.append(_point(own, chapter.title, chapter.member.name, inner))
    depth = 2 if any(chapter.headings for chapter in chapters) else 1
    head = {
        "dtb:uid": metadata.identifier,
        "dtb:depth": str(depth),
        "dtb:totalPageCount": "0",
        "dtb:maxPageNumber": "0",
    }
    root = Element("ncx", {"xmlns": _NCX, "version": "2005-1", "xml:lang": language}, [], _NCX)
    root.children = [
        Element("head", {}, [Element("meta", {"name": n, "content": c}, [], _NCX) for n, c in head.items()], _NCX),
        Element("docTitle", {}, [Element("text", {}, [metadata.title], _NCX)], _NCX),
        Element("navMap", {}, _lines(points), _NCX),
    ]
    return _document(root)


def cover_page(title: str, language: str, picture: BookFile) -> str:
    """Return the cover page."""
    image = Element("img", {"src": picture.name, "alt": title, "style": "max-width: 100%; max-height: 100%"})
    body = Element("body", {"epub:type": "cover", "style": "margin: 0; padding: 0; text-align: center"}, [])
    body.children = [Element("div", {}, [image])]
    return page(title, body, language=language)


def _document(root: Element) -> str:
    return f'<?xml version="1.0" encoding="utf-8"?>\n{written(root, root.namespace)}\n'


def _lines(elements: Sequence[Child]) -> list[Child]:
    return [part for element in elements for part in ("\n", element)]


def _dc(name: str, text: str, own: str = "") -> Element:
    return Element(f"dc:{name}", {"id": own} if own else {}, [text], _OPF)


def _entry(own: str, name: str, media_type: str, properties: str = "") -> Element:
    entry = Element("item", {"id": own, "href": name, "media-type": media_type}, [], _OPF)
    if properties:
        entry.attributes["properties"] = properties
    return entry


def _id(member: BookFile) -> str:
    return member.name.partition(".")[0]


def _link(address: str, text: str, kind: str = "") -> Element:
    return Element("a", {"href": address, **({"epub:type": kind} if kind else {})}, [text])


def _point(number: int, title: str, address: str, inner: list[Child]) -> Element:
    label = Element("navLabel", {}, [Element("text", {}, [title], _NCX)], _NCX)
    content = Element("content", {"src": address}, [], _NCX)
    return Element("navPoint", {"id": f"p{number}", "playOrder": str(number)}, [label, content, *inner], _NCX)

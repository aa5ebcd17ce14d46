"""XHTML documents and the style they share."""

from __future__ import annotations

from collections.abc import Sequence

from argosy_epub.tree import EPUB, XHTML, XLINK, Element, written

READING = "reading.css"
#: Pages cannot scroll: break code lines and shrink images. It follows all other styles.
READING_STYLE = """\
pre { white-space: pre-wrap !important; overflow-wrap: break-word }
img, svg, video { max-width: 100% }
img { height: auto }
"""


def page(title: str, body: Element, *, language: str, sheets: Sequence[str] = (), css: str = "") -> str:
    """Return an XHTML document that uses the named style sheets and its own `css`."""
    head = Element("head", {}, [Element("meta", {"charset": "utf-8"}), Element("title", {}, [title or "-"])])
    head.children += [_sheet(name) for name in sheets]
    if css:
        head.children.append(Element("style", {"type": "text/css"}, [css]))
    head.children.append(_sheet(READING))
    spoken = {"lang": language, "xml:lang": language} if language else {}
    spaces = {"xmlns": XHTML, "xmlns:epub": EPUB}
    if any("xlink:href" in element.attributes for element in body.elements()):
        spaces["xmlns:xlink"] = XLINK
    html = Element("html", {**spaces, **spoken}, [head, "\n", body])
    return f'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html>\n{written(html, XHTML)}\n'


def _sheet(name: str) -> Element:
    return Element("link", {"rel": "stylesheet", "type": "text/css", "href": name})

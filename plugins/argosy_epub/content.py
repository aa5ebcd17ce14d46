"""Fixes the nesting of elements: browsers tolerate what readers of XHTML reject.

It only renames and wraps elements; no text is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from argosy_epub import tables
from argosy_epub.elements import (
    FLOW,
    HEADINGS,
    INLINE,
    LOOKS,
    PLACED,
    TRANSPARENT,
    VOID,
)
from argosy_epub.tree import XHTML, Child, Element

_SPAN_LOOKS = {
    "pre": "display: block; white-space: pre-wrap",
    "li": "display: list-item",
    "dd": "display: block",
}


def fitted(element: Element, parent: str = "") -> Element:
    """Return a valid element for a place inside `parent`; its children are valid already."""
    if element.namespace != XHTML:
        return element
    name = element.name
    if name in VOID:
        element.children = []
    elif name in INLINE or name in {"p", "pre"}:
        _in_line(element)
    elif name in HEADINGS or name in {"summary", "rt", "rp"}:
        element.children = inlined(element.children)
    elif name in _SHAPES:
        _SHAPES[name](element)
    elif name in FLOW or name in TRANSPARENT:
        element.children = adopted(element.children, ("dt", "dd") if parent == "dl" else ())
    return element


def is_block(child: Child) -> bool:
    """Return whether something cannot be part of a line of text."""
    if isinstance(child, str) or child.namespace != XHTML:
        return False
    if child.name in TRANSPARENT:
        return any(is_block(inner) for inner in child.children)
    return child.name not in INLINE and child.name not in {"br", "wbr", "img", "ruby", "rt", "rp"}


def adopted(children: Iterable[Child], own: Iterable[str] = ()) -> list[Child]:
    """Return children for a place that takes anything: an ``li`` without a list becomes a ``div``, unless in `own`."""
    taken: list[Child] = []
    for child in children:
        if isinstance(child, Element) and child.namespace == XHTML and child.name in PLACED and child.name not in own:
            if child.name in {"col", "colgroup"}:
                continue
            child = _renamed(child, "span" if child.name in {"rt", "rp"} else "div")
            child.children = adopted(child.children)  # the rows of a table part
        taken.append(child)
    return taken


def inlined(children: Iterable[Child]) -> list[Child]:
    """Return children as parts of a line of text: blocks become spans styled as blocks."""
    return [_in_a_line(child) for child in children]


def _in_a_line(child: Child) -> Child:
    if isinstance(child, str) or child.namespace != XHTML or not (is_block(child) or child.name in {"rt", "rp"}):
        return child
    if child.name == "hr":
        return _renamed(child, "br")
    child.children = inlined(child.children)
    if child.name in TRANSPARENT:
        return child
    look = "" if child.name in {"td", "th", "rt", "rp"} else _SPAN_LOOKS.get(child.name, "display: block")
    return _renamed(child, "span", look)


def _renamed(element: Element, name: str, look: str = "") -> Element:
    kept = {"id", "class", "title", "lang", "xml:lang", "dir", "style", "epub:type"}
    element.attributes = {key: value for key, value in element.attributes.items() if key in kept}
    if look:
        add_look(element, look)
    element.name = name
    if name in VOID:
        element.children = []
    return element


def add_look(element: Element, look: str) -> None:
    """Put declarations before those in an element's ``style``, which take precedence."""
    own = element.attributes.get("style")
    element.attributes["style"] = f"{look}; {own}" if own else look


def _in_line(element: Element) -> None:
    """Turn an element for text lines into a ``div`` if it contains blocks."""
    element.children = [
        _renamed(child, "span") if isinstance(child, Element) and child.name in {"rt", "rp"} else child
        for child in element.children
    ]
    if any(is_block(child) for child in element.children):
        element.children = adopted(element.children)
        _renamed(element, "div", LOOKS.get(element.name, ""))


def _list(element: Element) -> None:
    kept: list[Child] = []
    for child in element.children:
        if isinstance(child, str) and not child.strip():
            continue
        if isinstance(child, Element) and child.name == "li" and child.namespace == XHTML:
            if element.name == "ul":
                child.attributes.pop("value", None)
            kept.append(child)
            continue
        last = kept[-1] if kept else None
        if not isinstance(last, Element):
            last = Element("li", {"style": "list-style-type: none"})
            kept.append(last)
        last.children += adopted([child])
    element.children = kept


def _definitions(element: Element) -> None:
    """Group the children of a ``dl`` by ``dt`` and ``dd``."""
    flat: list[Child] = []
    for child in element.children:
        group = isinstance(child, Element) and any(_is(inner, "dt", "dd") for inner in child.children)
        flat += child.children if group and isinstance(child, Element) else [child]
    kept: list[Element] = []
    for child in flat:
        if isinstance(child, str) and not child.strip():
            continue
        if isinstance(child, Element) and _is(child, "dt", "dd"):
            if child.name == "dd" and not kept:
                kept.append(Element("dt"))
            kept.append(child)
        elif kept and kept[-1].name == "dd":
            kept[-1].children += adopted([child])
        else:
            kept += [] if kept else [Element("dt")]
            kept.append(Element("dd", {}, adopted([child])))
    if kept and kept[-1].name == "dt":
        kept.append(Element("dd"))
    element.children = list(kept)


def _figure(element: Element) -> None:
    children = [child for child in element.children if not isinstance(child, str) or child.strip()]
    captions = [child for child in children if _is(child, "figcaption")]
    right = len(captions) == 1 and captions[0] in (children[0], children[-1])
    element.children = adopted(element.children, ("figcaption",) if right else ())


def _details(element: Element) -> None:
    children = [child for child in element.children if not isinstance(child, str) or child.strip()]
    if not children or not _is(children[0], "summary"):
        element.children = adopted(children)
        _renamed(element, "div")
        return
    element.children = [children[0], *adopted(children[1:])]


def _ruby(element: Element) -> None:
    """Keep a ``ruby`` only if it is plain: text, then ``rt``, with or without ``rp`` around it, repeated."""
    shape = "".join(
        {"rt": "t", "rp": "p"}.get(child.name, "x") if isinstance(child, Element) else "x"
        for child in element.children
        if not isinstance(child, str) or child.strip()
    )
    rest = shape.replace("ptp", "t")
    groups = rest.split("t")
    plain = "p" not in rest and groups[-1] == "" and len(groups) > 1 and all(groups[:-1])
    if plain and not any(is_block(child) for child in element.children):
        return
    element.children = adopted(element.children)
    element.name = "span"
    _in_line(element)


def _is(child: Child, *names: str) -> bool:
    return isinstance(child, Element) and child.namespace == XHTML and child.name in names


_SHAPES: dict[str, Callable[[Element], None]] = {
    "ul": _list,
    "ol": _list,
    "dl": _definitions,
    "figure": _figure,
    "details": _details,
    "ruby": _ruby,
    "table": lambda element: tables.fit_table(element, adopted),
    "tr": lambda element: tables.fit_row(element, adopted),
    "thead": lambda element: tables.fit_rows(element, adopted),
    "tbody": lambda element: tables.fit_rows(element, adopted),
    "tfoot": lambda element: tables.fit_rows(element, adopted),
    "colgroup": lambda element: tables.fit_columns(element),
}

"""Turns tag soup into a tree of allowed elements."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from argosy_epub import foreign, media
from argosy_epub.attributes import Attributes
from argosy_epub.content import fitted
from argosy_epub.elements import DROPPED, KEPT, NOT_IN, RENAMED, VOID
from argosy_epub.styles import clean_sheet
from argosy_epub.tree import MATHML, SVG, Child, Element, legal

#: The deepest nesting kept; anything deeper moves into the last of these elements. Some readers allow only 256.
DEEPEST = 100
_FORGOTTEN = "annotation", "annotation-xml"


class Cleaner:
    """Cleans the body of one chapter, or one drawing."""

    def __init__(self, attributes: Attributes) -> None:
        self.attributes = attributes
        self._depth = 0  # includes elements of which only the children are kept

    def children(self, nodes: Iterable[Any], inside: tuple[str, ...]) -> list[Child]:
        """Return clean copies of parsed nodes inside the named elements, the outermost first."""
        self._depth += 1
        try:
            return self._children(_flat(nodes) if self._depth >= DEEPEST else nodes, inside)
        finally:
            self._depth -= 1

    def _children(self, nodes: Iterable[Any], inside: tuple[str, ...]) -> list[Child]:
        made: list[Child] = []
        texts: list[str] = []  # joined once at the end: there may be very many
        for node in nodes:
            for child in self._node(node, inside):
                if isinstance(child, str):
                    texts.append(child)
                    continue
                made += _joined(texts)
                made.append(child)
        return [*made, *_joined(texts)]

    def _node(self, node: Any, inside: tuple[str, ...]) -> list[Child]:
        if node.name == "#text":
            return [legal(node.data or "")]
        if node.name[:1] in "#!?":
            return []
        if node.namespace == "svg":
            return self._svg(node, inside)
        if node.namespace == "math":
            return self._mathml(node, inside)
        return self._html(node, inside)

    def _html(self, node: Any, inside: tuple[str, ...]) -> list[Child]:
        name = node.name
        if name in DROPPED:
            return []
        if name in media.REPLACED:
            return media.REPLACED[name](self, node, inside)
        element = self._begun(node, inside)
        if element is None:
            return self.children(node.children, inside)
        element.children = self.children(node.children, (*inside, element.name))
        return [fitted(element, inside[-1])]

    def _begun(self, node: Any, inside: tuple[str, ...]) -> Element | None:
        """Return a clean copy without its children, or None to keep only the children."""
        name = RENAMED.get(node.name, node.name)
        if name not in KEPT:
            name = "span"
        if not NOT_IN.get(name, frozenset()).isdisjoint(inside):
            name = "span" if name in {"a", "dfn"} else "div"
        attributes = self.attributes.of(node.name, name, node.attrs)
        if name == "bdo" and "dir" not in attributes:
            name = "span"
        if not attributes and ((name == "span" and node.name != "span") or name == "a"):
            return None
        return Element(name, attributes)

    def _svg(self, node: Any, inside: tuple[str, ...]) -> list[Child]:
        name = node.name
        within = inside[-1] if inside and inside[-1].startswith("svg:") else ""
        if name not in foreign.DRAWN or (not within and name != "svg"):
            return [] if name in {"script", "foreignObject", "metadata"} else self._unwrapped_svg(node, inside)
        attributes = foreign.drawing_attributes(
            name, self.attributes.plain(node.attrs), self.attributes.drawing_reference, self.attributes.drawn
        )
        if attributes is None:
            return []
        element = Element(name, {**self.attributes.identity(node.attrs), **attributes}, [], SVG)
        element.children = self.children(node.children, (*inside, f"svg:{name}"))
        if name == "style":
            element.children = [clean_sheet(element.text(), self.attributes.paint_address)]
        made = foreign.drawn(element, within.removeprefix("svg:"))
        return made if within or element.children else []

    def _unwrapped_svg(self, node: Any, inside: tuple[str, ...]) -> list[Child]:
        if node.name in {"a", "switch"} and inside and inside[-1].startswith("svg:"):
            return self.children(node.children, inside)
        return []

    def _mathml(self, node: Any, inside: tuple[str, ...]) -> list[Child]:
        name = node.name
        within = inside[-1].removeprefix("math:") if inside and inside[-1].startswith("math:") else ""
        if name in _FORGOTTEN:
            return []
        if name not in foreign.WRITTEN or (not within and name != "math"):
            return self.children(node.children, inside)
        attributes = foreign.mathematics_attributes(name, self.attributes.plain(node.attrs))
        element = Element(name, {**self.attributes.identity(node.attrs), **attributes}, [], MATHML)
        inner = self.children(node.children, (*inside, f"math:{name}"))
        element.children = [c if isinstance(c, str) or c.namespace == MATHML else c.text() for c in inner]
        return foreign.mathematics(element, within)


def _joined(texts: list[str]) -> list[str]:
    """Remove texts from the list and return them as one text, or none if they are blank."""
    text = "".join(texts)
    texts.clear()
    return [text] if text else []


def _flat(nodes: Iterable[Any]) -> list[Any]:
    """Return the texts and the empty elements in nodes, at any depth."""
    flat: list[Any] = []
    stack = list(nodes)[::-1]
    while stack:
        node = stack.pop()
        if node.name == "#text" or node.name in VOID:
            flat.append(node)
        elif node.name not in DROPPED:
            stack.extend(reversed(node.children or []))
    return flat

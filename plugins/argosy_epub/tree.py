"""An XML tree and its serializer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

XHTML = "http://www.w3.org/1999/xhtml"
SVG = "http://www.w3.org/2000/svg"
MATHML = "http://www.w3.org/1998/Math/MathML"
XLINK = "http://www.w3.org/1999/xlink"
EPUB = "http://www.idpf.org/2007/ops"

# characters that XML 1.0 forbids (section 2.2), and those that readers may take for line ends
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
_IN_TEXT = re.compile("[&<>\r]")
_IN_ATTRIBUTE = re.compile('[&<>"\t\n\r]')

Child: TypeAlias = "Element | str"


@dataclass(slots=True, eq=False)
class Element:
    """An element; a prefix (``epub:type``) is only allowed in names of attributes."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Child] = field(default_factory=list)
    namespace: str = XHTML

    def elements(self) -> Iterator[Element]:
        """Yield the element and all its descendants in document order."""
        stack = [self]
        while stack:
            element = stack.pop()
            yield element
            stack.extend(child for child in reversed(element.children) if isinstance(child, Element))

    def text(self) -> str:
        """Return its text with the original white space."""
        parts: list[str] = []
        stack: list[Child] = [self]
        while stack:
            node = stack.pop()
            if isinstance(node, str):
                parts.append(node)
            else:
                stack.extend(reversed(node.children))
        return "".join(parts)


def legal(text: str) -> str:
    """Return a text without the characters that XML forbids (XML 1.0 section 2.2) or discourages."""
    return _ILLEGAL.sub("", text)


def escaped(text: str) -> str:
    """Return a text escaped for element content."""
    return _IN_TEXT.sub(lambda found: _ESCAPES[found.group()], text)


def quoted(text: str) -> str:
    """Return a text quoted as an attribute value."""
    return f'"{_IN_ATTRIBUTE.sub(lambda found: _ESCAPES[found.group()], text)}"'


def line(text: str) -> str:
    """Return a text as one line of characters that XML allows, with single spaces."""
    return " ".join(legal(text).split())


def written(child: Child, namespace: str = "") -> str:
    """Return a node as XML; `namespace` is the default namespace at its place."""
    parts: list[str] = []
    stack: list[tuple[Child | None, str]] = [(child, namespace)]
    while stack:
        node, within = stack.pop()
        if node is None:
            parts.append(within)  # an end tag
        elif isinstance(node, str):
            parts.append(escaped(node))
        else:
            own = "" if node.namespace == within else f" xmlns={quoted(node.namespace)}"
            own += "".join(f" {name}={quoted(value)}" for name, value in node.attributes.items())
            if not node.children:
                parts.append(f"<{node.name}{own}/>")
                continue
            parts.append(f"<{node.name}{own}>")
            stack.append((None, f"</{node.name}>"))
            stack.extend((inner, node.namespace) for inner in reversed(node.children))
    return "".join(parts)

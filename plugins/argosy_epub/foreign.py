"""SVG and MathML: drawings and formulas, without scripts and references outside the book."""

from __future__ import annotations

import re
from collections.abc import Callable

from argosy_epub.members import identifier
from argosy_epub.tree import MATHML, SVG, Child, Element

_PAINT = frozenset(
    (
        "clip-path",
        "clip-rule",
        "color",
        "color-interpolation",
        "cursor",
        "display",
        "dominant-baseline",
        "fill",
        "fill-opacity",
        "fill-rule",
        "font-family",
        "font-size",
        "font-stretch",
        "font-style",
        "font-variant",
        "font-weight",
        "letter-spacing",
        "marker-end",
        "marker-mid",
        "marker-start",
        "mask",
        "opacity",
        "overflow",
        "shape-rendering",
        "stop-color",
        "stop-opacity",
        "stroke",
        "stroke-dasharray",
        "stroke-dashoffset",
        "stroke-linecap",
        "stroke-linejoin",
        "stroke-miterlimit",
        "stroke-opacity",
        "stroke-width",
        "text-anchor",
        "text-decoration",
        "text-rendering",
        "visibility",
        "word-spacing",
        "baseline-shift",
        "alignment-baseline",
    )
)
_COMMON = frozenset({"id"})
_LOOK = _COMMON | _PAINT | {"class", "style"}
_MOVED = _LOOK | {"transform"}
_GRADIENT = _LOOK | {"gradientUnits", "gradientTransform", "spreadMethod", "xlink:href"}
_TEXT = _LOOK | {"x", "y", "dx", "dy", "rotate", "textLength", "lengthAdjust"}
_BOX = frozenset({"x", "y", "width", "height"})

#: The elements of SVG 1.1 that are kept, with their attributes.
DRAWN = {
    "svg": _LOOK | _BOX | {"viewBox", "preserveAspectRatio"},
    "g": _MOVED,
    "defs": _MOVED,
    "symbol": _LOOK | {"viewBox", "preserveAspectRatio"},
    "use": _MOVED | _BOX | {"xlink:href"},
    "image": _MOVED | _BOX | {"preserveAspectRatio", "xlink:href"},
    "path": _MOVED | {"d", "pathLength"},
    "rect": _MOVED | _BOX | {"rx", "ry"},
    "circle": _MOVED | {"cx", "cy", "r"},
    "ellipse": _MOVED | {"cx", "cy", "rx", "ry"},
    "line": _MOVED | {"x1", "y1", "x2", "y2"},
    "polyline": _MOVED | {"points"},
    "polygon": _MOVED | {"points"},
    "text": _TEXT | {"transform"},
    "tspan": _TEXT,
    "textPath": _LOOK | {"xlink:href", "startOffset", "method", "spacing"},
    "title": _COMMON,
    "desc": _COMMON,
    "style": _COMMON,
    "linearGradient": _GRADIENT | {"x1", "y1", "x2", "y2"},
    "radialGradient": _GRADIENT | {"cx", "cy", "r", "fx", "fy"},
    "stop": _LOOK | {"offset"},
    "clipPath": _MOVED | {"clipPathUnits"},
    "mask": _LOOK | _BOX | {"maskUnits", "maskContentUnits"},
    "pattern": _LOOK | _BOX | {"patternUnits", "patternContentUnits", "patternTransform", "viewBox", "xlink:href"},
    "marker": _LOOK | {"refX", "refY", "markerWidth", "markerHeight", "markerUnits", "orient", "viewBox"},
}
_WITH_TEXT = frozenset({"text", "tspan", "textPath", "title", "desc", "style"})
_EMPTY = frozenset({"stop", "use", "image", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon"})
#: Attributes without which an element has no meaning.
_REQUIRED = {
    "rect": ("width", "height"),
    "image": ("width", "height", "xlink:href"),
    "circle": ("r",),
    "ellipse": ("rx", "ry"),
    "path": ("d",),
    "polyline": ("points",),
    "polygon": ("points",),
    "stop": ("offset",),
    "use": ("xlink:href",),
    "textPath": ("xlink:href",),
}
_PARENTS = {
    "tspan": {"text", "tspan", "textPath"},
    "textPath": {"text"},
    "stop": {"linearGradient", "radialGradient"},
}

_GRADIENTS = frozenset({"linearGradient", "radialGradient", "pattern"})
_TARGETS = {"use": _EMPTY - {"stop"} | {"svg", "g", "symbol", "text"}, "textPath": frozenset({"path"})}
_PART = re.compile(r"""url\(\s*["']?#([^"')\s]+)["']?\s*\)\s*\Z""")

_ROWS = frozenset({"math", "mrow", "mstyle", "merror", "mpadded", "mphantom", "mtd", "msqrt"})
_TOKENS = frozenset({"mi", "mn", "mo", "mtext", "ms"})
#: The elements of Presentation MathML 3 with a fixed number of children (section 3.1.3.2).
_FIXED = {
    "mfrac": 2,
    "mroot": 2,
    "msub": 2,
    "msup": 2,
    "munder": 2,
    "mover": 2,
    "msubsup": 3,
    "munderover": 3,
}
_TABLES = {"mtable": "mtr", "mtr": "mtd"}
WRITTEN = _ROWS | _TOKENS | set(_FIXED) | set(_TABLES) | {"mspace", "mfenced", "menclose"}
_MATH_VALUES = {
    "display": {"block", "inline"},
    "mathvariant": {
        *("normal", "bold", "italic", "bold-italic", "double-struck", "script", "bold-script", "fraktur"),
        *("bold-fraktur", "sans-serif", "bold-sans-serif", "sans-serif-italic", "monospace"),
    },
    **{
        key: {"true", "false"}
        for key in ("stretchy", "fence", "separator", "largeop", "movablelimits", "symmetric", "accent")
    },
    **{key: {"true", "false"} for key in ("accentunder", "displaystyle")},
}
_MATH_PLACES = {
    "display": {"math"},
    "mathvariant": _TOKENS,
    "accent": {"mo", "mover", "munderover"},
    "accentunder": {"munder", "munderover"},
    "displaystyle": {"mstyle", "mtable", "math"},
    **{key: {"mo"} for key in ("stretchy", "fence", "separator", "largeop", "movablelimits", "symmetric")},
}


def drawing_attributes(
    name: str,
    attributes: dict[str, str],
    refer: Callable[[str, str], str | None],
    style: Callable[[str], str],
) -> dict[str, str] | None:
    """Return the attributes to keep of an SVG element, or None if a required one is missing.

    `refer` resolves a reference of an element (its name and the address), and `style` cleans declarations.
    """
    kept: dict[str, str] = {}
    address = attributes.get("href") or attributes.get("xlink:href")
    if address is not None and "xlink:href" in DRAWN[name]:
        target = refer(name, address.strip())
        if target is not None:
            kept["xlink:href"] = target
    for key, value in attributes.items():
        if key not in DRAWN[name] or key in {"xlink:href", "id"}:
            continue
        if key == "style":
            value = style(value)
        elif key in _PAINT and (part := _PART.match(value.strip())):
            value = f"url(#{identifier(part[1])})"
        elif key in _PAINT and "(" in value:
            value = style(f"{key}: {value}").partition(": ")[2]
        if value.strip():
            kept[key] = value.strip()
    return kept if all(key in kept for key in _REQUIRED.get(name, ())) else None


def drawn(element: Element, parent: str) -> list[Child]:
    """Return an SVG element with its children in order, or only the children if it is not allowed."""
    if element.name not in _WITH_TEXT:
        element.children = [child for child in element.children if not isinstance(child, str)]
    if element.name in _EMPTY:
        element.children = [child for child in element.children if _is(child, "title", "desc")]
    if element.name in {"title", "desc", "style"}:
        text = element.text()
        element.children = [text] if text.strip() else []
        return [element] if element.children else []
    if parent in _PARENTS.get(element.name, {parent}):
        return [element]
    return []


def settled(root: Element) -> None:
    """Remove references to parts of drawings that are missing or would draw themselves again."""
    parts = {element.attributes["id"]: element for element in root.elements() if "id" in element.attributes}
    for element in root.elements():
        address = element.attributes.get("xlink:href", "")
        if address[:1] != "#" or element.namespace != SVG:
            continue
        target = parts.get(address[1:])
        wanted = _TARGETS.get(element.name, _GRADIENTS)
        if target is not None and target.namespace == SVG and target.name in wanted:
            continue
        element.name = {"use": "g", "textPath": "tspan"}.get(element.name, element.name)
        element.attributes = {key: v for key, v in element.attributes.items() if key in DRAWN[element.name]}
        element.attributes.pop("xlink:href", None)


def mathematics_attributes(name: str, attributes: dict[str, str]) -> dict[str, str]:
    """Return the attributes to keep of a MathML element."""
    kept = {}
    for key, value in attributes.items():
        right = value.strip().lower()
        if key in _MATH_VALUES and name in _MATH_PLACES[key] and right in _MATH_VALUES[key]:
            kept[key] = right
        elif key == "alttext" and name == "math":
            kept[key] = value
    return kept


def mathematics(element: Element, parent: str) -> list[Child]:
    """Return a MathML element with exactly the children it must have."""
    name = element.name
    if name == "mspace":
        element.children = []
        return [element]
    if name in _TOKENS:
        element.children = [element.text()]
        return [element]
    children = [
        Element("mtext", {}, [child.strip()], MATHML) if isinstance(child, str) else child
        for child in element.children
        if not isinstance(child, str) or child.strip()
    ]
    if name in _TABLES:
        children = [child if child.name == _TABLES[name] else _table_part(_TABLES[name], child) for child in children]
    if name in _FIXED:
        count = _FIXED[name]
        if len(children) > count:
            children = [*children[: count - 1], Element("mrow", {}, list(children[count - 1 :]), MATHML)]
        children += [Element("mrow", {}, [], MATHML) for _ in range(count - len(children))]
    element.children = list(children)
    if name in {"mtr", "mtd"} and parent not in {"mtable", "mtr"}:
        element.name = "mrow"
    if name == "math" and parent:
        element.name, element.attributes = "mrow", {}
    return [element]


def _table_part(name: str, child: Element) -> Element:
    cell = child if child.name == "mtd" else Element("mtd", {}, [child], MATHML)
    return cell if name == "mtd" else Element("mtr", {}, [cell], MATHML)


def _is(child: Child, *names: str) -> bool:
    return isinstance(child, Element) and child.namespace == SVG and child.name in names

"""Puts tables in the order that HTML requires: caption, columns, head, bodies, foot."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from argosy_epub.tree import XHTML, Child, Element

_Adopt = Callable[[Iterable[Child]], list[Child]]


def fit_table(table: Element, adopt: _Adopt) -> None:
    """Sort the parts of a table; anything else becomes a row."""
    captions: list[Child] = []
    columns: list[Child] = []
    head: list[Child] = []
    bodies: list[Child] = []
    foot: list[Child] = []
    for child in table.children:
        if _empty(child):
            continue
        name = child.name if isinstance(child, Element) and child.namespace == XHTML else ""
        if name == "caption" and not captions:
            captions.append(child)
        elif name == "colgroup":
            columns.append(child)
        elif name == "thead" and not head and not bodies:
            head.append(child)
        elif name == "tfoot" and not foot:
            foot.append(child)
        elif name in {"tbody", "thead", "tfoot"} and isinstance(child, Element):
            child.name = "tbody"
            bodies.append(child)
        elif name == "col":
            columns.append(Element("colgroup", {}, [child]))
        else:
            row = child if name == "tr" else _row([child], adopt)
            if not bodies or not isinstance(bodies[-1], Element):
                bodies.append(Element("tbody"))
            body = bodies[-1]
            if isinstance(body, Element):
                body.children.append(row)
    table.children = [*captions, *columns, *head, *bodies, *foot]


def fit_rows(group: Element, adopt: _Adopt) -> None:
    """Keep the rows of a table part; anything else becomes one."""
    group.children = [
        child if _named(child, "tr") else _row([child], adopt) for child in group.children if not _empty(child)
    ]


def fit_row(row: Element, adopt: _Adopt) -> None:
    """Keep the cells of a row; anything else becomes one."""
    row.children = [
        child if _named(child, "td", "th") else Element("td", {}, adopt([child]))
        for child in row.children
        if not _empty(child)
    ]


def fit_columns(group: Element) -> None:
    """Keep only the columns of a column group."""
    group.children = [child for child in group.children if _named(child, "col")]
    if group.children:
        group.attributes.pop("span", None)


def _row(children: list[Child], adopt: _Adopt) -> Element:
    cells: list[Child] = children if _named(children[0], "td", "th") else [Element("td", {}, adopt(children))]
    return Element("tr", {}, cells)


def _named(child: Child, *names: str) -> bool:
    return isinstance(child, Element) and child.namespace == XHTML and child.name in names


def _empty(child: Child) -> bool:
    """Return whether a node is white space, or an empty element that the parser left between the parts."""
    if isinstance(child, str):
        return not child.strip()
    parts = {"caption", "col", "colgroup", "thead", "tbody", "tfoot", "tr", "td", "th", "img", "table"}
    return child.name not in parts and not child.children and child.namespace == XHTML

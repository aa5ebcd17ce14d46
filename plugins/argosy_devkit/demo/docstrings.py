"""Reads the documentation in source files without importing them."""

from __future__ import annotations

import ast
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_LONGEST_SIGNATURE = 240
_Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Entry:
    """A documented module, class, method or function.

    `name` is dotted, within its module; `signature` is as in the source, without ``def`` and the result's annotation; `text`
    is the documentation without common indentation.
    """

    kind: str
    name: str
    signature: str
    text: str


def source_of(module: str, library: Path | None = None) -> Path | None:
    """Return the source file of a standard library module, or None if this Python has none."""
    base = (library or Path(sysconfig.get_paths()["stdlib"])).joinpath(*module.split("."))
    for file in (base.with_name(f"{base.name}.py"), base / "__init__.py"):
        if file.is_file():
            return file
    return None


def entries(module: str, library: Path | None = None) -> list[Entry]:
    """Return the documentation of a module in source order, the module first; empty without source or documentation."""
    file = source_of(module, library)
    if file is None:
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in old docstrings
            tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    found = list(_members(tree.body, "", inside_class=False))
    text = _doc(tree)
    if not found and not text:
        return []
    return [Entry("module", module, "", text), *found]


def _members(body: list[ast.stmt], prefix: str, *, inside_class: bool) -> Iterator[Entry]:
    seen: set[str] = set()
    for node in _definitions(body):
        name = f"{prefix}{node.name}"
        if not _is_public(node.name) or name in seen:
            continue
        text = _doc(node)
        if isinstance(node, ast.ClassDef):
            inside = list(_members(node.body, f"{name}.", inside_class=True))
            if text or inside:
                seen.add(name)
                bases = ", ".join(ast.unparse(base) for base in node.bases)
                yield Entry("class", name, f"class {name}({bases})" if bases else f"class {name}", text)
                yield from inside
        elif text:
            seen.add(name)
            kind = "method" if inside_class else "function"
            yield Entry(kind, name, _signature(node, name), text)


def _definitions(body: list[ast.stmt]) -> Iterator[_Definition]:
    for node in body:
        if isinstance(node, _Definition):
            yield node
        elif isinstance(node, ast.If | ast.Try):  # definitions that depend on the platform
            yield from _definitions([*node.body, *node.orelse])


def _is_public(name: str) -> bool:
    return not name.startswith("_") or (name.startswith("__") and name.endswith("__"))


def _doc(node: ast.Module | _Definition) -> str:
    return (ast.get_docstring(node) or "").expandtabs().strip("\n")


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> str:
    arguments = ast.unparse(node.args)
    if len(arguments) > _LONGEST_SIGNATURE:
        arguments = arguments[:_LONGEST_SIGNATURE].rpartition(", ")[0] + ", …"
    return f"{'async ' if isinstance(node, ast.AsyncFunctionDef) else ''}{name}({arguments})"

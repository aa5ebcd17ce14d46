"""The causes of failure: each that the program names is explained, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from argosy.toolkit.failures import UNREACHED
from documents import ROOT

#: Where each carries its cause.
_CALLS = {
    "TransferError": "kind",
    "VerificationError": "kind",
    "Refused": "kind",
    "Failure": 0,
    "_failure": 0,
}


def kinds(tree: ast.Module) -> Iterator[str]:
    """Yield the causes that a module names word for word."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            place = _CALLS.get(ast.unparse(node.func).rpartition(".")[2])
            values = [keyword.value for keyword in node.keywords if keyword.arg == place]
            if place == 0:
                values = node.args[:1]
            yield from (str(value.value) for value in values if isinstance(value, ast.Constant))
        elif isinstance(node, ast.FunctionDef) and node.name == "kind_of":
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and inner.value is not None:
                    constants = (n for n in ast.walk(inner.value) if isinstance(n, ast.Constant))
                    yield from (c.value for c in constants if isinstance(c.value, str))


def test_every_cause_is_explained() -> None:
    paths = [path for folder in ("core", "plugins") for path in (ROOT / folder).rglob("*.py")]
    trees = [ast.parse(path.read_text("utf-8")) for path in paths]
    named = {kind for tree in trees for kind in kinds(tree)}
    constants = {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    text = (ROOT / "docs" / "reference" / "causes.md").read_text("utf-8")
    explained = re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE)
    assert len(explained) == len(set(explained))
    assert named <= set(explained)
    assert set(explained) <= constants
    assert named > UNREACHED

"""Plugins import public names of argosy only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import argosy

ROOT = Path(__file__).parents[2]
PUBLIC = ("interfaces", "models", "errors", "events", "toolkit")
PACKAGES = (
    "plugins/argosy_plugins",
    "plugins/argosy_epub",
    "plugins/argosy_gateway",
    "plugins/argosy_redis",
    "plugins/argosy_report",
    "plugins/argosy_devkit/scaffold/templates",
    "docs/plugins",
)
FILES = sorted(
    path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if not path.name.startswith("test_")
)


def modules(path: Path) -> Iterator[str]:
    """Yield the absolute names of the modules that a file imports, and of argosy's own names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None  # no relative imports
            if node.module == "argosy":
                yield from (f"argosy.{alias.name}" for alias in node.names)
            else:
                yield node.module


def is_public(module: str) -> bool:
    top, _, rest = module.partition(".")
    first, *inner = rest.split(".")
    if top != "argosy" or not rest or (first in argosy.__all__ and not inner):
        return True
    return first in PUBLIC and not any(part.startswith("_") for part in inner)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_plugin_imports_public_names_only(path: Path) -> None:
    assert [module for module in modules(path) if not is_public(module)] == []


def test_there_are_plugins_to_check() -> None:
    assert len(FILES) > 50

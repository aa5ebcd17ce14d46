"""Rules of the tree that no tool checks."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from documents import ROOT

CORE = ROOT / "core"
PLUGINS = ROOT / "plugins"
#: Paths that exist on one machine only (the home of the examples' user does not); no file has them, this one neither.
_MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:(?:home|Users)/(?!ada/)|(?:root|work|tmp)/)")


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """The files that git knows."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout, so nobody knows which files belong to the tree")
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [path for name in out.split("\0") if name and (path := ROOT / name).is_file()]


def modules_of(tree: ast.Module) -> Iterator[str]:
    """Yield every module that a file imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def test_the_core_never_imports_a_plugin() -> None:
    files = sorted(CORE.rglob("*.py"))
    assert len(files) > 50
    guilty = [
        str(path.relative_to(ROOT))
        for path in files
        if any(module.partition(".")[0] == "argosy_plugins" for module in modules_of(parsed(path)))
        or 'import_module("argosy_plugins' in path.read_text("utf-8")
    ]
    assert guilty == []


def has_hook(tree: ast.Module) -> bool:
    """Return whether a module has a function that implements a hook."""
    decorators = (
        ast.unparse(decorator)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
    )
    return any(name.partition("(")[0] in ("hookimpl", "argosy.hookimpl") for name in decorators)


def test_plugin_modules_and_entry_points_are_the_same() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    registered = sorted({value.partition(":")[0] for value in project["entry-points"]["argosy"].values()})
    there = sorted(
        ".".join(path.relative_to(PLUGINS).with_suffix("").parts)
        for path in PLUGINS.rglob("*.py")
        if "argosy_devkit" not in path.parts and has_hook(parsed(path))
    )
    assert registered == there


@pytest.mark.parametrize("name", ["core", "plugins", "schemas"])
def test_no_source_root_can_be_imported(name: str, tmp_path: Path) -> None:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({name!r}) is not None)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0


def test_no_file_names_a_place_on_one_machine(tracked: list[Path]) -> None:
    found = {
        str(path.relative_to(ROOT)): match.group()
        for path in tracked
        if (match := _MACHINE_PATHS.search(path.read_text("utf-8", "replace")))
    }
    assert found == {}

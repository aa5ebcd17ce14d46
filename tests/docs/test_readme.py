"""The README's two commands, its first line, and its plugin."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from argosy.config.load import load
from argosy.engine.run import Run
from argosy.plugins.manager import PluginManager
from argosy_devkit import ServerFactory
from documents import ROOT, blocks

DEMO = "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/argosy demo"
TESTS = "python3 -m venv .venv-test && .venv-test/bin/pip install -q -e '.[test]' && .venv-test/bin/pytest"


def test_the_first_two_blocks_are_the_two_commands() -> None:
    first, second, *_ = blocks("sh", document=ROOT / "README.md")
    assert (first.text, second.text) == (f"{DEMO}\n", f"{TESTS}\n")
    assert first.line < second.line < 15, "they stand at the top"


def test_the_first_line_says_what_it_is_and_for_whom() -> None:
    first = (ROOT / "README.md").read_text("utf-8").splitlines()[0]
    assert first.startswith("# argosy: ")
    assert " for " in first


def test_the_plugin_works(library_server: ServerFactory, tmp_path: Path) -> None:
    server = library_server(discipline="open")
    (code,) = (
        block.text for block in blocks("python", document=ROOT / "README.md") if "hookimpl" in block.text
    )
    module = ModuleType("page")
    exec(code, module.__dict__)
    registry = PluginManager.of([("page", "readme", "0", module)], installed=True)
    urls = [server.url_for("/files/a.bin?size=3")]
    config = {"source": {"use": "urls", "urls": urls}, "output": "page", "directory": str(tmp_path)}
    assert Run(load(config, registry), registry).execute().exit_code == 0
    (page,) = tmp_path.glob("*.txt")
    assert page.read_text("utf-8") == "a.bin"

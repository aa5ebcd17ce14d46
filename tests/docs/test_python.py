"""The Python in the documents runs, or at least compiles."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

from documents import Block, blocks
from voyage import Voyage

PYTHON = blocks("python")
MARKS = {"", "run", "server", "tutorial"}


def run(code: str, folder: Path) -> None:
    """Run a block as a program of its own, to its end."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_it_compiles(block: Block) -> None:
    assert block.mark in MARKS or block.mark.endswith(".py"), "a file is used by the test of its page"
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", [b for b in PYTHON if b.mark == "run"], ids=str)
def test_it_runs(block: Block, tmp_path: Path) -> None:
    run(block.text, tmp_path)


@pytest.mark.parametrize("block", [b for b in PYTHON if b.mark == "server"], ids=str)
def test_it_runs_against_a_server(block: Block, place: Voyage) -> None:
    code = block.text.replace("https://library.example/books/", f"{place.server.url}/files/")
    code = code.replace("https://library.example", place.server.url)
    place.server.reset_stats()
    run(code, place.root)
    stats = place.server.stats()
    assert stats.accepted > 0
    assert (stats.refused, stats.anonymous, stats.replaced_tokens_sent) == (0, 0, 0)


@pytest.mark.parametrize("block", blocks("pycon"), ids=str)
def test_it_is_a_true_doctest(block: Block) -> None:
    test = doctest.DocTestParser().get_doctest(block.text, {}, str(block), str(block.document), block.line)
    assert test.examples
    results = doctest.DocTestRunner(verbose=False).run(test)
    assert results.failed == 0

"""The one command for all benchmarks: that it finds them and says what it measured, never how fast it was."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import document
from benchmarks.table import Table

FOLDER = Path(__file__).parent
SUPPORT = {"__main__", "document", "machine", "table", "test_benchmarks"}


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FOLDER), *arguments], capture_output=True, text=True, check=False, timeout=110
    )


def test_every_benchmark_is_found_and_says_what_it_measures() -> None:
    done = _run("--list")
    assert done.returncode == 0, done.stderr
    listed = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert set(listed) == {path.stem for path in FOLDER.glob("*.py")} - SUPPORT


def test_one_that_there_is_not_is_named() -> None:
    done = _run("speed")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no benchmark 'speed'" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["startup", "planning"])
def test_figures_are_printed_and_written(name: str, tmp_path: Path) -> None:
    done = _run(name, "--quick", "--json", str(tmp_path / "figures.json"))
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    (table,) = figures["benchmarks"][name]
    assert table["rows"]
    assert f"**{table['title']}**" in done.stdout
    assert figures["machine"]["CPUs"]


def test_the_page_keeps_what_was_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{document.BEGIN}{document.END}after\n", "utf-8")
    monkeypatch.setattr(document, "PAGE", page)
    for number, name in enumerate(["static", "memory", "static"]):
        document.write({"load": str(number)}, {name: [Table(f"Table {number}", [{"n": number}], [])]})
    text = page.read_text("utf-8")
    assert "Table 0" not in text
    assert text.index("before") < text.index("### memory") < text.index("Table 1") < text.index("### static")
    assert text.index("load 2") < text.index("Table 2") < text.index("after")

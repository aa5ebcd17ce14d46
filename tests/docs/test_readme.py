"""The README's two commands, its first line, and its length."""

from __future__ import annotations

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


def test_it_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150

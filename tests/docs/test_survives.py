"""The page of what argosy survives says what the tests show: every row has tests, every test its row."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType

import pytest

from documents import ROOT

PAGE = ROOT / "docs" / "reference" / "what-it-survives.md"
_ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+?) \| (.*?) \|$", re.M)
ROWS = [int(row[0]) for row in _ROW.findall(PAGE.read_text("utf-8"))]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows() -> dict[int, tuple[str, str, str]]:
    found = _ROW.findall(PAGE.read_text("utf-8"))
    assert sorted(set(ROWS)) == ROWS, "rows are numbered in order, each number once"
    return {int(number): (fault, deed, tests) for number, fault, deed, tests in found}


def test_every_row_has_a_test_or_says_that_it_is_not_kept_yet(
    generate: ModuleType, rows: dict[int, tuple[str, str, str]]
) -> None:
    tested = generate.torture_tests()
    assert sorted(tested.keys() - set(ROWS)) == [], "rows that there are not"
    bare = [row for row in ROWS if row not in tested and "**Not yet**" not in rows[row][1]]
    assert bare == [], "rows without a test"


def test_the_page_names_exactly_the_tests_of_each_row(
    generate: ModuleType, rows: dict[int, tuple[str, str, str]]
) -> None:
    for row, tests in generate.torture_tests().items():
        named = re.findall(r"`(\w+)`", rows[row][2])
        assert sorted(f"test_{name}" for name in named) == sorted(name for _, name in tests), row


def test_the_markers_that_are_found_are_those_of_pytest(generate: ModuleType, collected: set[tuple[int, str]]) -> None:
    found = {(row, name) for row, tests in generate.torture_tests().items() for _, name in tests}
    assert found == collected


@pytest.fixture(scope="module")
def collected(request: pytest.FixtureRequest) -> set[tuple[int, str]]:
    """The markers of this very session; it must have collected everything."""
    items = request.session.items
    if request.config.option.markexpr or len({item.path for item in items}) < 40:
        pytest.skip("not all tests were collected: run `pytest -m ''`")
    return {
        (row, item.originalname)
        for item in items
        if isinstance(item, pytest.Function)
        for mark in item.iter_markers("torture")
        for row in mark.args
    }

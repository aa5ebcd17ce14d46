"""Runs the contract of sources."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from argosy_devkit.contracts.source import SourceContract

from argosy_example import ExampleSource


class TestExampleSource(SourceContract):
    plugin = ExampleSource

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        """Write a list of two items."""
        text = "# books\nhttps://library.example/1/a.pdf Of Looms\nhttps://library.example/2/a.pdf\n"
        (tmp_path / "books.txt").write_text(text, "utf-8")
        return {"path": "books.txt"}

    def broken_options(self, tmp_path: Path) -> Mapping[str, Any]:
        """Write a list with an invalid line."""
        (tmp_path / "broken.txt").write_text("a book\n", "utf-8")
        return {"path": "broken.txt"}


def test_it_is_installed() -> None:
    (entry_point,) = entry_points(group="argosy", name="example")
    assert entry_point.load().argosy_source() is ExampleSource

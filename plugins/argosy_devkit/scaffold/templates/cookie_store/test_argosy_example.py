"""Runs the contract of cookie stores."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

from argosy_devkit.contracts.cookie_store import CookieStoreContract

from argosy_example import ExampleCookieStore


class TestExampleCookieStore(CookieStoreContract):
    plugin = ExampleCookieStore

    def files(self, tmp_path: Path) -> list[Path]:
        """Return the files that the suite damages."""
        return [tmp_path / "example.json"]


def test_it_is_installed() -> None:
    (entry_point,) = entry_points(group="argosy", name="example")
    assert entry_point.load().argosy_cookie_store() is ExampleCookieStore

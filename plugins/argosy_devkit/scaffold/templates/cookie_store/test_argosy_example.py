"""The cookie store keeps to its contract."""

from __future__ import annotations

from pathlib import Path

from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager
from argosy_devkit.contracts.cookie_store import CookieStoreContract

from argosy_example import ExampleCookieStore


class TestExampleCookieStore(CookieStoreContract):
    plugin = ExampleCookieStore

    def files(self, tmp_path: Path) -> list[Path]:
        """Name what it keeps, so that the suite can damage it."""
        return [tmp_path / "example.json"]


def test_it_is_installed() -> None:
    assert PluginManager().find(Kind.COOKIE_STORE, "example").cls is ExampleCookieStore

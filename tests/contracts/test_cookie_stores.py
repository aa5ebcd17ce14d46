"""The built-in cookie stores keep to their contract."""

from __future__ import annotations

from pathlib import Path

from argosy.testing.contracts.cookie_store import CookieStoreContract
from argosy_plugins.cookie_stores.json_file import JsonFileStore
from argosy_plugins.cookie_stores.memory import MemoryStore
from argosy_plugins.cookie_stores.netscape import NetscapeStore
from argosy_plugins.cookie_stores.sqlite import SqliteStore


class TestMemoryStore(CookieStoreContract):
    plugin = MemoryStore


class TestJsonFileStore(CookieStoreContract):
    plugin = JsonFileStore

    def files(self, tmp_path: Path) -> list[Path]:
        return [tmp_path / "cookies.json"]


class TestSqliteStore(CookieStoreContract):
    plugin = SqliteStore

    def files(self, tmp_path: Path) -> list[Path]:
        return [tmp_path / "cookies.sqlite"]


class TestNetscapeStore(CookieStoreContract):
    plugin = NetscapeStore

    def files(self, tmp_path: Path) -> list[Path]:
        # a cookies.txt with another token is no damage: another tool has written it
        return [tmp_path / "cookies.txt.session.json"]

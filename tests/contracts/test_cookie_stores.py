"""The built-in cookie stores keep their contract, and the lease keeps its rules on each of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from argosy.toolkit.secrets import new_key
from argosy_devkit.contracts.cookie_store import CookieStoreContract
from argosy_devkit.contracts.store_holds import HoldRules
from argosy_devkit.contracts.store_records import RecordRules
from argosy_devkit.contracts.store_survival import SurvivalRules
from argosy_plugins.cookie_stores.json_file import JsonFileStore
from argosy_plugins.cookie_stores.memory import MemoryStore
from argosy_plugins.cookie_stores.netscape import NetscapeStore
from argosy_plugins.cookie_stores.sqlite import SqliteStore
from lease_suite.contract import LeaseContract


class TestMemoryStore(LeaseContract, CookieStoreContract):
    plugin = MemoryStore


class TestJsonFileStore(LeaseContract, CookieStoreContract):
    plugin = JsonFileStore

    def files(self, tmp_path: Path) -> list[Path]:
        return [tmp_path / "cookies.json"]


class TestSqliteStore(LeaseContract, CookieStoreContract):
    plugin = SqliteStore

    def files(self, tmp_path: Path) -> list[Path]:
        return [tmp_path / "cookies.sqlite"]


class TestNetscapeStore(LeaseContract, CookieStoreContract):
    plugin = NetscapeStore

    def files(self, tmp_path: Path) -> list[Path]:
        # a cookies.txt with another token is no damage: another tool has written it
        return [tmp_path / "cookies.txt.session.json"]


class EncryptedStoreContract(RecordRules, HoldRules, SurvivalRules):
    """What a key may change; the lease does not depend on how records are kept."""

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        key = tmp_path / "key.txt"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_text(new_key(), "utf-8")
        return {"encrypt": {"file": key.name}}


class TestEncryptedJsonFileStore(EncryptedStoreContract):
    plugin = JsonFileStore

    def files(self, tmp_path: Path) -> list[Path]:
        return [tmp_path / "cookies.json"]


class TestEncryptedSqliteStore(EncryptedStoreContract):
    plugin = SqliteStore

    def files(self, tmp_path: Path) -> list[Path]:
        return [tmp_path / "cookies.sqlite"]

"""The built-in storages keep to their contract; those for services are tested with services."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from argosy_devkit.contracts.storage import StorageContract
from argosy_plugins.storages.folder import FolderStorage
from argosy_plugins.storages.fsspec import FsspecStorage


class TestFsspec(StorageContract):
    plugin = FsspecStorage

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        folder = tmp_path / "remote"
        folder.mkdir()
        return {"url": f"file://{folder}"}


class TestFolder(StorageContract):
    plugin = FolderStorage

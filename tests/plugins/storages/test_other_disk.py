"""Files that a worker has staged on another disk than that of the target directory."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.errors import TransferError
from argosy.interfaces import Existing, PluginContext
from argosy.models import Product, PublishedFile
from argosy.models.items import Verification
from argosy.toolkit.files import digest_of
from argosy_plugins.storages import folder
from argosy_plugins.storages.folder import COPIES, FolderStorage


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs /dev/shm")
    path = Path(tempfile.mkdtemp(dir=memory))
    yield path
    shutil.rmtree(path)


def storage(directory: Path) -> FolderStorage:
    return FolderStorage({}, PluginContext(directory, directory))


def put(directory: Path, disk: Path, content: bytes, existing: Existing, *, replace: bool = False) -> Path:
    staged = disk / "staged"
    staged.write_bytes(content)
    file = PublishedFile("a/b", len(content), digest_of(staged), Verification.DIGEST)
    storage(directory).put(Product("a/b", staged, 1e9), file, existing, replace=replace)
    assert staged.read_bytes() == content, "it stays until the item is done"
    return directory / "a" / "b"


def test_they_get_their_names(tmp_path: Path, disk: Path) -> None:
    path = put(tmp_path, disk, b"new", Existing.NOTHING)
    assert (path.read_bytes(), path.stat().st_mtime) == (b"new", 1e9)
    assert put(tmp_path, disk, b"newer", Existing.OLD, replace=True).read_bytes() == b"newer"
    assert put(tmp_path, disk, b"newest", Existing.NOTHING, replace=True).read_bytes() == b"newest"
    with pytest.raises(TransferError, match="already exists"):
        put(tmp_path, disk, b"mine", Existing.NOTHING)
    assert (path.read_bytes(), list((tmp_path / COPIES).iterdir())) == (b"newest", [])


def test_only_abandoned_copies_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / COPIES).mkdir(parents=True)
    copy = tmp_path / COPIES / "copy"
    copy.write_bytes(b"half")
    storage(tmp_path).prepare()
    assert copy.exists()
    monkeypatch.setattr(folder, "COPY_LIVES", -1.0)
    storage(tmp_path).prepare()
    assert not copy.exists()

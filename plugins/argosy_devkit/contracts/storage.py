"""The contract of storages as a test suite.

Subclass it in your tests and run pytest::

    from argosy_devkit.contracts.storage import StorageContract

    class TestMyStorage(StorageContract):
        plugin = MyStorage

        def options(self, tmp_path):
            return {"url": f"mine://host/{tmp_path.name}"}
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from argosy.errors import TransferError
from argosy.interfaces import Existing, PluginContext, Storage
from argosy.models import Product, PublishedFile, Verification
from argosy_devkit.client import ServerFactory
from argosy_devkit.contracts.plugin_suite import PluginRules, make_plugin
from argosy_devkit.contracts.waiting import Thread


class StorageContract(PluginRules):
    """Each test is one promise of `argosy.interfaces.Storage`."""

    plugin: ClassVar[type[Storage]]
    documented = "argosy.Storage (docs/plugins/contracts.md)"

    @pytest.fixture
    def storage(self, given: Mapping[str, Any], context: PluginContext) -> Any:
        """Create the storage; `options` must name an empty folder."""
        storage = make_plugin(self.plugin, given, context)
        storage.prepare()
        yield storage
        storage.close()

    def test_a_file_gets_its_name(self, storage: Storage, tmp_path: Path) -> None:
        """After put(), a file has its name, its size and its content; before, the name is free."""
        product, file = staged(tmp_path, b"a book")
        assert storage.existing(file, replace=False) is Existing.NOTHING
        assert (storage.size(file.name), storage.occupied(file.name)) == (None, False)
        storage.put(product, file, Existing.NOTHING, replace=False)
        assert (storage.size(file.name), storage.occupied(file.name)) == (6, True)
        assert storage.existing(file, replace=False) is Existing.IT, "it does not recognize the file it has put"
        assert storage.problem(file) is None
        assert content_of(storage, file, tmp_path) == b"a book"
        assert storage.at_hand(file.name, tmp_path).read_bytes() == b"a book"
        assert storage.take(file, tmp_path / "taken"), "it does not give back an intact file"

    def test_another_file_is_not_replaced(self, storage: Storage, tmp_path: Path) -> None:
        """A file that is not the product stays, whether it exists before existing() or only before put()."""
        self.put(storage, tmp_path, b"theirs")
        product, file = staged(tmp_path, b"a book")
        with pytest.raises(TransferError):
            storage.existing(file, replace=False)
        with pytest.raises(TransferError):
            storage.put(product, file, Existing.NOTHING, replace=False)
        assert content_of(storage, file, tmp_path) == b"theirs", "it replaced a file without permission"

    def test_a_file_is_replaced_if_allowed(self, storage: Storage, tmp_path: Path) -> None:
        """With `replace`, the new file takes the place of the old one."""
        self.put(storage, tmp_path, b"theirs")
        product, file = staged(tmp_path, b"a book")
        existing = storage.existing(file, replace=True)
        assert existing is Existing.OLD
        storage.put(product, file, existing, replace=True)
        assert content_of(storage, file, tmp_path) == b"a book"

    def test_damage_is_found(self, storage: Storage, tmp_path: Path) -> None:
        """problem() reads the whole file: other content of the same size is not intact, and take() leaves nothing."""
        self.put(storage, tmp_path, b"A BOOK")
        _, file = staged(tmp_path, b"a book")
        assert storage.problem(file), "it does not notice another content"
        assert not storage.take(file, tmp_path / "taken"), "it gives back a damaged file as intact"
        assert not (tmp_path / "taken").exists()

    def test_a_missing_file_is_an_error(self, storage: Storage, tmp_path: Path) -> None:
        """fetch() of a missing file raises TransferError; problem() and size() say that it is missing."""
        _, file = staged(tmp_path, b"a book")
        assert storage.size(file.name) is None
        assert storage.problem(file)
        with pytest.raises(TransferError):
            storage.fetch(file.name, tmp_path / "fetched")

    def test_threads_put_files_at_the_same_time(self, storage: Storage, tmp_path: Path) -> None:
        """Any number of threads may use it."""
        pairs = [staged(tmp_path, str(number).encode() * 1000, f"{number}/file.bin") for number in range(12)]
        threads = [
            Thread(partial(storage.put, product, file, Existing.NOTHING, replace=False)) for product, file in pairs
        ]
        for thread in threads:
            thread.result()
        storage.settle([file.name for _, file in pairs])
        assert [storage.problem(file) for _, file in pairs] == [None] * len(pairs)

    def test_a_run_stores_its_files(
        self, library_server: ServerFactory, tmp_path: Path, given: Mapping[str, Any]
    ) -> None:
        """A real run stores its files, and a second run has nothing to do."""
        server = library_server(lease_mode="open")
        source = {"use": "urls", "urls": [server.url_for(f"/files/{n}.bin?size=3000") for n in range(3)]}
        report = self.run(tmp_path, given, source=source)
        assert report.counts.done == 3, f"items failed: {report.failures}"
        assert self.run(tmp_path, given, source=source).counts.skipped == 3, "a second run stored files again"

    def use(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the part of a configuration that names the storage: its URL does."""
        return {"directory": {"url": "file:///missing", **given}}

    def put(self, storage: Storage, tmp_path: Path, content: bytes) -> None:
        """Put a file."""
        product, file = staged(tmp_path, content)
        storage.put(product, file, storage.existing(file, replace=False), replace=False)


def staged(tmp_path: Path, content: bytes, name: str = "folder/book.txt") -> tuple[Product, PublishedFile]:
    """Write a product; return it and what it becomes."""
    digest = hashlib.sha256(content).hexdigest()
    path = tmp_path / f"staged-{digest[:16]}"
    path.write_bytes(content)
    return Product(name, path), PublishedFile(name, len(content), digest, Verification.DIGEST, "files")


def content_of(storage: Storage, file: PublishedFile, tmp_path: Path) -> bytes:
    """Return the content of a stored file."""
    path = tmp_path / "fetched"
    path.unlink(missing_ok=True)
    storage.fetch(file.name, path)
    return path.read_bytes()

"""The interface of storages, where files get their final names."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from argosy.errors import TransferError
from argosy.interfaces.base import Plugin, PluginContext
from argosy.models.items import Product, PublishedFile
from argosy.toolkit.files import digest_of
from argosy.toolkit.stop import Stop

#: Protocols of object storage: a file appears under its name when its upload ends, or not at all.
OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "obs", "oci"})


class Existing(Enum):
    """What has the name of a product."""

    NOTHING = "nothing"
    OLD = "a file that may be replaced"
    IT = "the product itself"


@dataclass(frozen=True, slots=True)
class Patience:
    """How a storage repeats failed calls, and what interrupts its waits and transfers."""

    retries: int = 3
    delay: float = 1.0  # the longest first pause, in seconds
    outage: float = 300.0  # seconds to wait for a service that was reached before
    stop: Stop = field(default_factory=Stop)


class Storage(Plugin):
    """The final names of a target directory: relative to it, with ``/`` between the parts.

    Any number of threads may call it. A file appears under its final name only when it is complete. The plugin's name is
    the scheme of the directory's URL (``folder``, without a URL, is for local ones); the values of its ``options`` may
    refer to secrets.
    """

    options_schema = {
        "type": "object",
        "properties": {"url": {"type": "string"}, "options": {"type": "object"}},
        "required": ["url"],
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self.patience = Patience()  # replaced by the engine before the first call

    @abstractmethod
    def size(self, name: str) -> int | None:
        """Return the size of a file in bytes, or None if there is no such file."""

    @abstractmethod
    def existing(self, file: PublishedFile, *, replace: bool) -> Existing:
        """Return what has the name of a file to put there; a `TransferError` if it must not be replaced."""

    @abstractmethod
    def put(self, product: Product, file: PublishedFile, existing: Existing, *, replace: bool) -> None:
        """Give a product its final name, and check its size and digest; `existing` comes from the method of that name.

        Raise a `TransferError` if something has appeared that must not be replaced, and a `StorageError` if the storage fails.
        """

    @abstractmethod
    def fetch(self, name: str, path: Path) -> None:
        """Copy a file to a local path; a `TransferError` if there is no such file."""

    @abstractmethod
    def problem(self, file: PublishedFile) -> str | None:
        """Read a whole file, and return what is wrong with it, or None."""

    def prepare(self) -> None:
        """Prepare for a run, or raise a `StorageError`."""

    def survey(self) -> None:
        """List what exists, if one listing is faster than one question per name."""

    def learn(self, files: Iterable[PublishedFile]) -> None:
        """Note files that another process has put."""

    def occupied(self, name: str) -> bool:
        """Return whether a name is taken, even if not by a file."""
        return self.size(name) is not None

    def settle(self, names: Sequence[str]) -> None:
        """Make new names survive a power failure, as far as possible; after an OSError, the files are gone again."""

    def take(self, file: PublishedFile, path: Path) -> bool:
        """Give an intact file a local path, too; return False, and leave none, if it is missing or damaged."""
        if self.size(file.name) != file.size:
            return False
        try:
            self.fetch(file.name, path)
        except TransferError:
            return False
        if digest_of(path) == file.sha256:
            return True
        path.unlink()
        return False

    def at_hand(self, name: str, folder: Path) -> Path:
        """Return a local path of a file, or of a copy in a folder; a missing file is a `TransferError`."""
        mark = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        path = folder / f"{mark}-{name.rpartition('/')[2]}"  # its suffix may show its type
        self.fetch(name, path)
        return path


def foreign(where: str, *, is_file: bool) -> TransferError:
    """Return the error for a name that something else has."""
    return TransferError(
        f"{where} already exists and is not from this item, so it was not replaced.",
        kind="exists",
        hint="Move it away, or replace it with --force." if is_file else "Move it away, then start again.",
    )

"""The interface of storages: where finished files get their final names."""

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
    """How a storage repeats a call that failed.

    Parameters
    ----------
    retries
        The number of further attempts.
    delay
        Seconds; the longest first pause.
    outage
        Seconds to wait for a service that was reached before.
    stop
        Interrupts waits and transfers.
    """

    retries: int = 3
    delay: float = 1.0
    outage: float = 300.0
    stop: Stop = field(default_factory=Stop)


class Storage(Plugin):
    """The final names of a target directory; the engine reads and writes them in no other way.

    Any number of threads may call it. A file appears under its final name only when it is complete. Names are relative
    to the target directory, with ``/`` between the parts.

    A plugin is chosen by the URL of the directory: its name is the URL's scheme. Its options are
    ``{"url": URL, "options": {...}}``; the values of ``options`` may be references to secrets.

    .. versionadded:: 0.1
    """

    options_schema = {
        "type": "object",
        "properties": {"url": {"type": "string"}, "options": {"type": "object"}},
        "required": ["url"],
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        #: Set by the engine before the first call.
        self.patience = Patience()

    @abstractmethod
    def size(self, name: str) -> int | None:
        """Return the size of a file in bytes, or None if there is no such file."""

    @abstractmethod
    def existing(self, file: PublishedFile, *, replace: bool) -> Existing:
        """Return what has the name of a file that will be put there.

        Raises
        ------
        TransferError
            If it must not be replaced.
        """

    @abstractmethod
    def put(self, product: Product, file: PublishedFile, existing: Existing, *, replace: bool) -> None:
        """Give a product its final name.

        Parameters
        ----------
        product
            The product.
        file
            The name, size and digest it must have.
        existing
            What `existing` returned.
        replace
            Whether another file may be replaced.

        Raises
        ------
        TransferError
            If something that must not be replaced has appeared under the name.
        StorageError
            If the storage fails.
        """

    @abstractmethod
    def fetch(self, name: str, path: Path) -> None:
        """Copy a file to a local path.

        Raises
        ------
        TransferError
            If there is no such file.
        """

    @abstractmethod
    def problem(self, file: PublishedFile) -> str | None:
        """Read a whole file, and return what is wrong with it, or None."""

    def prepare(self) -> None:
        """Prepare for a run.

        Raises
        ------
        StorageError
            If the storage cannot be used.
        """

    def survey(self) -> None:
        """List what exists, if one listing is faster than one question per name."""

    def learn(self, files: Iterable[PublishedFile]) -> None:
        """Note files that another process has put."""

    def occupied(self, name: str) -> bool:
        """Return whether anything has a name, even if it is not a file."""
        return self.size(name) is not None

    def settle(self, names: Sequence[str]) -> None:
        """Make new names survive a power failure, as far as possible.

        Raises
        ------
        OSError
            If that failed; the files have been removed again.
        """

    def take(self, file: PublishedFile, path: Path) -> bool:
        """Give an intact file a further, local path; return False, and leave none, if it is missing or damaged."""
        if self.size(file.name) != file.size:
            return False
        try:
            self.fetch(file.name, path)
        except TransferError:
            return False
        if path.stat().st_size == file.size and digest_of(path) == file.sha256:
            return True
        path.unlink()
        return False

    def at_hand(self, name: str, folder: Path) -> Path:
        """Return a local path of a file; a copy, if needed, is made in a folder.

        Raises
        ------
        TransferError
            If there is no such file.
        """
        mark = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        path = folder / f"{mark}-{name.rpartition('/')[2]}"  # its suffix may tell its type
        self.fetch(name, path)
        return path


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def foreign(where: str, *, is_file: bool) -> TransferError:
    """Return the error for a name that something else has."""
    return TransferError(
        f"{where} already exists and is not from this item, so it was not replaced.",
        kind="exists",
        hint="Move it away, or replace it with --force." if is_file else "Move it away, then start again.",
    )

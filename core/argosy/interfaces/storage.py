"""What a shelf does, wherever it is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

from argosy.errors import TransferError
from argosy.models.items import Product, PublishedFile
from argosy.toolkit.stop import Stop


class Existing(Enum):
    """What stands under the name of a product."""

    NOTHING = "nothing"
    OLD = "a file that it may take the place of"
    IT = "the very file"


@dataclass(frozen=True, slots=True)
class Patience:
    """How a call to the storage is tried again.

    Parameters
    ----------
    retries
        How often.
    delay
        Seconds; the first pause at most.
    outage
        Seconds that a storage is waited for which was there before.
    stop
        Says whether to go on.
    notice
        Tells the person that it is waited for.
    """

    retries: int = 3
    delay: float = 1.0
    outage: float = 300.0
    stop: Stop = field(default_factory=Stop)
    notice: Callable[[str], None] = lambda message: None


class Storage(Protocol):
    """The final names of a target directory: they are looked at, put and read through it, and in no other way.

    Any number of threads may use it. A final name appears only whole. Names are relative to the target directory,
    with ``/`` between the parts.
    """

    def prepare(self) -> None:
        """Make it ready for a run.

        Raises
        ------
        StorageError
            If it cannot be used.
        """

    def survey(self) -> None:
        """Learn at once what stands there, where one look at each name would take long."""

    def learn(self, files: Iterable[PublishedFile]) -> None:
        """Hear of files that another process put there."""

    def size(self, name: str) -> int | None:
        """Return the bytes of the file of a name; None where there is no such file."""

    def occupied(self, name: str) -> bool:
        """Return whether anything stands under a name."""

    def standing(self, file: PublishedFile, *, replace: bool) -> Existing:
        """Return what stands under the name of a file that is to be put there.

        Raises
        ------
        TransferError
            If it is something that must not be replaced.
        """

    def put(self, product: Product, file: PublishedFile, standing: Existing, *, replace: bool) -> None:
        """Put a product under its name.

        Parameters
        ----------
        product
            The product.
        file
            What is to stand there.
        standing
            What stood there when somebody looked.
        replace
            Whether another file may be replaced.

        Raises
        ------
        TransferError
            If something has come under the name that must not be replaced, or is in the way.
        StorageError
            If the storage fails.
        """

    def settle(self, names: Sequence[str]) -> None:
        """Return when what was put there would outlive a power failure, as far as that is in our hands.

        Raises
        ------
        OSError
            If that failed; the files are taken away again.
        """

    def take(self, file: PublishedFile, path: Path) -> bool:
        """Give the content of a file a local path, and return whether it is what it should be; else there is none."""

    def at_hand(self, name: str, folder: Path) -> Path:
        """Return a local path with the content of a file, perhaps one that is made in a folder.

        Raises
        ------
        TransferError
            If there is no such file.
        """

    def problem(self, file: PublishedFile) -> str | None:
        """Read a file from its beginning to its end, and return what is wrong with it, or None."""

    def close(self) -> None:
        """Give back what it holds."""


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def foreign(where: str, *, is_file: bool) -> TransferError:
    """Return the error of a name under which something stands that is not ours."""
    return TransferError(
        f"{where} exists already and is not from this item, so it is left as it is.",
        kind="exists",
        hint="Move it away, or replace it with --force." if is_file else "Move it away, then start again.",
    )

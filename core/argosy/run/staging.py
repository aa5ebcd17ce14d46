"""Staging: where an item's resources lie until they are whole and verified.

Everything lies below ``.argosy/staging`` of the target directory, on its file system, so that the last step
is a rename. Staged files have numbers for names: what a server or a manifest calls them matters only at the
end.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from argosy.model import Item
from argosy.run.ledger import PRIVATE


class Staging:
    """The staging folder of one item.

    Parameters
    ----------
    directory
        The target directory.
    item
        The item; one whose manifest line changed starts over in a new folder.
    """

    def __init__(self, directory: Path, item: Item) -> None:
        name = hashlib.blake2b(item.id.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        self._root = directory / PRIVATE / "staging" / name
        self.folder = self._root / item.fingerprint()

    def prepare(self) -> None:
        """Make the folder; what an earlier try finished in it is kept."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def whole(self, number: int) -> Path:
        """Return where a resource lies once it is whole."""
        return self.folder / f"{number}"

    def partial(self, number: int) -> Path:
        """Return where a resource is written."""
        return self.folder / f"{number}.part"

    def scratch(self, number: int) -> Path:
        """Return an empty folder for an output."""
        path = self.folder / f"output-{number}"
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return path

    def discard(self) -> None:
        """Remove everything that is staged for the item."""
        shutil.rmtree(self._root, ignore_errors=True)


def sync_file(path: Path) -> None:
    """Return when a file or a folder is on stable storage."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

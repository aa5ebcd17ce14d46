"""Staging: where an item's resources lie until they are whole and verified.

Everything lies below ``.argosy/staging`` of the target directory, on its file system, so that the last step
is a rename. Staged files are named after their number and what is promised of them: what a server or a manifest
calls them matters only at the end.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from argosy.interfaces.storage import digest_of
from argosy.models.items import Item, PublishedFile, Resource, Verification
from argosy.state.ledger import PRIVATE
from argosy.state.notes import Notes
from argosy.toolkit.processes import process_lives

#: What the names of spare folders begin with; those of items are hexadecimal.
_SPARE = "spare-"

#: Spare folders to keep at most.
_MOST_SPARE = 64

#: What the scratch folders of outputs begin with, and what ends the further name of a file that stands already.
_SCRATCH, _KEPT = "output-", ".kept"


class StagingArea:
    """Where all staging folders of a target directory lie.

    To make and remove folders costs more than anything else that is done on the disk for a small file, and a
    rename costs next to nothing. So the empty folders of a finished item become those of another one.

    Parameters
    ----------
    directory
        The target directory.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / PRIVATE / "staging"
        self._numbers = itertools.count()
        self._spare: list[tuple[Path, str]] = []  # used by all threads: append and pop are atomic

    def prepare(self) -> None:
        """Make the folder, and see that it can be written to.

        Raises
        ------
        OSError
            If it cannot.
        """
        self.path.mkdir(exist_ok=True)
        # a file without a name: another run may be starting at this very moment
        tempfile.TemporaryFile(dir=self.path).close()

    def take(self, root: Path, name: str) -> bool:
        """Make a spare folder an item's, with a folder of a name in it; return False where that is not to be."""
        try:
            spare, inner = self._spare.pop()
        except IndexError:
            return False
        try:
            spare.rename(root)
        except OSError:  # there is one already, with something in it
            self._spare.append((spare, inner))
            return False
        try:
            (root / inner).rename(root / name)
        except OSError:
            return False
        return True

    @contextlib.contextmanager
    def finishing(self, id_: str) -> Iterator[None]:
        """Remove everything staged for an item at the end of the block; keep its empty folders for another one.

        The block records in the ledger that the item is done. Until then, what is staged is the only proof that what
        has its final name already is the item's own. So it is set aside: after a kill, `tidy` finds it where the
        ledger does not have the item, and the next run removes it otherwise.
        """
        root = self.path / _folder_of(id_)
        aside = self.path / f"{_SPARE}{os.getpid()}-{next(self._numbers)}-{root.name}"
        try:
            root.rename(aside)
        except FileNotFoundError:
            yield
            return
        try:
            yield
        except BaseException:
            aside.rename(root)
            raise
        try:
            (folder,) = aside.iterdir()  # more than one: there is something of an earlier version of the item
            _remove_files(folder)
            if len(self._spare) >= _MOST_SPARE:  # worker processes have spare folders of their own
                raise FileExistsError(aside)
        except (OSError, ValueError):
            shutil.rmtree(aside, ignore_errors=True)
        else:
            self._spare.append((aside, folder.name))

    def spare(self) -> Path:
        """Return an empty folder of its own, which the caller removes; one of a process that died is removed here."""
        path = self.path / f"{_SPARE}{os.getpid()}-{next(self._numbers)}"
        path.mkdir()
        return path

    def tidy(self, id_: str) -> None:
        """Remove what a run that died left of an item and nobody goes on with: scratch, and further names of files.

        What it had fetched stays; and where the item turns out to be done, nobody would look here again.
        """
        root = self.path / _folder_of(id_)
        for aside in self.path.glob(f"{_SPARE}*-{root.name}"):
            if any(
                path.is_file() for path in aside.glob("*/*")
            ):  # set aside, but the ledger did not get to know it
                with contextlib.suppress(OSError):
                    aside.rename(root)
        for path in root.glob("*/*"):
            if path.name.startswith(_SCRATCH):
                shutil.rmtree(path, ignore_errors=True)
            elif path.suffix == _KEPT:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the spare folders of this process."""
        while self._spare:
            shutil.rmtree(self._spare.pop()[0], ignore_errors=True)

    def dead(self) -> list[Path]:
        """Return the spare folders of processes that died, and what they had set aside."""
        found = []
        for path in self.path.glob(f"{_SPARE}*-*"):
            pid = path.name.removeprefix(_SPARE).partition("-")[0]
            if pid.isdecimal() and not process_lives(int(pid)):
                found.append(path)
        return found


class Staging:
    """The staging folder of one item.

    Parameters
    ----------
    area
        Where it lies.
    item
        The item; one whose manifest line changed starts over in a new folder.
    """

    def __init__(self, area: StagingArea, item: Item) -> None:
        self._area = area
        self._id = item.id
        self._root = area.path / _folder_of(item.id)
        self.folder = self._root / item.fingerprint()
        self.notes = Notes(self.folder)
        self._spare = False  # whether it was a spare one: then there is nothing in it but empty folders

    def prepare(self, *, anew: bool = False) -> None:
        """Make the folder; what an earlier try left in it is kept, unless everything is to be fetched anew."""
        if anew:
            shutil.rmtree(self._root, ignore_errors=True)
        self._spare = self._area.take(self._root, self.folder.name)
        if not self._spare:
            self.folder.mkdir(parents=True, exist_ok=True)

    def whole(self, number: int, resource: Resource) -> Path:
        """Return where a resource lies once it is whole."""
        return self.folder / f"{number}-{_mark(resource)}"

    def partial(self, number: int, resource: Resource) -> Path:
        """Return where a resource is written."""
        return self.folder / f"{number}-{_mark(resource)}.part"

    def kept(self, number: int) -> Path:
        """Return where a resource lies that was fetched before, and stands under its final name, too."""
        return self.folder / f"{number}{_KEPT}"

    def let_go(self) -> None:
        """Forget the resources that stand under final names, too; and the folder, where nothing else is staged."""
        for path in self.folder.glob(f"*{_KEPT}"):
            path.unlink(missing_ok=True)
        if not any(path.is_file() for path in self.folder.iterdir()):
            with self._area.finishing(self._id):
                pass

    def scratch(self, number: int) -> Path:
        """Return an empty folder for an output."""
        path = self.folder / f"{_SCRATCH}{number}"
        if not self._spare:
            shutil.rmtree(path, ignore_errors=True)
        try:
            path.mkdir()
        except FileExistsError:
            if not self._spare:
                raise
        return path

    def left(self, name: str, size: int | None) -> Iterator[PublishedFile]:
        """Yield what an earlier attempt may have published under a name before its run was killed.

        The ledger does not know those files, but what is staged does: their resources, and the digests of what
        outputs were about to publish.

        Parameters
        ----------
        name
            The final name.
        size
            The size of the file that has it.
        """
        for folder in self._root.iterdir():
            yield from Notes(folder).published(name)
        for path in self._root.glob("*/*"):
            if path.is_file() and path.stat().st_size == size:
                yield PublishedFile(name, size, digest_of(path), Verification.NONE)


def _folder_of(id_: str) -> str:
    return hashlib.blake2b(id_.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _remove_files(folder: Path) -> None:
    """Remove what is in a folder, but for folders that are empty."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)  # noqa: PTH108 - for each item: a Path costs time
                continue
            with os.scandir(entry.path) as inner:
                empty = next(inner, None) is None
            if not empty:
                shutil.rmtree(entry.path)


def staged_bytes(directory: Path) -> int:
    """Return how many bytes are staged in a target directory, of all items."""
    size = 0
    for path in (directory / PRIVATE / "staging").rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # another run has just finished it
            size += path.stat().st_size if path.is_file() else 0
    return size


def _mark(resource: Resource) -> str:
    """Return what tells a resource from another: a source may expand its item to other ones the next time."""
    what = json.dumps([resource.identity, resource.size])
    return hashlib.blake2b(what.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()

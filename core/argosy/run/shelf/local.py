"""A shelf that is a folder of the local disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from argosy.errors import TransferError
from argosy.model import KeptFile, Product
from argosy.run.shelf.contract import Standing, digest_of, foreign
from argosy.run.syncing import sync_file


class LocalShelf:
    """A folder; staging lies on its file system, so that the last step is a further name for a file.

    Parameters
    ----------
    directory
        The target directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def prepare(self) -> None:
        """Do nothing: the folder is made with the staging area in it."""

    def survey(self) -> None:
        """Do nothing: a look at the disk costs next to nothing."""

    def learn(self, files: Iterable[KeptFile]) -> None:
        """Do nothing: every process sees the disk."""

    def size(self, name: str) -> int | None:
        """Return the bytes of the file of a name, also through a link; None where there is none."""
        try:
            found = (self._directory / name).stat()
        except (OSError, ValueError):
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def occupied(self, name: str) -> bool:
        """Return whether anything stands under a name."""
        return os.path.lexists(self._directory / name)

    def standing(self, file: KeptFile, *, replace: bool) -> Standing:
        """Return what stands under a name; refuse to replace what is not ours."""
        for folder in self._folders(file.name):
            if not _is_own_folder(folder):
                return Standing.NOTHING
        return _standing(self._directory / file.name, file, replace=replace)

    def put(self, product: Product, file: KeptFile, standing: Standing, *, replace: bool) -> None:
        """Give the product's file its name; the staged file stays until the item is done."""
        target = self._directory / file.name
        for folder in self._folders(file.name):
            try:
                folder.mkdir()
            except FileExistsError:
                _is_own_folder(folder)
        if product.modified is not None:
            with contextlib.suppress(OSError, OverflowError):  # a time that the file system cannot hold
                os.utime(product.file, (product.modified, product.modified))
        if standing is Standing.NOTHING:
            # a name of somebody else's may come at any moment, and is not to be replaced: so no rename over it
            try:
                _link(product.file, target)
            except FileExistsError:
                pass
            else:
                return
        if _standing(target, file, replace=replace) is not Standing.IT:
            _replace(product.file, target)

    def settle(self, names: Sequence[str]) -> None:
        """Put the names on the disk."""
        try:
            for folder in {(self._directory / name).parent for name in names}:
                sync_file(folder)
        except OSError:
            # the system may say from now on that the names are on the disk: so the next run must write them again
            for name in names:
                (self._directory / name).unlink(missing_ok=True)
            raise

    def take(self, file: KeptFile, path: Path) -> bool:
        """Give a file a further name, and return whether it is what it should be; else it keeps its one name."""
        return linked(self._directory / file.name, path, file.size, file.sha256)

    def at_hand(self, name: str, folder: Path) -> Path:
        """Return the file itself."""
        return self._directory / name

    def problem(self, file: KeptFile) -> str | None:
        """Read a file, and return what is wrong with it."""
        path = self._directory / file.name
        try:
            if path.is_symlink() or not path.is_file():
                return "is missing"
            if path.stat().st_size != file.size:
                return f"has {path.stat().st_size} bytes instead of {file.size}"
            return None if digest_of(path) == file.sha256 else "has another content than was downloaded"
        except OSError as error:
            return f"cannot be read: {error.strerror}"

    def close(self) -> None:
        """Do nothing."""

    def _folders(self, name: str) -> Iterator[Path]:
        """Yield the folders of a name, from the top."""
        folder = self._directory
        for part in name.split("/")[:-1]:
            folder = folder / part
            yield folder


def has_size(path: Path, size: int) -> bool:
    """Return whether there is a regular file of a size."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == size


def linked(path: Path, link: Path, size: int, digest: str) -> bool:
    """Give a file a further name, and return whether it is what it should be; else it keeps its one name."""
    if not has_size(path, size):
        return False
    link.unlink(missing_ok=True)  # of an earlier try
    try:
        os.link(path, link)
    except FileNotFoundError:
        return False
    except OSError:  # a file system without hard links
        shutil.copy2(path, link)
    if has_size(link, size) and digest_of(link) == digest:
        return True
    link.unlink()
    return False


def _standing(target: Path, file: KeptFile, *, replace: bool) -> Standing:
    try:
        found = target.lstat()
    except FileNotFoundError:
        return Standing.NOTHING
    regular = stat.S_ISREG(found.st_mode)
    if regular and found.st_size == file.size and digest_of(target) == file.sha256:
        return Standing.IT
    if regular and replace:
        return Standing.OLD
    raise foreign(str(target), is_file=regular)


def _is_own_folder(folder: Path) -> bool:
    """Return whether there is a folder; raise where there is something else."""
    try:
        mode = folder.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(mode):
        raise TransferError(
            f"{folder} is in the way: it is not a folder of its own, so nothing is written through it.",
            kind="exists",
            hint="Move it away, then start again.",
        )
    return True


def _replace(file: Path, target: Path) -> None:
    temporary = file.with_name(f"{file.name}.placing")
    temporary.unlink(missing_ok=True)  # of an earlier try
    _link(file, temporary)
    temporary.replace(target)


def _link(file: Path, name: Path) -> None:
    """Give a file another name.

    Raises
    ------
    FileExistsError
        If there is a file of that name.
    """
    try:
        os.link(file, name)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        temporary = file.with_name(f"{file.name}.copy")
        shutil.copy2(file, temporary)
        sync_file(temporary)
        if os.path.lexists(name):
            raise FileExistsError(name) from None
        temporary.replace(name)

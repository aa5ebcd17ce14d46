"""Storage in a folder of the local disk."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from argosy.errors import TransferError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.storage import Existing, Storage, digest_of, foreign
from argosy.models.items import Product, PublishedFile
from argosy.toolkit.files import sync_file

_FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY


class LocalStorage(Storage):
    """A folder; the staging area is on the same file system, so files are published by hard links.

    Parameters
    ----------
    directory
        The target directory.
    """

    name = "local"

    def __init__(self, directory: Path) -> None:
        super().__init__({}, PluginContext(directory, directory))
        self._directory = directory

    def size(self, name: str) -> int | None:
        """Return the size of a file, also behind a link."""
        try:
            found = (self._directory / name).stat()
        except (OSError, ValueError):
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def occupied(self, name: str) -> bool:
        """Return whether anything has a name."""
        return os.path.lexists(self._directory / name)

    def existing(self, file: PublishedFile, *, replace: bool) -> Existing:
        """Return what has the name of a file."""
        try:
            with self._place(file.name) as place:
                return _existing(place, file, replace=replace)
        except FileNotFoundError:
            return Existing.NOTHING

    def put(self, product: Product, file: PublishedFile, existing: Existing, *, replace: bool) -> None:
        """Give a product its name; the staged file stays until the item is done."""
        if product.modified is not None:
            with contextlib.suppress(OSError, OverflowError):  # a time that the file system cannot store
                os.utime(product.file, (product.modified, product.modified))
        with self._place(file.name, make=True) as place:
            if existing is Existing.NOTHING:
                # another program may create the name at any moment; a rename would replace its file
                try:
                    place.link(product.file)
                except FileExistsError:
                    pass
                else:
                    return
            if _existing(place, file, replace=replace) is not Existing.IT:
                place.replace(product.file)

    def settle(self, names: Sequence[str]) -> None:
        """Sync the folders of the names."""
        try:
            for name in {name.rpartition("/")[0]: name for name in names}.values():
                with self._place(name) as place:
                    os.fsync(place.folder)
        except OSError:
            # a later fsync may report success for names that were never written: the next run must write them again
            for name in names:
                with contextlib.suppress(FileNotFoundError), self._place(name) as place:
                    os.unlink(place.name, dir_fd=place.folder)
            raise

    def fetch(self, name: str, path: Path) -> None:
        """Copy a file."""
        shutil.copy2(self._directory / name, path)

    def take(self, file: PublishedFile, path: Path) -> bool:
        """Link an intact file."""
        return linked(self._directory / file.name, path, file.size, file.sha256)

    def at_hand(self, name: str, folder: Path) -> Path:
        """Return the file itself."""
        return self._directory / name

    def problem(self, file: PublishedFile) -> str | None:
        """Read a whole file, and return what is wrong with it."""
        path = self._directory / file.name
        try:
            if path.is_symlink() or not path.is_file():
                return "is missing"
            if path.stat().st_size != file.size:
                return f"has {path.stat().st_size} bytes instead of {file.size}"
            return None if digest_of(path) == file.sha256 else "has different content than was downloaded"
        except OSError as error:
            return f"cannot be read: {error.strerror}"

    @contextlib.contextmanager
    def _place(self, name: str, *, make: bool = False) -> Iterator[_Place]:
        """Open the folder of a name part by part, so that no part can be swapped for a link later."""
        *parts, last = name.split("/")
        folder = os.open(self._directory, _FOLDER)
        try:
            for number, part in enumerate(parts, 1):
                try:
                    inner = _opened_folder(folder, part, make=make)
                except OSError as error:
                    if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                        raise
                    raise _in_the_way(self._directory.joinpath(*parts[:number])) from None
                os.close(folder)
                folder = inner
            yield _Place(folder, last, self._directory / name)
        finally:
            os.close(folder)


@dataclass(frozen=True, slots=True)
class _Place:
    """A name in an open folder, and its whole path for messages."""

    folder: int
    name: str
    path: Path

    def link(self, file: Path) -> None:
        """Link a file to this name, unless something has it (FileExistsError)."""
        try:
            os.link(file, self.name, dst_dir_fd=self.folder)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            temporary = file.with_name(f"{file.name}.copy")
            shutil.copy2(file, temporary)
            sync_file(temporary)
            if self.state() is not None:
                raise FileExistsError(self.path) from None
            os.replace(temporary, self.name, dst_dir_fd=self.folder)

    def replace(self, file: Path) -> None:
        """Replace the file of this name."""
        temporary = file.with_name(f"{file.name}.placing")
        temporary.unlink(missing_ok=True)  # from an earlier attempt
        try:
            os.link(file, temporary)
        except OSError:  # a file system without hard links
            shutil.copy2(file, temporary)
            sync_file(temporary)
        os.replace(temporary, self.name, dst_dir_fd=self.folder)

    def state(self) -> os.stat_result | None:
        """Return what has this name, or None."""
        try:
            return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def digest(self) -> str:
        """Return the SHA-256 of the file of this name, in hex."""
        fd = os.open(
            self.name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self.folder
        )
        with os.fdopen(fd, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _opened_folder(folder: int, part: str, *, make: bool) -> int:
    """Open a subfolder of an open folder."""
    flags = _FOLDER | os.O_NOFOLLOW
    try:
        return os.open(part, flags, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
    with contextlib.suppress(FileExistsError):
        os.mkdir(part, dir_fd=folder)
    return os.open(part, flags, dir_fd=folder)


def has_size(path: Path, size: int) -> bool:
    """Return whether a path is a regular file of a size."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == size


def linked(path: Path, link: Path, size: int, digest: str) -> bool:
    """Link a file to a further name; return False, and leave none, if its size or digest is wrong."""
    if not has_size(path, size):
        return False
    link.unlink(missing_ok=True)  # from an earlier attempt
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


def _existing(place: _Place, file: PublishedFile, *, replace: bool) -> Existing:
    found = place.state()
    if found is None:
        return Existing.NOTHING
    regular = stat.S_ISREG(found.st_mode)
    if regular and found.st_size == file.size and place.digest() == file.sha256:
        return Existing.IT
    if regular and replace:
        return Existing.OLD
    raise foreign(str(place.path), is_file=regular)


def _in_the_way(folder: Path) -> TransferError:
    return TransferError(
        f"{folder} is in the way: it is not a real folder, so nothing was written into it.",
        kind="exists",
        hint="Move it away, then start again.",
    )

"""The storage plugin for a folder of the local disk."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import argosy
from argosy.errors import TransferError
from argosy.interfaces import Existing, PluginContext, Storage
from argosy.interfaces.storage import foreign
from argosy.models import Product, PublishedFile
from argosy.toolkit.files import digest_of, link_or_copy, linked, sync_file

_FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY
#: The folder for copies of files that were staged on another file system, and the seconds after which a copy is abandoned.
COPIES, COPY_LIVES = ".argosy/copies", 3600.0

_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class FolderStorage(Storage):
    """The target directory itself.

    Staging is on the same file system, so hard links publish files; the workers of a cluster, which stage on their own
    disks, copy them first.
    """

    name = "folder"
    summary = "A folder of the local disk"
    options_schema = {"type": "object"}

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self._directory = context.directory

    def prepare(self) -> None:
        """Remove the copies that killed workers left; one that is being written changes all the time."""
        for copy in (self._directory / COPIES).glob("*"):
            with contextlib.suppress(FileNotFoundError):
                if copy.stat().st_ctime < time.time() - COPY_LIVES:
                    copy.unlink()

    def size(self, name: str) -> int | None:
        """Return the size of a file, also behind a link."""
        with contextlib.suppress(OSError, ValueError):
            found = os.stat(f"{self._directory}/{name}")  # noqa: PTH116 - for each file: a Path costs time
            return found.st_size if stat.S_ISREG(found.st_mode) else None
        return None

    def occupied(self, name: str) -> bool:
        """Return whether anything has a name."""
        return os.path.lexists(self._directory / name)

    def existing(self, file: PublishedFile, *, replace: bool) -> Existing:
        """Return what has the name of a file."""
        try:
            with self._folder_of(file.name) as (folder, last):
                return self._existing(folder, last, file, replace=replace)
        except FileNotFoundError:
            return Existing.NOTHING

    def put(self, product: Product, file: PublishedFile, existing: Existing, *, replace: bool) -> None:
        """Give a product its name; the staged file stays until the item is done."""
        try:
            self._put(product, file, existing, replace=replace)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with self._copied(product.file) as copy:
                self._put(dataclasses.replace(product, file=copy), file, existing, replace=replace, is_copy=True)

    def _put(
        self, product: Product, file: PublishedFile, existing: Existing, *, replace: bool, is_copy: bool = False
    ) -> None:
        staged = product.file
        if product.modified is not None:
            with contextlib.suppress(OSError, OverflowError):  # a time that the file system cannot store
                os.utime(staged, (product.modified, product.modified))
        with self._folder_of(file.name, make=True) as (folder, last):
            if existing is Existing.NOTHING:
                # another program may create the name at any moment, and a rename would replace its file
                try:
                    os.link(staged, last, dst_dir_fd=folder)
                except OSError as error:  # also of a file system without hard links
                    if error.errno == errno.EXDEV and not is_copy:
                        raise
                else:
                    return
            if self._existing(folder, last, file, replace=replace) is not Existing.IT:
                temporary = staged.with_name(f"{staged.name}.placing")
                link_or_copy(staged, temporary)
                os.replace(temporary, last, dst_dir_fd=folder)

    def settle(self, names: Sequence[str]) -> None:
        """Sync the folders of the names."""
        try:
            for name in {name.rpartition("/")[0]: name for name in names}.values():
                with self._folder_of(name) as (folder, _):
                    if folder is None:
                        sync_file(self._directory)
                    else:
                        os.fsync(folder)
        except OSError:
            # a later fsync may report success for names that were never written: the next run must write them again
            for name in names:
                with contextlib.suppress(FileNotFoundError), self._folder_of(name) as (folder, last):
                    os.unlink(last, dir_fd=folder)
            raise

    def fetch(self, name: str, path: Path) -> None:
        """Copy a file."""
        shutil.copy2(self.at_hand(name, path.parent), path)

    def take(self, file: PublishedFile, path: Path) -> bool:
        """Link an intact file."""
        return linked(self._directory / file.name, path, file.size, file.sha256)

    def at_hand(self, name: str, folder: Path) -> Path:
        """Return the file itself."""
        if self.size(name) is None:
            raise TransferError(f"{self._directory / name} is missing.", kind="missing")
        return self._directory / name

    def problem(self, file: PublishedFile) -> str | None:
        """Read a whole file, and return what is wrong with it."""
        path, size = self._directory / file.name, self.size(file.name)
        try:
            if size is None or path.is_symlink():
                return "is missing"
            if size != file.size:
                return f"has {size} bytes instead of {file.size}"
            return None if digest_of(path) == file.sha256 else "has different content than was downloaded"
        except OSError as error:
            return f"cannot be read: {error.strerror}"

    @contextlib.contextmanager
    def _copied(self, staged: Path) -> Iterator[Path]:
        """Copy a file to the file system of the directory, for as long as the block lasts."""
        copies = self._directory / COPIES
        copies.mkdir(parents=True, exist_ok=True)
        copy = copies / uuid.uuid4().hex
        try:
            shutil.copyfile(staged, copy)
            sync_file(copy)
            yield copy
        finally:
            copy.unlink(missing_ok=True)

    def _existing(self, folder: int | None, last: str, file: PublishedFile, *, replace: bool) -> Existing:
        try:
            found = os.stat(last, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return Existing.NOTHING
        is_file = stat.S_ISREG(found.st_mode)
        if is_file and found.st_size == file.size:
            with os.fdopen(os.open(last, _FILE, dir_fd=folder), "rb") as opened:
                if hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256:
                    return Existing.IT
        if is_file and replace:
            return Existing.OLD
        raise foreign(str(self._directory / file.name), is_file=is_file)

    @contextlib.contextmanager
    def _folder_of(self, name: str, *, make: bool = False) -> Iterator[tuple[int | None, str]]:
        """Open the folder of a name part by part, so that no part can be swapped for a link; yield it and the last part.

        The target directory itself is not opened: yield None and the whole path.
        """
        *parts, last = name.split("/")
        if not parts:
            yield None, f"{self._directory}/{last}"
            return
        folder = os.open(self._directory, _FOLDER)
        try:
            for part in parts:
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, dir_fd=folder)
                try:
                    inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
                except OSError as error:
                    if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                        raise
                    message = f"{part!r}, in {self._directory / name}, is not a real folder."
                    raise TransferError(message, kind="exists", hint="Move it away, then start again.") from None
                os.close(folder)
                folder = inner
            yield folder, last
        finally:
            os.close(folder)


@argosy.hookimpl
def argosy_storage() -> type[Storage]:
    """Return the plugin's class."""
    return FolderStorage

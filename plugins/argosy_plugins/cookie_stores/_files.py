"""The file of a cookie store: private, replaced atomically, and with disk space kept for the next response.

Before a request, a store writes a mark; after the response, the new token. If the disk were full in between, the token and
the session would be lost. So a mark needs a spare file of random bytes beside the store, which the token may use.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from argosy.errors import StoreError
from argosy.models.session import SessionRecord, Status
from argosy.toolkit.failures import hint_of
from argosy.toolkit.files import sync_file

#: Versions that are kept until a session is released.
MOST_REPLACED = 8

#: Bytes by which a response may make a record longer.
MARGIN = 32 * 1024


def is_mark(record: SessionRecord, current: SessionRecord | None) -> bool:
    """Return whether a write comes before a request, so that nothing is lost if it fails."""
    was_marked = current is not None and current.status is Status.IN_FLIGHT
    return record.status is Status.IN_FLIGHT and not was_marked


def make_private(path: Path, mode: int, notice: Callable[[str], None]) -> None:
    """Check that a path is a file, and take it back from other users."""
    if not stat.S_ISREG(mode):
        raise StoreError(
            f"The cookie store {path} is not a file, so it is not used.",
            hint="Give the cookie store another path.",
        )
    if not mode & 0o077:
        return
    try:
        path.chmod(0o600)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(
            f"Other users can read the session in {path}, and its mode cannot be changed: {error.strerror}.",
            hint=f"Let its owner run chmod 600 {path}, or give the cookie store another path.",
        ) from None
    notice(
        f"Other users could use the session in {path} (mode {stat.S_IMODE(mode):03o}); argosy set mode 600. If someone may "
        "have read it, log in again: argosy login CONFIG"
    )


class Reserve:
    """The spare file beside a store's file; its users hold the store's write lock."""

    def __init__(self, path: Path) -> None:
        self._path = f"{path}.reserve"

    def keep(self, size: int) -> None:
        """Keep room for a file of so many bytes, which may grow by `MARGIN`; OSError if there is none."""
        size += MARGIN
        with contextlib.suppress(FileNotFoundError):
            found = os.lstat(self._path)
            if found.st_size >= size and stat.S_ISREG(found.st_mode):
                return
            self.give_up()
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            left = 2 * size  # so that a store that grows does not need a new one each time
            while left > 0:  # random: a file system may store zeros or repetitions as nothing
                left -= os.write(fd, os.urandom(min(left, 1 << 20)))
            os.fsync(fd)  # some file systems allocate only now
        except BaseException:
            self.give_up()
            raise
        finally:
            os.close(fd)

    def take(self, path: Path, data: bytes) -> None:
        """Make a file of it; overwriting keeps its blocks, so no other program can take them."""
        fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(fd, "wb") as file:
            file.truncate(len(data))
            file.write(data)
        Path(self._path).replace(path)

    def give_up(self) -> bool:
        """Free the space; return whether there was any."""
        with contextlib.suppress(FileNotFoundError):
            Path(self._path).unlink()
            return True
        return False


class _Version:
    """One version of a file. It stays open, so that its inode number is not used again: times alone are too coarse."""

    def __init__(self, fd: int, data: bytes, found: os.stat_result) -> None:
        self._fd = fd
        self.data = data
        self.found = _identity(found)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        close(self._fd)


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns


class StoreFile:
    """One file of a cookie store, of mode 0600. Writers hold the store's write lock; anyone may read.

    Other programs may write a `shared` file in place, so it is read each time.
    """

    def __init__(self, path: Path, notice: Callable[[str], None], *, shared: bool = False) -> None:
        self.path = path
        self._notice = notice
        self._shared = shared
        self._temporary = path.with_name(f".{path.name}.tmp")
        self._newest: _Version | None = None
        self._staged: _Version | None = None
        self._replaced: list[_Version] = []
        self._synced: bytes | None = None
        self._reserve = Reserve(path)

    def read(self, limit: int) -> bytes | None:
        """Return its bytes, or one more than `limit`; None if there is no file."""
        newest = None if self._shared else self._newest
        try:
            if newest is not None and _identity(os.stat(self.path)) == newest.found:  # noqa: PTH116 - often
                return newest.data
            # O_NONBLOCK: opening a pipe must not wait for its other end
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                found = os.fstat(fd)
                make_private(self.path, found.st_mode, self._notice)
                data = os.read(fd, min(found.st_size, limit + 1))
            except BaseException:
                os.close(fd)
                raise
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self.failed("be read", error) from None
        self._newest = _Version(fd, data, found)
        return data

    def keep(self, size: int) -> None:
        """Keep room for a next version after a response; see `Reserve`."""
        try:
            self._reserve.keep(size)
        except OSError as error:
            raise self.failed("be written", error) from None

    def write(self, data: bytes, *, mark: bool = False) -> None:
        """Replace it; see `stage`."""
        self.stage(data, mark=mark)
        self.publish()

    def stage(self, data: bytes, *, mark: bool) -> None:
        """Write its next version, which `publish` puts in place.

        Before a request (`mark`), that needs room for the response, too; otherwise, it may use that room.
        """
        if mark:
            self.keep(len(data))
        try:
            try:
                self._staged = self._write(data)
            except OSError as error:
                self.discard()
                if mark or error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                try:
                    self._reserve.take(self._temporary, data)
                except FileNotFoundError:
                    raise error from None
        except OSError as error:
            raise self.failed("be written", error) from None

    def _write(self, data: bytes) -> _Version:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            fd = os.open(self._temporary, flags, 0o600)
        except FileExistsError:  # left by a process that was killed
            self._temporary.unlink(missing_ok=True)
            fd = os.open(self._temporary, flags, 0o600)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(fd, left) :]
            return _Version(fd, data, os.fstat(fd))
        except BaseException:
            os.close(fd)
            raise

    def publish(self) -> None:
        """Put the staged version in place."""
        try:
            os.replace(self._temporary, self.path)  # noqa: PTH105 - for each request: a Path costs time
        except OSError as error:
            self.discard()
            raise self.failed("be written", error) from None
        if self._newest is not None:
            self._replaced.append(self._newest)
        self._newest, self._staged = self._staged, None
        if len(self._replaced) > MOST_REPLACED:
            self.clean()

    def clean(self) -> None:
        """Delete replaced versions. That takes as long as a write, so nobody should have to wait for the session then."""
        self._replaced.clear()

    def discard(self) -> None:
        """Remove the staged version."""
        self._staged = None
        with contextlib.suppress(OSError):
            self._temporary.unlink(missing_ok=True)

    def close(self) -> None:
        """Close it until it is read or written again."""
        self._newest = self._staged = None
        self.clean()

    def sync(self, data: bytes | None) -> None:
        """Put the file and its folder on stable storage, unless that was done for the same content."""
        if data is None or data == self._synced:
            return
        try:
            sync_file(self.path)
            sync_file(self.path.parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self.failed("be put on stable storage", error) from None
        self._synced = data

    def failed(self, what: str, error: OSError) -> StoreError:
        """Return the error of an operation."""
        return StoreError(
            f"The cookie store {self.path} cannot {what}: {error.strerror}. It was not changed.",
            hint=hint_of(error, "Free some space or check the permissions of its folder, then start again."),
        )

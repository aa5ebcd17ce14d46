"""Opens files that the user named, which may be pipes or devices; writes files atomically."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

#: Names of descriptors that this process inherited.
_INHERITED = re.compile(r"/dev/(?:fd/(\d+)|std(in|out|err))|/proc/self/fd/(\d+)")

#: Seconds to wait for a reader of a named pipe.
PIPE_WAIT = 10.0


def open_file(path: Path) -> BinaryIO:
    """Open a regular file, or an inherited descriptor (``/dev/fd/63``); anything else may block or never end."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode) and not _INHERITED.fullmatch(str(path)):
            raise OSError(errno.EINVAL, "not a regular file")
        os.set_blocking(fd, True)
        return os.fdopen(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


def read_file(path: Path, limit: int) -> bytes:
    """Return the bytes of a file that `open_file` can open; more than `limit` bytes are an OSError."""
    with open_file(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit:,} bytes")
    return data


def open_special(path: Path) -> int | None:
    """Return a descriptor to write to a device, a pipe or ``/dev/stdout``; None for what may be replaced."""
    if (inherited := _INHERITED.fullmatch(str(path))) is not None:
        number = inherited[1] or inherited[3]
        return os.dup(int(number) if number else ("in", "out", "err").index(inherited[2]))
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    deadline = time.monotonic() + PIPE_WAIT
    while True:
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO or not stat.S_ISFIFO(mode):
                raise
            if time.monotonic() >= deadline:
                raise OSError(errno.ENXIO, "no process reads from this pipe") from None
            time.sleep(0.05)
        else:
            os.set_blocking(fd, True)
            return fd


@contextlib.contextmanager
def open_result(path: Path) -> Iterator[TextIO]:
    """Open a text file that gets its name as a whole (a link is followed), or a pipe or device, whose reader may leave."""
    special = open_special(path)
    if special is None:
        opened: contextlib.AbstractContextManager[TextIO] = atomic_write(Path(os.path.realpath(path)))
    else:
        opened = os.fdopen(special, "w", encoding="utf-8", errors="backslashreplace")
    with contextlib.suppress(BrokenPipeError), opened as file:  # `head` leaves when it has what it wanted
        yield file


@contextlib.contextmanager
def atomic_write(path: Path, *, mode: int = 0o666) -> Iterator[TextIO]:
    """Replace a file with the text that the block writes, or leave it unchanged if the block fails.

    The text is on stable storage before it gets its name. The file keeps its mode; a new one has `mode`, less the umask.
    What UTF-8 cannot encode is escaped.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_file(path.parent)


def sync_file(path: Path) -> None:
    """Put a file or a folder on stable storage."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_disk(path: Path) -> None:
    """Put everything that was written to the file system of a path on stable storage."""
    import ctypes  # slow to import

    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        if syncfs is None:  # only Linux has it
            os.sync()
        elif syncfs(fd) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(fd)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def linked(path: Path, link: Path, size: int, digest: str) -> bool:
    """Link a file to another name; return False, and leave none, if its size or digest is wrong."""
    with contextlib.suppress(FileNotFoundError):
        found = path.lstat()
        if stat.S_ISREG(found.st_mode) and found.st_size == size:
            link_or_copy(path, link)
            if digest_of(link) == digest:
                return True
            link.unlink()
    return False


def link_or_copy(path: Path, link: Path) -> None:
    """Give a file another name; copy it where the file system has no hard links."""
    link.unlink(missing_ok=True)  # from an earlier attempt
    try:
        os.link(path, link)
    except OSError:  # a file system without hard links
        shutil.copy2(path, link)
        sync_file(link)

"""Open files whose names a user gave, which may be pipes or devices; write files atomically."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

#: Names of descriptors that this process was started with; it owns their other ends no more than a shell does.
_OWN = re.compile(r"/dev/(?:fd/(\d+)|std(in|out|err))|/proc/self/fd/(\d+)")
_STANDARD = ("in", "out", "err")

#: Seconds to wait for somebody to open the other end of a named pipe.
PIPE_WAIT = 10.0


def open_file(path: Path) -> BinaryIO:
    """Open a regular file for reading, or a descriptor that this process was given (``/dev/fd/63``).

    Raises
    ------
    OSError
        If it cannot be opened, or is something else: a pipe without a writer would never answer, and a device may never end.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode) and not _OWN.fullmatch(str(path)):
            raise OSError(errno.EINVAL, "not a regular file")
        os.set_blocking(fd, True)
        return os.fdopen(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


def read_file(path: Path, limit: int) -> bytes:
    """Return the bytes of a file that `open_file` can open.

    Parameters
    ----------
    path
        The file.
    limit
        Its size at most, in bytes.

    Raises
    ------
    OSError
        If it cannot be read, or is larger.
    """
    with open_file(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit:,} bytes")
    return data


def open_special(path: Path) -> int | None:
    """Return a descriptor to write to what is there and must not be replaced: a device, a pipe, ``/dev/stdout``.

    Returns
    -------
    int or None
        None for a regular file, a folder, or a name that leads to nothing.

    Raises
    ------
    OSError
        If it cannot be opened, or is a pipe that nobody reads.
    """
    if (own := _OWN.fullmatch(str(path))) is not None:
        number = own[1] or own[3]
        return os.dup(int(number) if number else _STANDARD.index(own[2]))
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
def atomic_write(path: Path) -> Iterator[TextIO]:
    """Replace a file with the text that the block writes, or leave it as it is if the block fails.

    The text is on stable storage before it has its name. The file keeps its mode.

    Parameters
    ----------
    path
        The file. The temporary file is in its folder.

    Yields
    ------
    TextIO
        Takes the text; what UTF-8 cannot encode is escaped.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
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
    """Return when a file or a folder is on stable storage."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

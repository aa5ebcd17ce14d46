"""Disk space kept for the response to a request that is already under way.

Before a request goes out, its store writes a mark; after the response, it writes the new token. If the disk fills up in
between, the token is lost and with it the session. So a store keeps a file of random bytes beside its own, and refuses
the mark (nothing is sent then) while it has none.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

from argosy.models.session import SessionRecord, Status

#: Errors that say that a disk, or somebody's share of it, is full.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})

#: Bytes by which a response may make a record longer.
MARGIN = 32 * 1024

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def is_mark(record: SessionRecord, current: SessionRecord | None) -> bool:
    """Return whether a write comes before a request, so that nothing is lost if it fails."""
    was_marked = current is not None and current.status is Status.IN_FLIGHT
    return record.status is Status.IN_FLIGHT and not was_marked


class Reserve:
    """The spare file beside a store's file. Its users hold the store's write lock.

    Parameters
    ----------
    path
        The store's file.
    """

    def __init__(self, path: Path) -> None:
        self._path = f"{path}.reserve"

    def keep(self, size: int) -> None:
        """Make sure that there is room for a file.

        Parameters
        ----------
        size
            Its size now, in bytes; it may grow by `MARGIN`.

        Raises
        ------
        OSError
            If there is no room.
        """
        size += MARGIN
        try:
            found = os.lstat(self._path)
        except FileNotFoundError:
            pass
        else:
            if found.st_size >= size and stat.S_ISREG(found.st_mode):
                return
            Path(self._path).unlink(missing_ok=True)
        fd = os.open(self._path, _FLAGS, 0o600)
        try:
            left = 2 * size  # so that it is not made again each time the store grows a little
            while left > 0:  # random: a file system may store zeros, or what repeats, as nothing at all
                left -= os.write(fd, os.urandom(min(left, 1 << 20)))
            os.fsync(fd)  # some file systems look for room only now
        except BaseException:
            Path(self._path).unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)

    def take(self, size: int) -> tuple[int, str]:
        """Return the descriptor and the path of the file, to be overwritten and renamed.

        It keeps so many of its blocks that nobody else can take them first.

        Parameters
        ----------
        size
            How many bytes will be written.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """
        fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.ftruncate(fd, size)
        except BaseException:
            os.close(fd)
            raise
        return fd, self._path

    def give_up(self) -> bool:
        """Free the space for a file that cannot be renamed; return whether there was any."""
        with contextlib.suppress(FileNotFoundError):
            Path(self._path).unlink()
            return True
        return False

"""What one version of a file held, and whether it is still the newest."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Generic, TypeVar

Content = TypeVar("Content")

_Identity = tuple[int, int, int, int]


class Snapshot(Generic[Content]):
    """What one version of a file held.

    The file stays open, so that its inode number cannot be used again: as long as the path leads to that
    inode, unchanged, the content is the newest. (Times alone are too coarse to tell two quick writes apart.)

    Parameters
    ----------
    fd
        The open file; closed with the snapshot.
    stat
        What it was when it was opened.
    """

    __slots__ = ("_fd", "content", "identity")

    def __init__(self, fd: int, stat: os.stat_result | None = None) -> None:
        self._fd = fd
        self.identity: _Identity = (0, 0, 0, 0) if stat is None else identity_of(stat)
        self.content: Content

    @classmethod
    def written(cls, fd: int, data: bytes, content: Content) -> Snapshot[Content]:
        """Write a new file's bytes.

        Raises
        ------
        OSError
            If they cannot be written; a `FileNotFoundError` where somebody has removed the file.
        """
        snapshot = cls(fd)  # from here on it is closed with the snapshot
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        found = os.fstat(fd)
        if not found.st_nlink:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        snapshot.identity = identity_of(found)
        snapshot.content = content
        return snapshot

    def __del__(self) -> None:
        os.close(self._fd)

    def is_current(self, path: Path) -> bool:
        """Return whether the path still leads to this version.

        Raises
        ------
        FileNotFoundError
            If it leads nowhere.
        """
        return identity_of(path.stat()) == self.identity

    def data(self, limit: int) -> bytes:
        """Return the bytes of the file; of one that is larger than a limit, one more than that."""
        return os.pread(self._fd, min(self.identity[2], limit + 1), 0)


def identity_of(stat: os.stat_result) -> _Identity:
    """Return what tells one version of a file from another."""
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns

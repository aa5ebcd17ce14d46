"""Temporary files that are made ahead, to be written and renamed over another file.

To make a file takes longer than to write it and to rename it, and whoever waits for a session waits for that, too. So
they are made when a session has just been given back. They are removed at the end of the process; those of a process
that was killed are removed by the next one.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import weakref
from collections import deque
from pathlib import Path
from typing import TypeVar

from argosy.toolkit.processes import process_lives
from argosy_plugins.cookie_stores._reserve import NO_ROOM, Reserve
from argosy_plugins.cookie_stores._snapshot import Snapshot

_Content = TypeVar("_Content")

#: Files made ahead: a lease writes twice.
AHEAD = 2

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)


class Temporaries:
    """Makes temporary files of mode 0600, whatever the umask.

    Parameters
    ----------
    path
        The file they will replace; they lie beside it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._prefix = f".{path.name}."
        self._numbers = itertools.count()
        self._ready: deque[tuple[int, str]] = deque()  # used by all threads: append and pop are atomic
        self._tidied = False
        self._reserve = Reserve(path)
        weakref.finalize(self, _remove, self._ready)

    def write(self, data: bytes, content: _Content, *, mark: bool) -> tuple[Snapshot[_Content], str]:
        """Write one; return it and its path.

        Parameters
        ----------
        data, content
            The bytes, and what they say.
        mark
            Whether it comes before a request, and so needs room for the response as well; otherwise it may use that room.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        if mark:
            self.keep(len(data))
        try:
            try:
                return _written(*self.take(), data, content)
            except FileNotFoundError:  # somebody has removed it: it was made a while ago
                return _written(*self.make(), data, content)
        except OSError as error:
            if mark or error.errno not in NO_ROOM:
                raise
            try:
                spare = self._reserve.take(len(data))
            except FileNotFoundError:
                raise error from None
            return _written(*spare, data, content)

    def keep(self, size: int) -> None:
        """Make sure that there is room for what comes after a mark; see `Reserve.keep`."""
        self._reserve.keep(size)

    def take(self) -> tuple[int, str]:
        """Return the descriptor and the path of one."""
        try:
            return self._ready.popleft()
        except IndexError:
            return self.make()

    def make(self) -> tuple[int, str]:
        """Make one now."""
        while True:
            name = f"{self._prefix}{os.getpid()}-{next(self._numbers)}.tmp"
            path = str(self._path.with_name(name))
            with contextlib.suppress(FileExistsError):  # of another machine, or of a process of this number
                return os.open(path, _FLAGS, 0o600), path

    def make_ahead(self) -> None:
        """Make some for later; where that fails, whoever needs one says so."""
        with contextlib.suppress(OSError):
            if not self._tidied:
                self._tidied = True
                self._tidy()
            while len(self._ready) < AHEAD:
                self._ready.append(self.make())

    def close(self) -> None:
        """Remove those that were made ahead."""
        _remove(self._ready)

    def _tidy(self) -> None:
        """Remove what processes that were killed have left."""
        for path in self._path.parent.glob(f"{self._prefix}*-*.tmp"):
            pid = path.name.removeprefix(self._prefix).partition("-")[0]
            if pid.isdecimal() and not process_lives(int(pid)):
                path.unlink(missing_ok=True)


def _written(fd: int, path: str, data: bytes, content: _Content) -> tuple[Snapshot[_Content], str]:
    try:
        return Snapshot.written(fd, data, content), path
    except BaseException:
        with contextlib.suppress(OSError):
            Path(path).unlink(missing_ok=True)
        raise


def _remove(ready: deque[tuple[int, str]]) -> None:
    while ready:
        fd, path = ready.popleft()
        os.close(fd)
        with contextlib.suppress(OSError):
            Path(path).unlink()

"""Locks for the threads and processes of one host, and the lock files of a cookie store."""

from __future__ import annotations

import contextlib
import fcntl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast
from urllib.parse import quote

from argosy.errors import StoreError
from argosy.toolkit.locks import FairLock, FileLock, once

#: Seconds after a release in which waiters may still be waking up, and seconds to give way to them. Waking takes 0.1 ms;
#: a waiter that was stopped costs the others one such pause per release.
_JUST_NOW, _WAY = 0.01, 0.001


class HostLock:
    """An exclusive lock for all threads and processes of one host.

    Threads queue within their process. The kernel wakes waiting processes in order, but a running process is faster than
    one that is waking up, so a process that has just freed the lock gives way to waiters (`give_way`).
    """

    def __init__(self, path: Path, *, give_way: bool = True) -> None:
        self._threads = FairLock()
        self._file = FileLock(path)
        # shared by waiters: only a hint, so one that was stopped or has died blocks no one
        self._waiters = FileLock(path.with_name(path.name + ".waiting")) if give_way else None
        self._freed = 0.0

    def acquire(self, *, wait: bool = True) -> Callable[[], None] | None:
        """Take the lock; return a function that frees it, or None if it is held and `wait` is false."""
        if not self._threads.acquire(wait=wait):
            return None
        taken = False
        try:
            taken = self._take(wait=wait)
        finally:
            if not taken:
                self._threads.release()
        return once(self._release) if taken else None

    def _take(self, *, wait: bool) -> bool:
        if time.monotonic() - self._freed < _JUST_NOW and self._others_wait():
            if not wait:
                return False
            time.sleep(_WAY)
        if self._waiters is None or not wait:
            return self._file.acquire(wait=wait)
        if self._file.acquire(wait=False):
            return True
        try:
            for _ in range(10):
                if self._hint(fcntl.LOCK_SH | fcntl.LOCK_NB):
                    break
                time.sleep(_WAY / 10)  # another process tests whether there are waiters
            return self._file.acquire()
        finally:
            self._hint(fcntl.LOCK_UN)

    def _others_wait(self) -> bool:
        if not self._hint(fcntl.LOCK_EX | fcntl.LOCK_NB):
            return True
        self._hint(fcntl.LOCK_UN)
        return False

    def _hint(self, operation: int) -> bool:
        """Return False only if another process is in the way; without hints, the lock itself still works."""
        try:
            if self._waiters is not None:
                self._waiters.flock(operation)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def _release(self) -> None:
        self._file.release()
        self._freed = time.monotonic()
        self._threads.release()


class StoreLocks:
    """The lock files beside a store's file (`path`): one per session (its lease), and one for writes.

    The first use creates the folder and tests that locks work there; on some network file systems they do not. If not,
    or if a lock file cannot be used, it raises `StoreError`. `store` is the plugin's name, for messages.
    """

    def __init__(self, path: Path, store: str) -> None:
        self.path = path
        self._store = store
        self._mutex = threading.Lock()
        self._file: HostLock | None = None
        self._sessions: dict[str, HostLock] = {}

    def hold(
        self, session: str, after: Callable[[], None] = lambda: None, *, wait: bool = True
    ) -> Callable[[], None] | None:
        """Take a session in turn; return what ends the hold and calls `after`, or None if it is taken and not waited for."""
        self._tested()
        with self._mutex:
            if session not in self._sessions:
                self._sessions[session] = HostLock(Path(f"{self.path}.{quote(session, safe=' ')}.lock"))
            lock = self._sessions[session]
        release = lock.acquire(wait=wait)
        if release is None:
            return None

        def end() -> None:
            release()
            after()

        return end

    def write(self) -> Callable[[], None]:
        """Take the file for one change; return a function that frees it."""
        return cast("Callable[[], None]", self._tested().acquire())

    def close(self) -> None:
        """Forget the lock files, which closes those that are not held."""
        with self._mutex:
            self._file = None
            self._sessions.clear()

    def _tested(self) -> HostLock:
        """Return the file's lock. It is the one to test: a session's may be held for long."""
        with self._mutex:
            if self._file is None:
                with contextlib.suppress(OSError):  # taking the lock says why it cannot be used
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                path = Path(f"{self.path}.lock")
                if not _lock_excludes(path):
                    raise StoreError(
                        f"File locks do not work on the file system of {self.path}, so processes would overwrite each "
                        "other's token. The store is not used.",
                        hint=f'Put the store on a local disk ("cookie_store": {{"use": "{self._store}", "path": ...}}).',
                    )
                self._file = HostLock(path, give_way=False)
            return self._file


def _lock_excludes(path: Path) -> bool:
    """Return whether a lock on a file keeps out everyone who opens it, as `flock` must even within one process."""
    first, second = FileLock(path), FileLock(path)
    try:
        return first.acquire() and not second.acquire(wait=False)
    finally:
        second.close()
        first.close()

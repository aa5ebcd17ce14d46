"""Locks for the threads of a process and for the processes of a host."""

from __future__ import annotations

import fcntl
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from argosy.errors import StoreError
from argosy.toolkit.failures import hint_of


class FairLock:
    """A lock that serves threads in order; `threading.Lock` may starve one under load. Any thread may release it."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._held = False
        self._waiting: deque[threading.Lock] = deque()

    def acquire(self, *, wait: bool = True) -> bool:
        """Take the lock; return False only if it is held and `wait` is false."""
        with self._mutex:
            if not self._held:
                self._held = True
                return True
            if not wait:
                return False
            gate = threading.Lock()
            gate.acquire()
            self._waiting.append(gate)
        try:
            gate.acquire()  # until a release hands the lock over
        except BaseException:  # raised by a signal handler
            try:
                with self._mutex:
                    self._waiting.remove(gate)
            except ValueError:
                self.release()  # the lock has just been handed over: pass it on, or it stays locked forever
            raise
        return True

    def release(self) -> None:
        """Hand the lock to the next thread in the queue, or free it."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False


class FileLock:
    """An exclusive `flock` on a file; the kernel frees it when its holder dies.

    Not `lockf`: closing any descriptor of the file would free it. Threads that share the object must queue on a `FairLock`
    first. The file has mode 0600; never remove it, or two processes could lock two files of one name.
    """

    _fd: int | None = None  # stays open between two holds
    _pid = 0  # the process that opened it

    def __init__(self, path: Path) -> None:
        self.path = path

    def __del__(self) -> None:
        self.close()

    def acquire(self, *, wait: bool = True) -> bool:
        """Take the lock; return False only if another process holds it and `wait` is false."""
        operation = fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)
        try:
            self.flock(operation)
            while not self._is_current():
                self.close()  # the file was removed meanwhile: locking it protects nothing
                self.flock(operation)
        except BlockingIOError:
            return False
        except BaseException as error:
            self.close()  # possibly after the lock was granted: without an owner it would keep everyone out
            if not isinstance(error, OSError):
                raise
            hint = hint_of(error, "Put the cookie store on a local disk that you can write to.")
            raise StoreError(f"The lock file {self.path} cannot be used: {error.strerror}.", hint=hint) from None
        return True

    def flock(self, operation: int) -> None:
        """Apply a `flock` operation to the file; open it first if needed."""
        if self._pid != os.getpid():
            self.close()  # after a fork, both processes share the descriptor and it would exclude neither
        if self._fd is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._fd, self._pid = os.open(self.path, flags, 0o600), os.getpid()
        fcntl.flock(self._fd, operation)

    def release(self) -> None:
        """Free the lock."""
        if self._fd is not None and self._pid == os.getpid():
            try:
                fcntl.flock(self._fd, fcntl.LOCK_UN)
            except OSError:
                self.close()  # frees it, too

    def close(self) -> None:
        """Close the file, which frees the lock; the next acquire opens it again."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _is_current(self) -> bool:
        try:
            return self._fd is not None and os.path.samestat(os.fstat(self._fd), self.path.lstat())
        except FileNotFoundError:
            return False


def once(release: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls another one only the first time, in any thread."""
    calls = iter([release])  # `next` is atomic
    return lambda: next(calls, lambda: None)()

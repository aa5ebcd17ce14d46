"""Locks that are first come, first served, and that reach across threads and processes of one host.

The lock files of a store that keeps its sessions in a file: tried out once, then used for every lease.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from argosy.errors import StoreError
from argosy.interfaces.cookie_store import Release
from argosy.toolkit.failures import hint_of

try:
    import fcntl
except ImportError:  # not POSIX: FileLock says so when it is made
    fcntl = None  # type: ignore[assignment]  # the name stands for "no such module"


#: Seconds after freeing a lock in which its waiters may not be awake yet, and those that they are given to take it.
#: (Waking takes 0.1 ms; a waiter that was stopped costs everybody else a millisecond each time.)
_JUST_NOW, _WAY = 0.01, 0.001
#: How often a process tries to say that it waits.
_TRIES = 10


class FairLock:
    """A lock for threads that is handed to whoever has waited longest.

    `threading.Lock` makes no such promise: under load one thread may starve. It may be released by another
    thread than the one that acquired it.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._held = False
        self._waiting: deque[threading.Lock] = deque()

    def acquire(self, *, wait: bool = True) -> bool:
        """Take the lock; return False only where it is held and `wait` is false."""
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
        except BaseException:
            # a signal: whoever gives up must not be handed the lock, or nobody gets it any more
            with self._mutex:
                waited = gate in self._waiting
                if waited:
                    self._waiting.remove(gate)
            if not waited:
                self.release()
            raise
        return True

    def release(self) -> None:
        """Hand the lock to the next in the queue, or free it."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False


class FileLock:
    """An exclusive `flock` on a file, held by one holder of one process at a time.

    The kernel queues the waiters and frees the lock when its holder dies. `lockf` is no choice: it is dropped
    as soon as any descriptor of the file is closed. Not for several threads at once: queue them on a
    `FairLock` first.

    Parameters
    ----------
    path
        The lock file; made with mode 0600 and left in place (removing it would let two holders in).
    """

    _fd: int | None = None  # stays open between two holds
    _pid = 0  # the process that opened it
    _held = False

    def __init__(self, path: Path) -> None:
        if fcntl is None:
            raise StoreError(
                f"{path} needs the file locks of a POSIX system.",
                hint="argosy runs on Linux, macOS and the BSDs.",
            )
        self.path = path

    def __del__(self) -> None:
        self.close()

    def acquire(self, *, wait: bool = True) -> bool:
        """Take the lock; return False only where another process holds it and `wait` is false.

        Raises
        ------
        StoreError
            If the lock file cannot be opened or locked.
        """
        try:
            while True:
                if self._fd is not None and self._pid != os.getpid():
                    self.close()  # after a fork both processes have it, and it would keep neither out
                if self._fd is None:
                    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
                    self._fd, self._pid = os.open(self.path, flags, 0o600), os.getpid()
                fcntl.flock(self._fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                if self._is_current(self._fd):
                    self._held = True
                    return True
                self.close()  # somebody removed the file meanwhile: a lock on it protects nothing
        except BlockingIOError:
            return False
        except (KeyboardInterrupt, SystemExit):
            self.close()  # of a signal's handler: it may have come after the lock
            raise
        except OSError as error:
            self.close()  # or a lock that nobody knows of would keep everybody out
            raise StoreError(
                f"The lock file {self.path} cannot be used: {error.strerror}.",
                hint=hint_of(error, "Put the cookie store on a local disk that you can write to."),
            ) from None

    def release(self) -> None:
        """Free the lock."""
        if self._held and self._fd is not None and self._pid == os.getpid():
            self._held = False
            try:
                fcntl.flock(self._fd, fcntl.LOCK_UN)
            except OSError:
                self.close()  # that frees it, too

    def close(self) -> None:
        """Close the file, which frees the lock; the next acquire opens it again."""
        self._held = False
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _is_current(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), self.path.lstat())
        except FileNotFoundError:
            return False


#: Run in a process of its own: exit code 7 says that the lock is refused to it, as it should be.
_PROBE = """\
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(7)
"""


def lock_excludes(path: Path) -> bool:
    """Return whether a lock on a file really keeps another process out; on some network file systems it does not."""
    lock = FileLock(path)
    lock.acquire()
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _PROBE, str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    finally:
        lock.release()
    return done.returncode == 7


class _Waiting:
    """Says to other processes that this one waits for a lock: it shares a `flock` of another file meanwhile.

    It is only a hint. A waiter that was stopped or has died holds nobody up by it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._pid = 0

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, which says that this process does not wait."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def anybody(self) -> bool:
        """Return whether another process waits."""
        if not self._flock(fcntl.LOCK_EX | fcntl.LOCK_NB):
            return True
        self.stop()
        return False

    def start(self) -> None:
        """Wait from now on."""
        for _ in range(_TRIES):  # it is in the way of this for a moment where another process just asks
            if self._flock(fcntl.LOCK_SH | fcntl.LOCK_NB):
                return
            time.sleep(_WAY / _TRIES)

    def stop(self) -> None:
        """Wait no longer."""
        self._flock(fcntl.LOCK_UN)

    def _flock(self, operation: int) -> bool:
        """Return False only where another process is in the way."""
        try:
            if self._fd is None or self._pid != os.getpid():
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
                self._fd, self._pid = os.open(self._path, flags, 0o600), os.getpid()
            fcntl.flock(self._fd, operation)
        except BlockingIOError:
            return False
        except OSError:  # then nobody knows who waits, and the lock itself is as good as before
            return True
        return True


class HostLock:
    """An exclusive lock for all threads and processes of one host.

    Threads of one process queue among themselves first, so that only one of them meets the file's lock. The
    kernel wakes the waiters of that in their order, but a process that is running is quicker than one that
    is being woken: so one that has just freed the lock gives way to those who wait.

    Parameters
    ----------
    path
        The lock file. Beside it lies another, by which processes tell each other that they wait.
    give_way
        Whether to give way; not worth its while for a lock that is only held for moments.
    """

    def __init__(self, path: Path, *, give_way: bool = True) -> None:
        self._threads = FairLock()
        self._file = FileLock(path)
        self._waiting = _Waiting(path.with_name(f"{path.name}.waiting")) if give_way else None
        self._freed = -math.inf

    def acquire(self, *, wait: bool = True) -> Callable[[], None] | None:
        """Take the lock; return what frees it, or None where it is held and `wait` is false."""
        if not self._threads.acquire(wait=wait):
            return None
        try:
            taken = self._take(wait=wait)
        except BaseException:
            self._threads.release()
            raise
        if not taken:
            self._threads.release()
            return None
        return once(self._release)

    def close(self) -> None:
        """Close its files, unless somebody of this process has it; the next acquire opens them again."""
        if self._threads.acquire(wait=False):
            try:
                self._file.close()
                if self._waiting is not None:
                    self._waiting.close()
            finally:
                self._threads.release()

    def _take(self, *, wait: bool) -> bool:
        waiting = self._waiting
        if waiting is None:
            return self._file.acquire(wait=wait)
        if time.monotonic() - self._freed < _JUST_NOW and waiting.anybody():
            if not wait:
                return False
            time.sleep(_WAY)
        if self._file.acquire(wait=False):
            return True
        if not wait:
            return False
        waiting.start()
        try:
            return self._file.acquire()
        finally:
            waiting.stop()

    def _release(self) -> None:
        self._file.release()
        self._freed = time.monotonic()
        self._threads.release()


def once(release: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls another the first time only, whichever thread is first."""
    left = [release]

    def call() -> None:
        try:
            first = left.pop()  # atomic
        except IndexError:
            return
        first()

    return call


class StoreLocks:
    """The lock files beside a store's file: one for each session (its lease), and one for a write.

    They are never removed, as two holders could then hold two of them. Before the first one is used, a
    second process tries whether locks do anything here; on some network file systems they do not.

    Parameters
    ----------
    path
        The store's file. Its folder is made where there is none.
    store
        The name of the store's plugin, for messages.
    """

    def __init__(self, path: Path, store: str) -> None:
        self.path = path
        self._store = store
        self._mutex = threading.Lock()
        self._file: HostLock | None = None
        self._sessions: dict[str, HostLock] = {}

    def hold(self, session: str, *, wait: bool = True) -> Release | None:
        """Take a session for one holder alone, first come first served.

        Returns
        -------
        Release or None
            What ends the hold; None where it is taken and `wait` is false.

        Raises
        ------
        StoreError
            If locks do nothing here, or a lock file cannot be used.
        """
        self._tried()
        with self._mutex:
            lock = self._sessions.get(session)
            if lock is None:
                lock = self._sessions[session] = HostLock(self._beside(f".{quote(session, safe=' ')}.lock"))
        return lock.acquire(wait=wait)

    def write(self) -> Release:
        """Take the file for one change.

        Raises
        ------
        StoreError
            If locks do nothing here, or the lock file cannot be used.
        """
        release = self._tried().acquire()
        if release is None:
            raise StoreError(f"The lock of {self.path} was not granted.")
        return release

    def forget(self, session: str) -> None:
        """Close the lock file of a session that is there no more, unless somebody holds it."""
        with self._mutex:
            lock = self._sessions.get(session)
            if lock is not None:
                lock.close()

    def close(self) -> None:
        """Close the lock files; one that is held is left to its holder."""
        with self._mutex:
            for lock in [*self._sessions.values(), *([self._file] if self._file else [])]:
                lock.close()

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    def _tried(self) -> HostLock:
        """Return the file's lock; the first time it is tried whether locks do anything here.

        It is tried on the lock of the file, which is never held for long: on a session's it would wait for a lease.
        """
        with self._mutex:
            if self._file is None:
                try:
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    raise StoreError(
                        f"The folder of the cookie store {self.path} cannot be made: {error.strerror}.",
                        hint="Check its path and the permissions there, then start again.",
                    ) from None
                lock = self._beside(".lock")
                if not lock_excludes(lock):
                    raise StoreError(
                        f"Locks do nothing on the file system of {self.path}: a second process was let in. "
                        "Two of them would overwrite each other's token, so the store is not used.",
                        hint=f'Put the store on a local disk ("cookie_store": {{"use": "{self._store}", "path": ...}}).',
                    )
                self._file = HostLock(lock, give_way=False)
            return self._file

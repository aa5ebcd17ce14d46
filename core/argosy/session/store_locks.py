"""The lock files of a store that keeps its sessions in a file: tried out once, then used for every lease."""

from __future__ import annotations

import threading
from pathlib import Path
from urllib.parse import quote

from argosy.contracts.cookie_store import Release
from argosy.errors import StoreError
from argosy.locks import HostLock, lock_excludes


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

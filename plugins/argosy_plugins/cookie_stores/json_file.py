"""The cookie store that keeps sessions in one JSON file, safe for threads, processes and terminals of one host."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import argosy
from argosy.contracts import CookieStore, PluginContext, Release, Scope
from argosy.errors import GenerationMoved, StoreError
from argosy.locks import HostLock, lock_excludes
from argosy.reasons import hint_of
from argosy.session import document
from argosy.session.record import SessionRecord
from argosy_plugins.cookie_stores._temporaries import Temporaries

#: Outdated files that are kept open for a while: those that the last lease has written.
KEPT = 2


class JsonFileStore(CookieStore):
    """Keeps sessions in a file of mode 0600 that is only ever replaced whole.

    Beside it lie lock files: one for each session (its lease) and one for the file (a write). They are
    never removed, as two holders could then hold two of them.
    """

    name = "json-file"
    summary = "Sessions in one JSON file, shared by threads, processes and terminals of one host"
    scope = Scope.HOST
    options_schema = {
        "type": "object",
        "properties": {
            "path": {
                "type": "string",
                "minLength": 1,
                "default": "cookies.json",
                "description": "The file, relative to the configuration file.",
            }
        },
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self.path = context.path(options.get("path", "cookies.json"))
        self._mutex = threading.Lock()
        self._holds: dict[str, HostLock] = {}
        self._file_lock: HostLock | None = None
        self._texts: document.Texts = {}  # used under the file's lock alone
        self._temporaries = Temporaries(self.path)
        # to close the last descriptor of a file is to delete it, and that waits until it has been written
        self._outdated: deque[_Snapshot] = deque(maxlen=2 * KEPT)
        self._snapshot: _Snapshot | None = None
        self._synced: _Snapshot | None = None

    def read(self, session: str) -> SessionRecord | None:
        """Return the newest record."""
        return self._load().get(session)

    def write(self, record: SessionRecord, expected: int) -> None:
        """Replace the record if its generation is the expected one, in one rename."""
        release = self._lock_file()
        try:
            records = dict(self._load())
            current = records.get(record.session)
            if (current.generation if current else 0) != expected:
                raise GenerationMoved(f"The session {record.session!r} was changed by somebody else first.")
            records[record.session] = record
            self._replace(records)
        finally:
            release()

    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        """Take the session for this thread of this process alone."""
        self._checked_lock()
        with self._mutex:
            hold = self._holds.get(session)
            if hold is None:
                hold = self._holds[session] = HostLock(self._beside(f".{quote(session, safe=' ')}.lock"))
        release = hold.acquire(wait=wait)
        return None if release is None else partial(self._end, release)

    def sessions(self) -> list[str]:
        """Return the names of its sessions."""
        return sorted(self._load())

    def remove(self, session: str) -> None:
        """Forget a session."""
        release = self._lock_file()
        try:
            records = dict(self._load())
            if records.pop(session, None) is not None:
                self._replace(records)
        finally:
            release()

    def sync(self) -> None:
        """Sync the file and its folder, unless they are as they were at the last time."""
        self._load()
        snapshot = self._snapshot
        if snapshot is None or snapshot is self._synced:
            return
        self._sync_files()
        self._synced = snapshot  # as long as it is kept, no other version has its inode

    def _sync_files(self) -> None:
        for path in (self.path, self.path.parent):
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                os.fsync(fd)
            except OSError as error:
                raise self._failed("be put on stable storage", error) from None
            finally:
                os.close(fd)

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    def _checked_lock(self) -> HostLock:
        """Return the file's lock; the first time it is tried whether locks do anything here.

        It is tried on the lock of the file, which is never held for long: on a session's it would wait for a lease.
        """
        with self._mutex:
            if self._file_lock is None:
                try:
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    raise self._failed("be made", error) from None
                lock = self._beside(".lock")
                if not lock_excludes(lock):
                    raise StoreError(
                        f"Locks do nothing on the file system of {self.path}: a second process was let in. "
                        "Two of them would overwrite each other's token, so the store is not used.",
                        hint='Put the store on a local disk ("cookie_store": {"use": "json-file", "path": ...}).',
                    )
                self._file_lock = HostLock(lock, give_way=False)
            return self._file_lock

    def _lock_file(self) -> Release:
        release = self._checked_lock().acquire()
        if release is None:
            raise StoreError(f"The lock of {self.path} was not granted.")
        return release

    def _load(self) -> dict[str, SessionRecord]:
        """Return the records; a file that was not replaced since is not parsed again."""
        snapshot = self._snapshot
        try:
            if snapshot is not None and snapshot.is_current(self.path):
                return snapshot.records
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._failed("be read", error) from None
        fresh = _Snapshot(fd, os.fstat(fd))
        fresh.records = document.parse(fresh.data(), str(self.path))
        self._snapshot = fresh
        return fresh.records

    def _replace(self, records: dict[str, SessionRecord]) -> None:
        data = document.dump(records, self._texts)
        try:
            try:
                snapshot = self._put(*self._temporaries.take(), data, records)
            except FileNotFoundError:  # somebody has tidied up: it was made a while ago
                snapshot = self._put(*self._temporaries.make(), data, records)
        except OSError as error:
            raise self._failed("be written", error) from None
        if self._snapshot is not None:
            self._outdated.append(self._snapshot)
        self._snapshot = snapshot

    def _put(self, fd: int, temporary: str, data: bytes, records: dict[str, SessionRecord]) -> _Snapshot:
        try:
            snapshot = _Snapshot.written(fd, data, records)
            os.replace(temporary, self.path)  # noqa: PTH105 - twice for each request: a Path costs time
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink(missing_ok=True)
            raise
        return snapshot

    def _end(self, release: Release) -> None:
        """Give a session back, and then do what need not be done while one has it."""
        release()
        with contextlib.suppress(IndexError):
            while len(self._outdated) > KEPT:
                self._outdated.popleft()
        self._temporaries.make_ahead()

    def _failed(self, what: str, error: OSError) -> StoreError:
        return StoreError(
            f"The cookie store {self.path} cannot {what}: {error.strerror}. The old state stands.",
            hint=hint_of(error, "Make room or check the permissions of its folder, then start again."),
        )


class _Snapshot:
    """What one version of the file held.

    The file stays open, so that its inode number cannot be used again: as long as the path leads to that
    inode, unchanged, the records are the newest. (Times alone are too coarse to tell two quick writes apart.)
    """

    __slots__ = ("_fd", "_identity", "records")

    def __init__(self, fd: int, stat: os.stat_result | None = None) -> None:
        self._fd = fd
        self._identity = (0, 0, 0, 0) if stat is None else _identity(stat)
        self.records: dict[str, SessionRecord] = {}

    @classmethod
    def written(cls, fd: int, data: bytes, records: dict[str, SessionRecord]) -> _Snapshot:
        """Write a new file's bytes."""
        snapshot = cls(fd)  # from here on it is closed with the snapshot
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        snapshot._identity = _identity(os.fstat(fd))
        snapshot.records = records
        return snapshot

    def __del__(self) -> None:
        os.close(self._fd)

    def is_current(self, path: Path) -> bool:
        """Return whether the path still leads to this version."""
        return _identity(path.stat()) == self._identity

    def data(self) -> bytes:
        """Return the bytes of the file."""
        return os.pread(self._fd, self._identity[2], 0)


def _identity(stat: os.stat_result) -> tuple[int, int, int, int]:
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


@argosy.hookimpl
def argosy_cookie_store() -> type[CookieStore]:
    """Register the store."""
    return JsonFileStore

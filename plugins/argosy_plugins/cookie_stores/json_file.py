"""The cookie store that keeps sessions in one JSON file, safe for threads, processes and terminals of one host."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import argosy
from argosy.contracts import CookieStore, PluginContext, Release, Scope
from argosy.errors import GenerationMoved, StoreError
from argosy.session import document
from argosy.session.record import SessionRecord
from argosy.session.store_locks import StoreLocks


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
        self._locks = StoreLocks(self.path, self.name)
        self._texts: document.Texts = {}  # used under the file's lock alone
        self._temporary = str(self.path.with_name(f".{self.path.name}."))
        self._numbers = itertools.count()
        self._snapshot: _Snapshot | None = None
        self._synced: _Snapshot | None = None

    def read(self, session: str) -> SessionRecord | None:
        """Return the newest record."""
        return self._load().get(session)

    def write(self, record: SessionRecord, expected: int) -> None:
        """Replace the record if its generation is the expected one, in one rename."""
        release = self._locks.write()
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
        return self._locks.hold(session, wait=wait)

    def sessions(self) -> list[str]:
        """Return the names of its sessions."""
        return sorted(self._load())

    def remove(self, session: str) -> None:
        """Forget a session."""
        release = self._locks.write()
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
            fd, temporary = self._open_temporary()
            try:
                snapshot = _Snapshot.written(fd, data, records)
                os.replace(temporary, self.path)  # noqa: PTH105 - twice for each request: a Path costs time
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise self._failed("be written", error) from None
        self._snapshot = snapshot

    def _open_temporary(self) -> tuple[int, str]:
        """Make a temporary file of mode 0600, whatever the umask (`mkstemp` does, but takes longer)."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        while True:
            path = f"{self._temporary}{os.getpid()}-{next(self._numbers)}.tmp"
            try:
                return os.open(path, flags, 0o600), path
            except FileExistsError:
                continue  # of a process that was killed

    def _failed(self, what: str, error: OSError) -> StoreError:
        return StoreError(
            f"The cookie store {self.path} cannot {what}: {error.strerror}. The old state stands.",
            hint="Make room or check the permissions of its folder, then start again.",
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

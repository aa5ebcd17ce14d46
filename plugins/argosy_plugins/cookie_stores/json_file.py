"""The cookie store that keeps sessions in one JSON file, safe for threads, processes and terminals of one host."""

from __future__ import annotations

import contextlib
import os
import stat
from collections import deque
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import argosy
from argosy.errors import GenerationMoved, StoreError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.cookie_store import CookieStore, Release, Scope
from argosy.models.session import SessionRecord
from argosy.toolkit import session_document as document
from argosy.toolkit.encryption import ENCRYPT, Sealing
from argosy.toolkit.failures import hint_of
from argosy.toolkit.locks import StoreLocks
from argosy_plugins.cookie_stores._private import not_a_file
from argosy_plugins.cookie_stores._reserve import is_mark
from argosy_plugins.cookie_stores._snapshot import Snapshot
from argosy_plugins.cookie_stores._temporaries import Temporaries

_Version = Snapshot[dict[str, SessionRecord]]

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
            },
            "encrypt": ENCRYPT,
        },
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self.path = context.path(options.get("path", "cookies.json"))
        self._sealing = Sealing.of(options, context, str(self.path), self.name)
        self._locks = StoreLocks(self.path, self.name)
        self._texts: document.Texts = {}  # used under the file's lock alone
        self._temporaries = Temporaries(self.path)
        # to close the last descriptor of a file is to delete it, and that waits until it has been written
        self._outdated: deque[_Version] = deque(maxlen=2 * KEPT)
        self._snapshot: _Version | None = None
        self._synced: _Version | None = None

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
            self._replace(records, mark=is_mark(record, current))
        finally:
            release()

    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        """Take the session for this thread of this process alone."""
        release = self._locks.hold(session, wait=wait)
        return None if release is None else partial(self._end, release)

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
        self._locks.forget(session)

    def sync(self) -> None:
        """Sync the file and its folder, unless they are as they were at the last time."""
        self._load()
        snapshot = self._snapshot
        if snapshot is None or snapshot is self._synced:
            return
        self._sync_files()
        self._synced = snapshot  # as long as it is kept, no other version has its inode

    def close(self) -> None:
        """Close the files; a session that somebody still holds is left to them."""
        self._snapshot = self._synced = None
        self._outdated.clear()
        self._temporaries.close()
        self._locks.close()

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
                return snapshot.content
            # what is no file must not make anybody wait for its other end
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._failed("be read", error) from None
        fresh: _Version = Snapshot(fd, found := os.fstat(fd))
        if not stat.S_ISREG(found.st_mode):
            raise not_a_file(self.path)
        fresh.content = records = document.parse(
            fresh.data(document.MAX_BYTES), str(self.path), self._sealing
        )
        self._snapshot = fresh
        return records

    def _replace(self, records: dict[str, SessionRecord], *, mark: bool = False) -> None:
        data = document.dump(records, self._texts, self._sealing)
        try:
            snapshot, temporary = self._temporaries.write(data, records, mark=mark)
            try:
                os.replace(temporary, self.path)  # noqa: PTH105 - twice for each request: a Path costs time
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise self._failed("be written", error) from None
        if self._snapshot is not None:
            self._outdated.append(self._snapshot)
        self._snapshot = snapshot

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


@argosy.hookimpl
def argosy_cookie_store() -> type[CookieStore]:
    """Register the store."""
    return JsonFileStore

"""A cookie store for argosy: sessions in one file, for the processes of one machine."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import argosy
from argosy.errors import GenerationMoved, StoreDamaged, StoreError
from argosy.interfaces import Release
from argosy.models.session import SessionRecord
from argosy.toolkit.files import atomic_write
from argosy.toolkit.locks import FairLock, FileLock, once


class ExampleCookieStore(argosy.CookieStore):
    """Keeps sessions in a file of mode 0600 that is always replaced as a whole, with lock files beside it."""

    name = "example"
    summary = "Sessions in one file, for the processes of one machine"
    scope = argosy.Scope.HOST
    options_schema = {
        "type": "object",
        "properties": {
            "path": {
                "type": "string",
                "minLength": 1,
                "default": "example.json",
                "description": "The file, relative to the configuration.",
            }
        },
    }

    def __init__(self, options: Mapping[str, Any], context: argosy.PluginContext) -> None:
        super().__init__(options, context)
        self.path = context.path(options["path"])
        self._threads: defaultdict[str, FairLock] = defaultdict(FairLock)

    def read(self, session: str) -> SessionRecord | None:
        """Return the newest record."""
        return self._load().get(session)

    def write(self, record: SessionRecord, expected: int) -> None:
        """Replace the record if its generation is the expected one."""
        lock = self._lock_file("lock")
        lock.acquire()
        try:
            records = self._load()
            current = records.get(record.session)
            if (current.generation if current else 0) != expected:
                raise GenerationMoved(f"Another process changed the session {record.session!r} first.")
            self._replace({**records, record.session: record})
        finally:
            lock.release()

    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        """Take the session for this thread of this process alone."""
        threads = self._threads[session]  # they queue, then one of them waits for other processes
        if not threads.acquire(wait=wait):
            return None
        lock = self._lock_file(f"{quote(session, safe='')}.lock")
        try:
            taken = lock.acquire(wait=wait)
            if taken and FileLock(lock.path).acquire(wait=False):
                raise StoreError(
                    f"File locks do not work on the file system of {self.path}. The store is not used.",
                    hint="Put it on a local disk.",
                )
        except BaseException:
            threads.release()
            raise

        def release() -> None:
            lock.release()
            threads.release()

        if not taken:
            threads.release()
        return once(release) if taken else None

    def sessions(self) -> list[str]:
        """Return the names of its sessions."""
        return sorted(self._load())

    def remove(self, session: str) -> None:
        """Forget a session."""
        lock = self._lock_file("lock")
        lock.acquire()
        try:
            records = self._load()
            if records.pop(session, None) is not None:
                self._replace(records)
        finally:
            lock.release()

    def sync(self) -> None:
        """Do nothing: each write is on stable storage before it returns."""

    def _lock_file(self, suffix: str) -> FileLock:
        with contextlib.suppress(OSError):  # locking the file says why it cannot be used
            self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(Path(f"{self.path}.{suffix}"))

    def _load(self) -> dict[str, SessionRecord]:
        try:
            document = json.loads(self.path.read_bytes())
            if document["checksum"] != _checksum(document["sessions"]):
                raise ValueError("the checksum does not fit")
            return {name: SessionRecord.from_dict(record) for name, record in document["sessions"].items()}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._failed("be read", error) from None
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            # never start with an empty store instead
            raise StoreDamaged(
                f"The cookie store {self.path} is damaged. It was not changed.",
                hint="Restore it from a backup, or move it away and log in again: argosy login CONFIG",
            ) from None

    def _replace(self, records: Mapping[str, SessionRecord]) -> None:
        sessions = {name: record.to_dict() for name, record in records.items()}
        try:
            with atomic_write(self.path, mode=0o600) as file:
                json.dump({"checksum": _checksum(sessions), "sessions": sessions}, file)
        except OSError as error:
            raise self._failed("be written", error) from None

    def _failed(self, what: str, error: OSError) -> StoreError:
        return StoreError(
            f"The cookie store {self.path} cannot {what}: {error.strerror}. It was not changed.",
            hint="Free some space or check the permissions of its folder, then start again.",
        )


def _checksum(sessions: Any) -> str:
    return hashlib.sha256(json.dumps(sessions, sort_keys=True).encode()).hexdigest()


@argosy.hookimpl
def argosy_cookie_store() -> type[argosy.CookieStore]:
    """Register the store."""
    return ExampleCookieStore

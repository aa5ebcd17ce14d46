"""A cookie store for argosy: sessions in one file, for the processes of one machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import argosy
from argosy.interfaces.cookie_store import Release
from argosy.errors import GenerationMoved, StoreError
from argosy.toolkit import session_document as document
from argosy.models.session import SessionRecord
from argosy.toolkit.locks import StoreLocks


class ExampleCookieStore(argosy.CookieStore):
    """Keeps sessions in a file of mode 0600 that is only ever replaced whole; lock files lie beside it."""

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
        self._locks = StoreLocks(self.path, self.name)

    def read(self, session: str) -> SessionRecord | None:
        """Return the newest record."""
        return self._load().get(session)

    def write(self, record: SessionRecord, expected: int) -> None:
        """Replace the record if its generation is the expected one."""
        release = self._locks.write()
        try:
            records = self._load()
            current = records.get(record.session)
            if (current.generation if current else 0) != expected:
                raise GenerationMoved(f"The session {record.session!r} was changed by somebody else first.")
            self._replace({**records, record.session: record})
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
            records = self._load()
            if records.pop(session, None) is not None:
                self._replace(records)
        finally:
            release()
        self._locks.forget(session)

    def sync(self) -> None:
        """Return when the file and its folder are on stable storage."""
        for path in (self.path, self.path.parent):
            try:
                descriptor = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                continue
            try:
                os.fsync(descriptor)
            except OSError as error:
                raise self._failed("be put on stable storage", error) from None
            finally:
                os.close(descriptor)

    def close(self) -> None:
        """Close the lock files."""
        self._locks.close()

    def _load(self) -> dict[str, SessionRecord]:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._failed("be read", error) from None
        return document.parse(data, str(self.path))  # raises StoreDamaged; it never starts empty

    def _replace(self, records: Mapping[str, SessionRecord]) -> None:
        data = document.dump(records)
        temporary: str | None = None
        try:
            # for this user alone, from the first moment on
            descriptor, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
            Path(temporary).replace(self.path)
        except OSError as error:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
            raise self._failed("be written", error) from None

    def _failed(self, what: str, error: OSError) -> StoreError:
        return StoreError(
            f"The cookie store {self.path} cannot {what}: {error.strerror}. The old state stands.",
            hint="Make room or check the permissions of its folder, then start again.",
        )


@argosy.hookimpl
def argosy_cookie_store() -> type[argosy.CookieStore]:
    """Register the store."""
    return ExampleCookieStore

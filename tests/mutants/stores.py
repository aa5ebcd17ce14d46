"""Cookie stores that break one promise each."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from argosy.errors import GenerationMoved, StoreDamaged, StoreError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.cookie_store import Release
from argosy.models.session import SessionRecord
from argosy.toolkit.locks import FairLock, once
from argosy_plugins.cookie_stores import _document as document
from argosy_plugins.cookie_stores._locks import HostLock, StoreLocks
from argosy_plugins.cookie_stores.json_file import JsonFileStore
from argosy_plugins.cookie_stores.memory import MemoryStore
from argosy_plugins.cookie_stores.sqlite import SqliteStore

# -- records


class ComparesNothing(MemoryStore):
    """Writes whatever the generation is."""

    def write(self, record: SessionRecord, expected: int) -> None:
        current = self.read(record.session)
        super().write(record, current.generation if current else 0)


class ComparesWithoutTheLock(MemoryStore):
    """Compares first and sets later, so that two writers may both be right."""

    def write(self, record: SessionRecord, expected: int) -> None:
        current = self.read(record.session)
        if (current.generation if current else 0) != expected:
            raise GenerationMoved("moved")
        time.sleep(0.001)
        self._records[record.session] = record


class ForgetsWhatWasLearned(MemoryStore):
    """Keeps only what it knows of."""

    def write(self, record: SessionRecord, expected: int) -> None:
        super().write(replace(record, learned={}), expected)


class ClosesNothing(JsonFileStore):
    """Leaves its files open until it is collected."""

    def close(self) -> None:
        pass


class NeverReadsAgain(JsonFileStore):
    """Keeps a record that it has read, even if another process writes."""

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self._kept: dict[str, SessionRecord] = {}

    def read(self, session: str) -> SessionRecord | None:
        if session not in self._kept and (found := super().read(session)) is not None:
            self._kept[session] = found
        return self._kept.get(session)

    def write(self, record: SessionRecord, expected: int) -> None:
        super().write(record, expected)
        self._kept[record.session] = record


class MixesUpNames(MemoryStore):
    """Takes names that differ in case alone for one."""

    def read(self, session: str) -> SessionRecord | None:
        found = super().read(session.lower())
        return found and replace(found, session=session)

    def write(self, record: SessionRecord, expected: int) -> None:
        super().write(replace(record, session=record.session.lower()), expected)


class WritesInPlace(JsonFileStore):
    """Writes over its file, a half at a time, where readers may look."""

    def write(self, record: SessionRecord, expected: int) -> None:
        release = self._locks.write()
        try:
            current = self.read(record.session)
            if (current.generation if current else 0) != expected:
                raise GenerationMoved("moved")
            data = document.dump({record.session: record}, self._sealing, {})
            with open(self.path, "wb", buffering=0) as file:
                file.write(data[: len(data) // 2])
                time.sleep(0.03)
                file.write(data[len(data) // 2 :])
        finally:
            release()


class RemovesFirst(JsonFileStore):
    """Takes the old record away before it writes the new one."""

    def write(self, record: SessionRecord, expected: int) -> None:
        current = self.read(record.session)
        if (current.generation if current else 0) != expected:
            raise GenerationMoved("moved")
        self.remove(record.session)
        super().write(record, 0)


# -- holds


class LetsEverybodyIn(MemoryStore):
    """Grants every hold."""

    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        return lambda: None


class HoldsInOneProcess(JsonFileStore):
    """Knows of the threads of its own process alone."""

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self._own = MemoryStore({}, context)

    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        return self._own.acquire(session, wait=wait)


class HoldsAfterDeath(JsonFileStore):
    """Holds by creating a file, which stays when the holder dies."""

    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        path = self.path.with_name("held")
        path.parent.mkdir(exist_ok=True)
        while True:
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
            except FileExistsError:
                if not wait:
                    return None
                time.sleep(0.002)
            else:
                return once(path.unlink)


class ServesTheLastFirst(MemoryStore):
    """Hands a session to the last waiter first."""

    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        hold = self._holds[session]
        if not isinstance(hold, _Stack):
            hold = self._holds[session] = _Stack()
        return once(hold.release) if hold.acquire(wait=wait) else None


class _Stack(FairLock):
    def release(self) -> None:
        self._waiting.reverse()
        super().release()


class EndsOthersHolds(MemoryStore):
    """A second release ends whatever hold there is then."""

    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        hold = self._holds[session]
        return hold.release if hold.acquire(wait=wait) else None


class ReturnsALock(MemoryStore):
    """Returns what is held, where a function that ends the hold is wanted."""

    def acquire(self, session: str, *, wait: bool = True) -> Any:
        hold = self._holds[session]
        return hold if hold.acquire(wait=wait) else None


class EndsNoHold(MemoryStore):
    """Returns a function that does nothing."""

    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        return (lambda: None) if self._holds[session].acquire(wait=wait) else None


class HoldsReaders(MemoryStore):
    """Does not let others read a held session."""

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self._holder: int | None = None

    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        release = super().acquire(session, wait=wait)
        self._holder = threading.get_ident() if release else self._holder
        return release

    def read(self, session: str) -> SessionRecord | None:
        if self._holder not in (None, threading.get_ident()):
            raise StoreError("held")
        return super().read(session)


class _Untested(StoreLocks):
    def _tested(self) -> HostLock:
        self.path.parent.mkdir(exist_ok=True)
        self._file = self._file or HostLock(self.path.with_name("untested.lock"))
        return self._file


class DoesNotTestItsLock(JsonFileStore):
    """Accepts a lock that does not exclude (rule 12)."""

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self._locks = _Untested(self.path, self.name)


# -- survival


class StartsEmpty(JsonFileStore):
    """Takes a file that it cannot read for an empty one (rule 11)."""

    def read(self, session: str) -> SessionRecord | None:
        try:
            return super().read(session)
        except StoreDamaged:
            return None

    def write(self, record: SessionRecord, expected: int) -> None:
        try:
            super().write(record, expected)
        except StoreDamaged:
            self.path.unlink()
            super().write(record, expected)


class SkipsTheChecksum(SqliteStore):
    """Trusts its rows without a check."""

    def _parsed(self, session: str, row: Any) -> SessionRecord:
        import json

        return SessionRecord.from_dict(json.loads(row[1]))


class ReadableByAll(JsonFileStore):
    """Leaves the mode of its file to the umask."""

    def write(self, record: SessionRecord, expected: int) -> None:
        super().write(record, expected)
        umask = os.umask(0)
        os.umask(umask)
        self.path.chmod(0o666 & ~umask)


class RemovesWhatFails(JsonFileStore):
    """Throws its file away when a write fails."""

    def write(self, record: SessionRecord, expected: int) -> None:
        try:
            super().write(record, expected)
        except GenerationMoved:
            raise
        except StoreError:
            self.path.unlink()
            raise


class SaysWrittenTooEarly(JsonFileStore):
    """Writes every third record alone, and keeps the others in memory for a while."""

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self._newest: SessionRecord | None = None

    def read(self, session: str) -> SessionRecord | None:
        return self._newest or super().read(session)

    def write(self, record: SessionRecord, expected: int) -> None:
        self._newest = record
        if record.generation % 3 == 0:
            kept = super().read(record.session)
            super().write(record, kept.generation if kept else 0)


def only_file(folder: Path) -> list[Path]:
    """Return the file that these stores keep their sessions in."""
    return [path for path in (folder / "cookies.json", folder / "cookies.sqlite") if path.exists()]

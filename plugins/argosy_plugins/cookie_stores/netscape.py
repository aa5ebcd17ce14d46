"""The cookie store that keeps a session in a ``cookies.txt``, which curl, wget and yt-dlp read and write between runs.

Each session has two files: the ``cookies.txt``, and beside it the whole record (`_jar_state`), which is replaced first. If
a process dies between the two, the ``cookies.txt`` is known to be the one before, and the next process writes it again.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import argosy
from argosy.errors import GenerationMoved, StoreDamaged, StoreError
from argosy.interfaces import CookieStore, PluginContext, Release, Scope
from argosy.models.session import SessionRecord
from argosy_plugins.cookie_stores import _cookies_txt, _jar_state
from argosy_plugins.cookie_stores._cookies_txt import DIALECTS, MAX_BYTES, NOTHING, CookiesTxt
from argosy_plugins.cookie_stores._files import StoreFile, is_mark
from argosy_plugins.cookie_stores._jar_state import JarState
from argosy_plugins.cookie_stores._locks import StoreLocks

#: The session in the file itself; the files of others have the session's name in their names.
PLAIN = "default"

#: What is appended to the name of a ``cookies.txt``.
SUFFIX = ".session.json"

#: Seconds without a change after which a file is complete (wget and yt-dlp write in place), after which half a file is
#: damaged, and to wait at most.
STILL, PATIENCE, MOST = 0.02, 0.3, 3.0


class NetscapeStore(CookieStore):
    """Keeps each session in a ``cookies.txt`` of mode 0600, with its record and lock files beside it.

    What another program writes to the ``cookies.txt`` becomes the session's newest cookies.
    """

    name = "netscape"
    summary = "A session in a cookies.txt, which curl, wget and yt-dlp use between runs, on one host"
    scope = Scope.HOST
    options_schema = {
        "type": "object",
        "properties": {
            "path": {
                "type": "string",
                "minLength": 1,
                "default": "cookies.txt",
                "description": "The file, relative to the configuration file. It has the session `default`; "
                "another session, `NAME`, is in `cookies.NAME.txt` beside it.",
            },
            "dialect": {
                "enum": list(DIALECTS),
                "default": "curl",
                "description": "The other reader: curl (and yt-dlp, Python, browser extensions), or wget, which ignores "
                "the lines of HttpOnly cookies and needs ports.",
            },
        },
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        # two names of one file must lead to the same lock files, and a link must not be replaced by a file
        self.path = Path(os.path.realpath(context.path(options.get("path", "cookies.txt"))))
        self._locks = StoreLocks(self.path, self.name)
        self._mutex = threading.Lock()
        self._jars: dict[str, _SharedJar] = {}

    def read(self, session: str) -> SessionRecord | None:
        """Return the newest record, with the changes of other programs."""
        jar = self._jar(session)
        state = jar.peek()
        if state is None:
            release = self._locks.write()
            try:
                state = jar.settle()
            finally:
                release()
        return state.record

    def write(self, record: SessionRecord, expected: int) -> None:
        """Replace the record if its generation is the expected one; changes by other programs count."""
        release = self._locks.write()
        try:
            jar = self._jar(record.session)
            state = jar.settle()
            if (state.record.generation if state.record else 0) != expected:
                raise GenerationMoved(f"Another process changed the session {record.session!r} first.")
            jar.commit(state.after(record), mark=is_mark(record, state.record))
        finally:
            release()

    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        """Take the session for this thread of this process alone."""
        return self._locks.hold(session, self._jar(session).clean, wait=wait)

    def sessions(self) -> list[str]:
        """Return the names of its sessions."""
        found = {PLAIN}
        stem, suffix = self.path.stem, self.path.suffix
        for path in self.path.parent.glob("*" + SUFFIX):
            name = path.name.removesuffix(SUFFIX)
            if name.startswith(f"{stem}.") and name.endswith(suffix) and name != self.path.name:
                found.add(unquote(name[len(stem) + 1 : len(name) - len(suffix) or None]))
        return sorted(name for name in found if self._has(name))

    def _has(self, session: str) -> bool:
        try:
            return self.read(session) is not None
        except StoreDamaged:
            raise
        except StoreError:
            return False  # a file of this name belongs to another store

    def remove(self, session: str) -> None:
        """Forget a session."""
        release = self._locks.write()
        try:
            jar = self._jar(session)
            while (state := jar.settle()).record is not None:
                with contextlib.suppress(GenerationMoved):
                    jar.remove(state)
        finally:
            release()

    def sync(self) -> None:
        """Sync the files and their folder, unless they were not changed since the last time."""
        with self._mutex:
            jars = list(self._jars.values())
        for jar in jars:
            jar.sync()

    def close(self) -> None:
        """Close the files; sessions that are still held stay with their holders."""
        with self._mutex:
            self._jars.clear()
        self._locks.close()

    def _jar(self, session: str) -> _SharedJar:
        with self._mutex:
            if session not in self._jars:
                path = self.path
                if session != PLAIN:
                    beside = path.with_name(f"{path.stem}.{quote(session, safe=' ')}{path.suffix}")
                    path = Path(os.path.realpath(beside))
                dialect = self.options.get("dialect", "curl")
                self._jars[session] = _SharedJar(path, session, self.context.notice, dialect)
            return self._jars[session]


class _SharedJar:
    """The two files of one session. Writers hold the store's lock."""

    def __init__(self, path: Path, session: str, notice: Callable[[str], None], dialect: str) -> None:
        self.path = path
        self._session = session
        self._notice = notice
        self._spell = DIALECTS[dialect]
        self._jar_file = StoreFile(path, notice, shared=True)
        self._state_file = StoreFile(path.with_name(path.name + SUFFIX), notice)
        self._jar: CookiesTxt | None = None
        self._state: tuple[bytes | None, JarState] = (None, JarState())
        self._settled: CookiesTxt | None = None  # what was read under the lock

    def peek(self) -> JarState | None:
        """Return the state without a lock, or None if it needs a closer look."""
        try:
            state, jar = self._read_state(), self._read_jar()
        except StoreDamaged:
            return None
        if jar is None:
            return JarState() if state is None or state.before != NOTHING else None
        if state is None:
            return None if jar.cookies or not jar.is_whole else JarState()
        return state if state.jar == jar.fingerprint else None

    def settle(self) -> JarState:
        """Return the state, after adopting the changes of another program, or completing a write that was cut off."""
        while True:
            state = self._read_state()
            try:
                jar = self._read_jar()
                if state is None and jar and not jar.is_whole and self._is_recent():  # curl empties it first
                    jar = self._wait_until_still(state)
            except StoreDamaged:
                jar = self._wait_until_still(state)
            self._settled = jar
            fingerprint = jar.fingerprint if jar else NOTHING
            if jar is None:
                if state is None or state.before != NOTHING:
                    return JarState()  # there is no file, or it was removed: no session
            elif state is None and not jar.cookies:
                return JarState()
            elif state is not None and fingerprint == state.jar:
                return state
            if state is not None and state.before == fingerprint:
                self._complete(state)
                return state
            with contextlib.suppress(GenerationMoved):
                return self._adopt(state)

    def _adopt(self, state: JarState | None) -> JarState:
        jar = self._settled = self._wait_until_still(state)
        if jar is None or (state is not None and jar.fingerprint in (state.jar, state.before)):
            raise self._moved()
        old = state.record if state else None
        try:
            written = self.path.stat().st_mtime
        except FileNotFoundError:
            raise self._moved() from None
        state, message = (state or JarState()).adopt(jar, self._session, written)
        if state.record is None:
            return state
        state = self.commit(state)
        if old is not None and old.synced:
            self.sync()  # a power failure must not bring the old record back as a valid one
        if message:
            self._notice(message.format(self.path))
        return state

    def commit(self, state: JarState, *, mark: bool = False) -> JarState:
        """Replace the record, and the ``cookies.txt`` if its cookies change; return the state that was written.

        A `GenerationMoved` means that another program has changed the ``cookies.txt`` since `settle`.
        """
        there = self._settled
        data = self._text(state)
        jar = there if there and there.data == data else _cookies_txt.parse(data, str(self.path))
        state = replace(state, jar=jar.fingerprint, before=there.fingerprint if there else NOTHING)
        changes = there is None or (there.fingerprint, there.marked) != (jar.fingerprint, jar.marked)
        document = _jar_state.dump(state, self._session)
        try:
            # both are on the disk before one of them is renamed: a full disk changes nothing
            if changes:
                self._jar_file.stage(data, mark=mark)
            elif mark:
                self._jar_file.keep(len(data))
            self._state_file.stage(document, mark=mark)
            if self._jar_file.read(MAX_BYTES) != (there.data if there else None):
                raise self._moved()
            self._state_file.publish()
        except BaseException:
            self._jar_file.discard()
            self._state_file.discard()
            raise
        self._state = document, state
        if changes:
            self._publish_jar(jar)
        return state

    def _text(self, state: JarState) -> bytes:
        comments = self._settled.rest if self._settled else ()
        lines = [self._spell(*line) for line in _cookies_txt.plain_lines(state.cookies).values()]
        return _cookies_txt.text_of([*comments, *state.others], lines, self._state_file.path.name)

    def _complete(self, state: JarState) -> None:
        """Write a ``cookies.txt`` that is behind its record."""
        data = self._text(state)
        try:
            self._jar_file.stage(data, mark=False)
        except StoreError as error:
            self._behind(error)
        else:
            self._publish_jar(_cookies_txt.parse(data, str(self.path)))

    def _publish_jar(self, jar: CookiesTxt) -> None:
        try:
            self._jar_file.publish()
        except StoreError as error:
            self._behind(error)
        else:
            self._settled = self._jar = jar

    def _behind(self, error: StoreError) -> None:
        self._notice(
            f"{error.message} It is behind the session in {self._state_file.path.name}: no other program should use it "
            "before argosy has run again."
        )

    def clean(self) -> None:
        """Delete replaced versions of both files."""
        self._jar_file.clean()
        self._state_file.clean()

    def sync(self) -> None:
        """Sync both files and their folder."""
        self._state_file.sync(self._state_file.read(MAX_BYTES))
        self._jar_file.sync(self._jar_file.read(MAX_BYTES))

    def remove(self, state: JarState) -> None:
        """Forget the session; other cookies stay in the ``cookies.txt``."""
        state = state.without()
        if state.others:
            self.commit(state)
            return
        try:
            self.path.unlink(missing_ok=True)  # first: without it, there is no session
            self._state_file.path.unlink(missing_ok=True)
        except OSError as error:
            raise self._jar_file.failed("be removed", error) from None

    def _read_state(self) -> JarState | None:
        data = self._state_file.read(MAX_BYTES)
        if data is None:
            return None
        known, state = self._state
        if data != known:
            state = _jar_state.parse(data, self._session, str(self._state_file.path))
            self._state = data, state
        return state

    def _read_jar(self) -> CookiesTxt | None:
        data = self._jar_file.read(MAX_BYTES)
        if data is None:
            return None
        jar = self._jar
        if jar is None or jar.data != data:
            jar = self._jar = _cookies_txt.parse(data, str(self.path))
        return jar

    def _is_recent(self) -> bool:
        """Return whether the ``cookies.txt`` has changed a moment ago."""
        try:
            return time.time() - self.path.stat().st_mtime < PATIENCE
        except FileNotFoundError:
            return True

    def _wait_until_still(self, state: JarState | None) -> CookiesTxt | None:
        """Return the ``cookies.txt`` when it does not change any more; None if there is none."""
        begun = since = time.monotonic()
        seen: bytes | None = None
        while True:
            problem, jar = None, None
            data = self._jar_file.read(MAX_BYTES)
            try:
                jar = None if data is None else _cookies_txt.parse(data, str(self.path))
            except StoreDamaged as error:
                problem = error
            now = time.monotonic()
            if data != seen and now < begun + MOST:
                seen, since = data, now
            elif jar is not None and jar.is_whole and now >= since + STILL:
                return jar
            elif now >= since + PATIENCE:
                if problem is None and (jar is None or state is None):
                    return jar
                raise problem or _cookies_txt.damaged(str(self.path), "it is empty, or its last line has no end")
            time.sleep(STILL)

    def _moved(self) -> GenerationMoved:
        return GenerationMoved(f"Another program has changed {self.path} first.")


@argosy.hookimpl
def argosy_cookie_store() -> type[CookieStore]:
    """Register the store."""
    return NetscapeStore

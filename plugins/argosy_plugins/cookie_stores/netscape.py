"""The cookie store that keeps a session in a ``cookies.txt``, which curl, wget and yt-dlp read and write between runs."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import argosy
from argosy.errors import GenerationMoved, StoreDamaged, StoreError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.cookie_store import CookieStore, Release, Scope
from argosy.models.session import SessionRecord
from argosy.toolkit.locks import StoreLocks
from argosy_plugins.cookie_stores._cookies_txt import DIALECTS
from argosy_plugins.cookie_stores._reserve import is_mark
from argosy_plugins.cookie_stores._shared_jar import SUFFIX, SharedJar

#: The session that is in the file itself. Each other one is in a file whose name has the session's name in it.
PLAIN = "default"


class NetscapeStore(CookieStore):
    """Keeps each session in a ``cookies.txt`` of mode 0600, and what that format cannot say in a file beside it.

    What another tool has written to the ``cookies.txt`` since is taken over as the session's newest cookies. Lock files
    lie beside it, as with `json-file`.
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
                "description": "The file, relative to the configuration file. It is the session `default`; "
                "another one, `NAME`, is in `cookies.NAME.txt` beside it.",
            },
            "dialect": {
                "enum": list(DIALECTS),
                "default": "curl",
                "description": "Who else reads the file: curl (and yt-dlp, Python, browser extensions), or wget, which takes "
                "the lines of HttpOnly cookies for comments, and wants to see ports.",
            },
        },
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        # two names of one file must lead to the same lock files, and a link must not be replaced by a file
        self.path = Path(os.path.realpath(context.path(options.get("path", "cookies.txt"))))
        self._locks = StoreLocks(self.path, self.name)
        self._mutex = threading.Lock()
        self._jars: dict[str, SharedJar] = {}

    def read(self, session: str) -> SessionRecord | None:
        """Return the newest record, with what another tool has written since."""
        jar = self._jar(session)
        known = jar.peek()
        if known is None:
            release = self._locks.write()
            try:
                known = jar.settle()
            finally:
                release()
        return known.record

    def write(self, record: SessionRecord, expected: int) -> None:
        """Replace the record if its generation is the expected one; what another tool has written counts as a change."""
        release = self._locks.write()
        try:
            jar = self._jar(record.session)
            known = jar.settle()
            if (known.record.generation if known.record else 0) != expected:
                raise GenerationMoved(f"The session {record.session!r} was changed by somebody else first.")
            jar.commit(known.after(record), mark=is_mark(record, known.record))
        finally:
            release()

    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        """Take the session for this thread of this process alone."""
        release = self._locks.hold(session, wait=wait)
        return None if release is None else partial(self._end, release, session)

    def sessions(self) -> list[str]:
        """Return the names of its sessions."""
        stem, suffix = _parts(self.path)
        found = {PLAIN}
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
            return False  # a file of this name is another store's

    def remove(self, session: str) -> None:
        """Forget a session."""
        release = self._locks.write()
        try:
            jar = self._jar(session)
            while (known := jar.settle()).record is not None:
                with contextlib.suppress(GenerationMoved):
                    jar.remove(known)
        finally:
            release()
        self._locks.forget(session)

    def sync(self) -> None:
        """Sync the files and their folder, unless they are as they were at the last time."""
        with self._mutex:
            jars = list(self._jars.values())
        for jar in jars:
            jar.sync()

    def close(self) -> None:
        """Close the files; a session that somebody still holds is left to them."""
        with self._mutex:
            jars = list(self._jars.values())
            self._jars.clear()
        for jar in jars:
            jar.close()
        self._locks.close()

    def _jar(self, session: str) -> SharedJar:
        with self._mutex:
            jar = self._jars.get(session)
            if jar is None:
                path = self.path
                if session != PLAIN:
                    stem, suffix = _parts(path)
                    beside = path.with_name(f"{stem}.{quote(session, safe=' ')}{suffix}")
                    path = Path(os.path.realpath(beside))
                jar = self._jars[session] = SharedJar(
                    path, session, self.context.notice, self.options.get("dialect", "curl")
                )
            return jar

    def _end(self, release: Release, session: str) -> None:
        """Give a session back, and then do what need not be done while one has it."""
        release()
        self._jar(session).tidy()


def _parts(path: Path) -> tuple[str, str]:
    return path.stem, path.suffix


@argosy.hookimpl
def argosy_cookie_store() -> type[CookieStore]:
    """Register the store."""
    return NetscapeStore

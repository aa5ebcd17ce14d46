"""A ``cookies.txt`` and the file beside it, which hold one session together.

The file beside it has the whole record and is replaced first: whoever dies between the two leaves a ``cookies.txt`` that
is known to be the one before, and the next one writes it again. A mark changes the file beside it alone.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from argosy.errors import GenerationMoved, StoreDamaged, StoreError
from argosy.toolkit.failures import hint_of
from argosy_plugins.cookie_stores import _beside, _cookies_txt
from argosy_plugins.cookie_stores._adoption import adopt
from argosy_plugins.cookie_stores._beside import Beside
from argosy_plugins.cookie_stores._cookies_txt import DIALECTS, MOST_BYTES, NOTHING, CookiesTxt
from argosy_plugins.cookie_stores._private import made_private, not_a_file
from argosy_plugins.cookie_stores._snapshot import Snapshot, identity_of
from argosy_plugins.cookie_stores._temporaries import Temporaries

#: What is added to the name of a ``cookies.txt``.
SUFFIX = ".session.json"

#: Seconds in which nobody may have written the file, so that it is taken for finished: wget and yt-dlp write in place.
#: What looks finished is so soon, half a file only after a while. No file is waited for longer than the last of them.
STILL, PATIENCE, MOST = 0.02, 0.3, 3.0

#: Outdated files that are kept open for a while: to close the last descriptor of a file is to delete it.
KEPT = 4

_Content = TypeVar("_Content")


class SharedJar:
    """The two files of one session. Whoever changes them holds the store's lock; anybody may look.

    Parameters
    ----------
    path
        The ``cookies.txt``.
    session
        The session's name.
    notice
        Tells the person something.
    dialect
        Who else reads the file; one of `DIALECTS`.
    """

    def __init__(self, path: Path, session: str, notice: Callable[[str], None], dialect: str) -> None:
        self.path = path
        self.beside = path.with_name(path.name + SUFFIX)
        self._session = session
        self._notice = notice
        self._spell = DIALECTS[dialect]
        self._temporaries = (Temporaries(self.beside), Temporaries(path))
        self._outdated: deque[Snapshot[Beside] | Snapshot[CookiesTxt]] = deque(maxlen=2 * KEPT)
        # both in one, as threads look at them without a lock
        self._seen: tuple[Snapshot[Beside] | None, Snapshot[CookiesTxt] | None] = (None, None)
        self._synced: object = None
        self._settled: Snapshot[CookiesTxt] | None = None  # the file that was looked at under the lock

    def close(self) -> None:
        """Remove what was made ahead."""
        for temporaries in self._temporaries:
            temporaries.close()

    def peek(self) -> Beside | None:
        """Return what is known, without a lock; None where a closer look is needed."""
        try:
            beside, jar = self._look()
        except StoreDamaged:
            return None
        if jar is None:
            return Beside() if beside is None or beside.content.before != NOTHING else None
        if beside is not None and beside.content.jar == jar.content.fingerprint:
            return beside.content
        return None if jar.content.cookies or beside is not None else Beside()

    def settle(self) -> Beside:
        """Return what is known, after taking over what another tool has written, or putting right what is behind.

        Raises
        ------
        StoreDamaged
            If one of the files is damaged.
        StoreError
            If one cannot be read, or written where that is needed.
        """
        while True:
            beside = self._look_beside()
            known = beside.content if beside else None
            try:
                jar = self._look_jar()
            except StoreDamaged:
                jar = self._wait_until_still(known)
            self._settled = jar
            if jar is None:
                if known is None or known.before != NOTHING:
                    return Beside()  # there is no file, or somebody has removed it: no session
            elif known is not None and jar.content.fingerprint == known.jar:
                return known
            elif known is None and not jar.content.cookies:
                return Beside()
            if known is not None and known.before == (jar.content.fingerprint if jar else NOTHING):
                self._write_jar(known)  # its writer died before it came to that
                return known
            with contextlib.suppress(GenerationMoved):
                return self._adopt(known)

    def _adopt(self, known: Beside | None) -> Beside:
        jar = self._settled = self._wait_until_still(known)
        if jar is None or (known is not None and jar.content.fingerprint in (known.jar, known.before)):
            raise _moved(self.path)
        old = known.record if known else None
        now, at = time.time(), jar.identity[-1] / 1e9
        known, message = adopt(known or Beside(), jar.content, self._session, now, at)
        if known.record is None:
            return known
        known = self.commit(known)
        if old is not None and old.synced:
            self.sync()  # a power loss must not bring the old one back as a good one
        if message:
            self._notice(message.format(self.path))
        return known

    def commit(self, known: Beside, *, mark: bool = False) -> Beside:
        """Replace the record, and the ``cookies.txt`` where it says something else now; return what was written.

        Parameters
        ----------
        known
            What is to be known.
        mark
            Whether a request is about to go out, so that both files need room for what it brings.

        Raises
        ------
        GenerationMoved
            If another tool has changed the file since `settle`.
        StoreDamaged
            If something would not come back as it is written.
        StoreError
            If the record cannot be written; the old one stands.
        """
        there = self._settled.content.fingerprint if self._settled else NOTHING
        data, found = self._text(known)
        known = replace(known, jar=found.fingerprint, before=there)
        if (
            self._settled is not None
            and found.fingerprint == there
            and self._settled.content.marked == found.marked
        ):
            self._put(known, mark=mark, jar=len(data))
            return known
        try:  # both are on the disk before one of them is renamed: a full disk changes nothing
            written, temporary = self._temporaries[1].write(data, found, mark=mark)
        except OSError as error:
            raise self._failed(self.path, "be written", error) from None
        try:
            self._put(known, mark=mark)
        except BaseException:
            _remove(temporary)
            raise
        self._rename_jar(written, temporary)
        return known

    def _put(self, known: Beside, *, mark: bool, jar: int = 0) -> None:
        text = _beside.dump(known, self._session)
        temporary = None
        try:
            if mark and jar:
                self._temporaries[1].keep(jar)
            written, temporary = self._temporaries[0].write(text, known, mark=mark)
            if not self._is_settled():
                raise _moved(self.path)
            os.replace(temporary, self.beside)  # noqa: PTH105 - twice for each request: a Path costs time
        except BaseException as error:
            if temporary is not None:
                _remove(temporary)
            if isinstance(error, OSError):
                raise self._failed(self.beside, "be written", error) from None
            raise
        self._see(written, self._settled)

    def _is_settled(self) -> bool:
        """Return whether the file is still the one that was looked at."""
        settled = self._settled
        try:
            return settled.is_current(self.path) if settled else not self.path.exists()
        except FileNotFoundError:
            return False

    def _text(self, known: Beside) -> tuple[bytes, CookiesTxt]:
        """Return the bytes of the file, and what they say; comments stay as they are."""
        comments = self._settled.content.rest if self._settled else ()
        spoken = _beside.spoken(known.cookies).values()
        lines = [self._spell(line, cookie) for line, cookie in spoken]
        data = _cookies_txt.text_of([*comments, *known.others], lines, self.beside.name)
        return data, self._parse_jar(data)

    def _write_jar(self, known: Beside) -> None:
        """Put the file right that is behind its record; where that fails now, the next write tries again."""
        try:
            written = self._temporaries[1].write(*self._text(known), mark=False)
        except OSError as error:
            self._behind(error)
        else:
            self._rename_jar(*written)

    def _rename_jar(self, written: Snapshot[CookiesTxt], temporary: str) -> None:
        try:
            os.replace(temporary, self.path)  # noqa: PTH105 - as above
        except OSError as error:
            _remove(temporary)
            self._behind(error)
        else:
            self._settled = written
            self._see(self._seen[0], written)

    def _behind(self, error: OSError) -> None:
        self._notice(
            f"{self.path} cannot be written ({error.strerror}), and is behind the session in {self.beside.name}: "
            "no other program should use it before argosy has run again."
        )

    def sync(self) -> None:
        """Sync both files and their folder, unless they are as they were at the last time.

        Raises
        ------
        StoreError
            If that fails.
        """
        if self._seen == (None, None):
            return  # nobody here has used it
        seen = self._look()
        if seen == self._synced:
            return
        for path in (self.beside, self.path, self.path.parent):
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._failed(path, "be put on stable storage", error) from None
            try:
                os.fsync(fd)
            except OSError as error:
                raise self._failed(path, "be put on stable storage", error) from None
            finally:
                os.close(fd)
        self._synced = seen

    def remove(self, known: Beside) -> None:
        """Forget the session; what is no part of it stays in the ``cookies.txt``.

        Raises
        ------
        StoreError
            If a file cannot be written.
        """
        known = known.without()
        if known.others:
            self.commit(known)
            return
        try:
            self.path.unlink(missing_ok=True)  # first: without it there is no session
            self.beside.unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(self.path, "be removed", error) from None

    def tidy(self) -> None:
        """Do what need not be done while somebody waits for the session."""
        with contextlib.suppress(IndexError):
            while len(self._outdated) > KEPT:
                self._outdated.popleft()
        for temporaries in self._temporaries:
            temporaries.make_ahead()

    # -- the files

    def _look(self) -> tuple[Snapshot[Beside] | None, Snapshot[CookiesTxt] | None]:
        """Return both files as they are; one that was not replaced since is not read again."""
        return self._look_beside(), self._look_jar()

    def _look_beside(self) -> Snapshot[Beside] | None:
        seen, jar = self._seen
        now = self._newest(seen, self.beside, self._parse_beside)
        if now is not seen:
            self._see(now, jar)
        return now

    def _look_jar(self) -> Snapshot[CookiesTxt] | None:
        beside, seen = self._seen
        now = self._newest(seen, self.path, self._parse_jar)
        if now is not seen:
            self._see(beside, now)
        return now

    def _see(self, beside: Snapshot[Beside] | None, jar: Snapshot[CookiesTxt] | None) -> None:
        old = self._seen
        self._seen = beside, jar
        self._outdated.extend(was for was in old if was is not None and was is not beside and was is not jar)

    def _newest(
        self, seen: Snapshot[_Content] | None, path: Path, parse: Callable[[bytes], _Content]
    ) -> Snapshot[_Content] | None:
        try:
            if seen is not None and seen.is_current(path):
                return seen
            # what is no file must not make anybody wait for its other end
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            fresh: Snapshot[_Content] = Snapshot(fd, found := os.fstat(fd))
            if not stat.S_ISREG(found.st_mode):
                raise not_a_file(path)
            if os.name == "posix":  # curl makes it with the mode that any file has
                told = made_private(path, found.st_mode, partial(os.fchmod, fd))
                if told is not None:
                    self._notice(told)
            data = fresh.data(MOST_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed(path, "be read", error) from None
        fresh.content = parse(data)
        return fresh

    def _parse_beside(self, data: bytes) -> Beside:
        return _beside.parse(data, self._session, str(self.beside))

    def _parse_jar(self, data: bytes) -> CookiesTxt:
        return _cookies_txt.parse(data, str(self.path))

    def _wait_until_still(self, known: Beside | None) -> Snapshot[CookiesTxt] | None:
        """Return the file another tool has written, once it does not change any more; None where it has gone."""
        begun = since = time.monotonic()
        seen: object = None
        while True:
            problem, jar = None, None
            try:
                jar = self._look_jar()
            except StoreDamaged as error:
                problem = error
            now, identity = time.monotonic(), self._identity()
            if identity != seen and now < begun + MOST:
                seen, since = identity, now
            elif jar is not None and jar.content.whole and now >= since + STILL:
                return jar
            elif now >= since + PATIENCE:
                if problem is None and (jar is None or known is None):
                    return jar
                raise problem or _cookies_txt.damaged(
                    str(self.path), "it is empty, or its last line has no end"
                )
            time.sleep(STILL)

    def _identity(self) -> object:
        with contextlib.suppress(FileNotFoundError):
            return identity_of(self.path.stat())
        return None

    def _failed(self, path: Path, what: str, error: OSError) -> StoreError:
        return StoreError(
            f"The cookie store {path} cannot {what}: {error.strerror}. The old state stands.",
            hint=hint_of(error, "Make room or check the permissions of its folder, then start again."),
        )


def _moved(path: Path) -> GenerationMoved:
    return GenerationMoved(f"Another program has changed {path} first.")


def _remove(temporary: str) -> None:
    with contextlib.suppress(OSError):
        Path(temporary).unlink(missing_ok=True)

"""Moving sessions between stores, so that two stores never hold the same sendable token.

The source is marked as in flight, as before a request; the target is written and synced; then the source is removed. A move
that is killed in between leaves its mark, and the next move continues from there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass, replace

from argosy.errors import ArgosyError, BusyError, ConfigError, SessionInDoubt
from argosy.interfaces.cookie_store import CookieStore, Release, Scope
from argosy.leasing.lease import MOVE, changed, in_doubt, is_moving, put
from argosy.models.session import SessionRecord, Status
from argosy.toolkit.processes import this_holder


def move_sessions(
    source: CookieStore,
    target: CookieStore,
    sessions: Collection[str] = (),
    *,
    keep: bool = False,
    force: bool = False,
) -> tuple[str, ...]:
    """Move sessions from one store to another.

    Parameters
    ----------
    source, target
        The stores.
    sessions
        The names of the sessions; empty for all.
    keep
        Leave them in the source as well; safe only if the service never replaces a token.
    force
        Replace sessions with the same names in the target.

    Returns
    -------
    tuple of str
        The names of the moved sessions, sorted.

    Raises
    ------
    BusyError
        If one of them is in use.
    ConfigError
        If there is no such session, the target has one of that name, or a store cannot be used for this.
    SessionInDoubt
        If one of them is in doubt.
    StoreError
        If a store fails; the sessions not moved yet are still in the source.
    """
    _check_stores(source, target)
    names = _names(source, target, sessions)
    with ExitStack() as holds:
        moves = []
        for name in names:
            for store in (source, target):
                holds.callback(_held(store, name))
            moves.append(_prepared(source, target, name, keep=keep, force=force))
        for move in moves:
            if keep:
                move.copy()
            else:
                move.move()
    return tuple(names)


def place_of(store: CookieStore) -> str:
    """Return the name of a store, with its file if it has one, for people."""
    path = getattr(store, "path", None)
    return store.name if path is None else f"{store.name} ({path})"


def _check_stores(source: CookieStore, target: CookieStore) -> None:
    for store in (source, target):
        if store.scope is Scope.PROCESS:
            raise ConfigError(
                f"The cookie store {store.name!r} keeps sessions for one process alone, so there is nothing to move.",
                hint='Name a store that outlives it, for example {"use": "json-file", "path": "cookies.json"}.',
            )
    paths = [getattr(store, "path", None) for store in (source, target)]
    if None not in paths and len({os.path.realpath(str(path)) for path in paths}) == 1:
        raise ConfigError(
            f"Both stores are the file {paths[0]}.",
            hint="Give the new one a path of its own; what is replaced in a file is not overwritten everywhere.",
        )


def _names(source: CookieStore, target: CookieStore, asked: Collection[str]) -> list[str]:
    """Return the names to move, without those that an earlier call has moved."""
    there = source.sessions()
    for name in set(asked).difference(there, target.sessions()):
        raise ConfigError(
            f"There is no session {name!r} in {place_of(source)}.",
            hint=f"It has: {', '.join(map(repr, there)) or 'none'}.",
        )
    names = sorted(set(asked or there).intersection(there))
    if not names:
        raise ConfigError(
            f"There is no session {' or '.join(map(repr, sorted(asked)))}".rstrip()
            + f" in {place_of(source)}: nothing is to be moved."
        )
    return names


def _held(store: CookieStore, session: str) -> Release:
    release = store.acquire(session, wait=False)
    if release is None:
        raise BusyError(
            f"The session {session!r} of {place_of(store)} is in use just now; nothing was moved.",
            hint="Let the runs that use it end, then start again.",
        )
    return release


@dataclass(frozen=True, slots=True)
class _Move:
    """One session to move, held in both stores.

    Parameters
    ----------
    record
        The source's record.
    existing
        The target's record of this name, if any.
    """

    source: CookieStore
    target: CookieStore
    record: SessionRecord
    existing: SessionRecord | None

    def copy(self) -> None:
        self._put(self.record)

    def move(self) -> None:
        record = self.record
        if not is_moving(record):
            holder = replace(this_holder(), thread=MOVE + record.status.value)
            marked = changed(record, status=Status.IN_FLIGHT, holder=holder)
            put(self.source, marked, record)
            record = marked
        if not _has_arrived(record, self.existing) or _is_unsure(record, self.existing):
            try:
                self._put(record)
            except BaseException:
                self._take_back(record)
                raise
        self.source.remove(record.session)
        self.source.sync()

    def _put(self, record: SessionRecord) -> None:
        """Write the record into the target and sync it."""
        expected = self.existing.generation if self.existing else 0
        new = changed(
            replace(record, generation=max(record.generation, expected)),
            status=_status(record),
            holder=None,
        )
        self.target.write(new, expected)
        self.target.sync()
        self.target.write(changed(new, synced=True), new.generation)
        self.target.sync()

    def _take_back(self, marked: SessionRecord) -> None:
        """Clear the mark, unless the target may have the token."""
        with contextlib.suppress(ArgosyError):
            if not _has_arrived(marked, self.target.read(marked.session)):
                put(self.source, changed(marked, status=_status(marked), holder=None), marked)


def _prepared(source: CookieStore, target: CookieStore, session: str, *, keep: bool, force: bool) -> _Move:
    record, existing = source.read(session), target.read(session)
    if record is None:
        raise ConfigError(f"The session {session!r} was removed from {place_of(source)} meanwhile.")
    if keep and is_moving(record):
        raise SessionInDoubt(
            f"The session {session!r} was being moved from {place_of(source)} when that was cut off; nothing was copied.",
            hint="Move it without --keep first.",
        )
    if not is_moving(record) and in_doubt(record, source.scope):
        raise SessionInDoubt(
            f"The session {session!r} in {place_of(source)} is in doubt: a request was sent and its answer never came, so "
            "its token may have been replaced. Nothing was moved.",
            hint="Log in again (argosy login CONFIG), then move it; or log in to the new store, and leave this one.",
        )
    if existing is not None and not force and not _has_arrived(record, existing):
        raise ConfigError(
            f"There is a session {session!r} in {place_of(target)} already; nothing was moved.",
            hint="--force replaces it.",
        )
    return _Move(source, target, record, existing)


def _status(record: SessionRecord) -> Status:
    if record.holder is not None and is_moving(record):
        return Status(record.holder.thread.removeprefix(MOVE))
    return record.status


def _has_arrived(record: SessionRecord, existing: SessionRecord | None) -> bool:
    """Return whether an interrupted move has written the record to the target."""
    return (
        existing is not None
        and is_moving(record)
        and (existing.logins, existing.logged_in) == (record.logins, record.logged_in)
        and existing.generation > record.generation
    )


def _is_unsure(record: SessionRecord, existing: SessionRecord | None) -> bool:
    """Return whether the record in the target may be lost in a power loss and has not been used since."""

    def without_stamps(record: SessionRecord) -> SessionRecord:
        return replace(
            record, generation=0, status=_status(record), holder=None, saved=0.0, boot="", synced=False
        )

    return (
        existing is not None
        and not existing.synced
        and existing.holder is None
        and without_stamps(existing) == without_stamps(record)
    )

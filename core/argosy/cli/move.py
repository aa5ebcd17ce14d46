"""What ``argosy session copy`` does: move sessions between stores so that two stores never hold the same sendable token.

The source is marked as in flight, as before a request; the target is written and synced; then the source is removed. A move
that is killed in between leaves its mark, and the next move continues from there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from argosy.config.load import load
from argosy.errors import ArgosyError, BusyError, ConfigError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.cookie_store import CookieStore, Scope
from argosy.leasing.lease import MOVE, changed, in_doubt, is_moving, put
from argosy.leasing.manager import doubt_error
from argosy.models.session import SessionRecord, Status
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager
from argosy.toolkit.processes import this_holder

#: The path of a configuration (for its cookie store), ``"sqlite:cookies.sqlite"``, or ``{"use": "sqlite", ...}``.
StoreName = str | Path | Mapping[str, Any]


def move(
    source: StoreName,
    target: StoreName,
    names: Collection[str],
    plugins: PluginManager,
    context: PluginContext,
    *,
    keep: bool,
    force: bool,
) -> tuple[str, ...]:
    """Move sessions between two stores, which are made with `context`; return the names of the moved sessions."""
    with ExitStack() as stack:
        stores = []
        for given in (source, target):
            settings = load(_store_config(given, plugins), plugins)
            made_in = replace(context, base=settings.base, directory=settings.base)
            stores.append(plugins.make(CookieStore, settings.cookie_store, made_in))
            stack.callback(stores[-1].close)
        return move_sessions(stores[0], stores[1], names, keep=keep, force=force)


def _store_config(given: StoreName, plugins: PluginManager) -> Path | Mapping[str, Any]:
    """Return the configuration for a store: a mapping, NAME, NAME:PATH, or the path of a configuration."""
    if isinstance(given, Mapping):
        return {"cookie_store": given}
    name, colon, path = str(given).partition(":")
    installed = plugins.names(Kind.COOKIE_STORE)
    if name in installed:
        return {"cookie_store": {"use": name, **({"path": path} if colon else {})}}
    if not Path(given).is_file():
        hint = f'A store is NAME, NAME:PATH or {{"use": NAME, ...}}; installed: {", ".join(installed)}.'
        raise ConfigError(f"{str(given)!r} is neither a configuration file nor a cookie store.", hint=hint)
    return Path(given)


def move_sessions(
    source: CookieStore, target: CookieStore, sessions: Collection[str] = (), *, keep: bool = False, force: bool = False
) -> tuple[str, ...]:
    """Move sessions to another store, all if none is named; return their names, sorted.

    `keep` leaves them in the source as well, which is safe only if the service never replaces a token. `force` replaces
    sessions with the same names in the target. If a store fails, the sessions not moved yet are still in the source.
    """
    _check_stores(source, target)
    names = _names(source, target, sessions)
    with ExitStack() as holds:
        records = []
        for name in names:
            for store in (source, target):
                release = store.acquire(name, wait=False)
                if release is None:
                    message = f"The session {name!r} of {_described(store)} is in use; nothing was moved."
                    raise BusyError(message, hint="Wait until the runs that use it have finished, then try again.")
                holds.callback(release)
            record, existing = source.read(name), target.read(name)
            if record is None:
                raise ConfigError(f"The session {name!r} was removed from {_described(source)} meanwhile.")
            if (keep or not is_moving(record)) and in_doubt(record, source.scope):
                raise doubt_error(record)
            if existing is not None and not force and not _has_arrived(record, existing):
                hint = "--force replaces it."
                raise ConfigError(f"{_described(target)} already has a session {name!r}; nothing was moved.", hint=hint)
            records.append((record, existing))
        for record, existing in records:
            if keep:
                _copy(target, record, existing)
            else:
                _move(source, target, record, existing)
    return tuple(names)


def _described(store: CookieStore) -> str:
    path = getattr(store, "path", None)
    return store.name if path is None else f"{store.name} ({path})"


def _check_stores(source: CookieStore, target: CookieStore) -> None:
    for store in (source, target):
        if store.scope is Scope.PROCESS:
            hint = 'Name another store, for example {"use": "json-file", "path": "cookies.json"}.'
            raise ConfigError(f"The cookie store {store.name!r} keeps sessions for one process alone.", hint=hint)
    paths = [getattr(store, "path", None) for store in (source, target)]
    if None not in paths and os.path.realpath(str(paths[0])) == os.path.realpath(str(paths[1])):
        raise ConfigError(f"Both stores are the file {paths[0]}.", hint="Give the new store another path.")


def _names(source: CookieStore, target: CookieStore, asked: Collection[str]) -> list[str]:
    """Return the names to move, without those that an earlier call has moved."""
    found = source.sessions()
    names = sorted(set(asked or found).intersection(found))
    missing = set(asked).difference(found, target.sessions())
    if missing or not names:
        which = " or ".join(map(repr, sorted(missing or asked)))
        hint = f"It has: {', '.join(map(repr, found)) or 'none'}."
        raise ConfigError(f"There is no session{which and ' ' + which} in {_described(source)}.", hint=hint)
    return names


def _move(source: CookieStore, target: CookieStore, record: SessionRecord, existing: SessionRecord | None) -> None:
    if not is_moving(record):
        holder = replace(this_holder(), thread=MOVE + record.status.value)
        marked = changed(record, status=Status.IN_FLIGHT, holder=holder)
        put(source, marked, record)
        record = marked
    # a power loss may lose the copy of an interrupted move, so write it again unless it was used since
    stamps: dict[str, Any] = {"generation": 0, "saved": 0.0, "boot": "", "synced": False, "holder": None}
    is_unused = existing is not None and replace(_unmarked(record), **stamps) == replace(existing, **stamps)
    if is_unused or not _has_arrived(record, existing):
        try:
            _copy(target, record, existing)
        except BaseException:
            with contextlib.suppress(ArgosyError):
                if not _has_arrived(record, target.read(record.session)):
                    put(source, changed(_unmarked(record)), record)
            raise
    source.remove(record.session)
    source.sync()


def _copy(target: CookieStore, record: SessionRecord, existing: SessionRecord | None) -> None:
    """Write the record into the target and sync it."""
    expected = existing.generation if existing else 0
    new = changed(replace(_unmarked(record), generation=max(record.generation, expected)))
    target.write(new, expected)
    target.sync()  # before the record says so
    target.write(changed(new, synced=True), new.generation)
    target.sync()


def _unmarked(record: SessionRecord) -> SessionRecord:
    """Return the record as it was before the mark of a move."""
    if record.holder is not None and is_moving(record):
        return replace(record, status=Status(record.holder.thread.removeprefix(MOVE)), holder=None)
    return replace(record, holder=None)


def _has_arrived(record: SessionRecord, existing: SessionRecord | None) -> bool:
    """Return whether an interrupted move has written the record to the target."""
    return (
        existing is not None
        and is_moving(record)
        and (existing.logins, existing.logged_in) == (record.logins, record.logged_in)
        and existing.generation > record.generation
    )

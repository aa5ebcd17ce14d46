"""The cookie store that keeps sessions on a Redis server, for programs on any number of machines."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from argosy.errors import ConfigError, GenerationMoved, HoldLapsed, StoreDamaged
from argosy.interfaces.base import PluginContext
from argosy.interfaces.cookie_store import CookieStore, Release, Scope
from argosy.models.session import SessionRecord, Status
from argosy_redis import scripts
from argosy_redis.options import SCHEMA, Options

if TYPE_CHECKING:
    from argosy_redis.holds import RedisHolds
    from argosy_redis.server import RedisServer

#: Old generations per session whose nonces are remembered for compare-and-set.
REMEMBERED = 64


@dataclass
class _Seen:
    """What this process knows of a session.

    A generation is the same only if its nonce is: a server that lost its newest records counts from an older one again.
    """

    record: SessionRecord
    nonce: str
    born: str
    nonces: OrderedDict[int, str] = field(default_factory=OrderedDict)
    lost: bool = False
    notes: int = 0

    def note(self, record: SessionRecord, nonce: str, born: str) -> None:
        """Note the newest record."""
        self.record, self.nonce, self.born, self.lost = record, nonce, born, False
        self.notes += 1
        self.nonces[record.generation] = nonce
        while len(self.nonces) > REMEMBERED:
            self.nonces.popitem(last=False)


class RedisStore(CookieStore):
    """Keeps each session in a hash on a Redis server; holds are keys that expire, and are renewed.

    If the server was restarted or replaced since a record was written, and does not sync each change, it may have lost a
    newer one. Then the record is in doubt, as after a lost response.
    """

    name = "redis"
    summary = "Sessions on a Redis server, shared by programs on any number of machines (needs argosy[redis])"
    scope = Scope.CLUSTER
    options_schema = SCHEMA

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        chosen = Options.of(options, context)
        try:
            from argosy_redis.holds import RedisHolds
            from argosy_redis.server import RedisServer
        except ImportError:
            raise ConfigError(
                "The cookie store 'redis' needs the library redis-py, which is not installed.",
                hint="Install it: pip install 'argosy[redis]'.",
            ) from None
        self._server: RedisServer = RedisServer(
            chosen.where,
            chosen.client,
            patience=chosen.patience,
            notice=context.notice,
        )
        self._holds: RedisHolds = RedisHolds(self._server, chosen.prefix, chosen.ttl)
        self._sessions = f"{{{chosen.prefix}}}:sessions"
        self._store = f"{{{chosen.prefix}}}:store"
        self._mutex = threading.Lock()
        self._seen: dict[str, _Seen] = {}
        self._told: set[str] = set()

    def read(self, session: str) -> SessionRecord | None:
        """Return the newest record; one that may be old is in flight without a holder."""
        keys, seen = self._holds.keys(session), self._seen.get(session)
        before = seen.notes if seen else 0
        born, gone, same_run, *found = self._server.run(
            scripts.READ, (keys.session, self._store, self._sessions), lambda: (session,)
        )
        version, generation, text, checksum, nonce, sure = (_text(part) for part in found)
        with self._mutex:
            seen = self._seen.get(session)
            if not generation and not text:
                if seen is None or seen.notes == before:
                    return self._missing(session, seen, _text(born), bool(gone))
            elif seen is None or seen.lost or seen.nonce != nonce:
                if version != str(scripts.VERSION):
                    raise self._newer(session, version)
                record = self._parsed(session, generation, text, checksum)
                if seen is None:
                    seen = self._seen[session] = _Seen(record, nonce, _text(born))
                seen.note(record, nonce, _text(born))
                self._told.discard(session)
            record = seen.record
        if not generation and not text:
            return self.read(session)  # another thread has written it since the server's response
        certain = same_run or sure == "1"
        return record if certain else _in_doubt(record)

    def write(self, record: SessionRecord, expected: int) -> None:
        """Replace the record if its generation is the expected one, in one step.

        `HoldLapsed` means that another process has held the session since, and that the record changes what only a holder
        may change: the mark, or the login.
        """
        session = record.session
        text = json.dumps(record.to_dict(), separators=(",", ":"))
        checksum, nonce = _checksum(session, text), secrets.token_hex(scripts.NONCE // 2)
        with self._mutex:
            seen = self._seen.get(session)
            known = seen.nonces.get(expected, "") if seen else ""
            if seen and seen.lost and seen.record.generation == expected:
                expected, known = 0, ""  # the server lost it, so create it again
        keys = self._holds.keys(session)
        head = (session, expected, known, record.generation, text, checksum, nonce, _mark(record))
        token, birth = self._holds.token(session), secrets.token_hex(8)
        done, *more = self._server.run(
            scripts.WRITE,
            (keys.session, keys.hold, self._sessions, self._store),
            lambda: (*head, token, self._holds.ttl, int(self._server.syncs_writes), birth),
        )
        outcome = _text(done)
        if outcome == "moved":
            raise GenerationMoved(f"The session {session!r} was changed by another process first.")
        if outcome == "lapsed":
            raise HoldLapsed(f"The hold on the session {session!r} lapsed, and another process has held it since.")
        if outcome == "damaged":
            raise self._damaged(session, "its checksum does not fit")
        if outcome == "version":
            raise self._newer(session, _text(more[0]))
        with self._mutex:
            seen = self._seen.get(session)
            if seen is None:
                seen = self._seen[session] = _Seen(record, nonce, _text(more[0]))
            if record.generation >= seen.record.generation or seen.born != _text(more[0]):
                seen.note(record, nonce, _text(more[0]))

    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        """Take the session for this thread of this process on this machine alone."""
        return self._holds.acquire(session, wait=wait)

    def sessions(self) -> list[str]:
        """Return the names of its sessions."""
        return self._server.members(self._sessions)

    def remove(self, session: str) -> None:
        """Forget a session."""
        keys = self._holds.keys(session)
        self._server.run(scripts.REMOVE, (keys.session, self._sessions), lambda: (session,))
        with self._mutex:
            self._seen.pop(session, None)

    def sync(self) -> None:
        """Do nothing: a server either has each change on its disk when it answers, or cannot say when it has."""

    def close(self) -> None:
        """Close the connections."""
        self._holds.close()
        self._server.close()

    def _missing(self, session: str, seen: _Seen | None, born: str, gone: bool) -> SessionRecord | None:
        """Return what a missing record means: there is no session, or the last one that was seen is in doubt."""
        if not gone and (seen is None or seen.born == born):
            self._seen.pop(session, None)  # there was never one, or it was removed
            return None
        if session not in self._told:
            self._told.add(session)
            self.context.notice(
                f"The Redis server at {self._server.where} has lost the session {session!r}: it was restarted, emptied, or "
                "short of memory. To keep sessions, set appendonly yes, appendfsync always and maxmemory-policy noeviction; "
                "otherwise it may cost a login again."
            )
        if seen is None:
            # only its existence is known, so no process may start as if there were none
            return SessionRecord(session, status=Status.IN_FLIGHT, logins=1)
        seen.lost = True
        # only its holder can settle this, by the response that the server has never seen
        return _in_doubt(seen.record)

    def _parsed(self, session: str, generation: str, text: str, checksum: str) -> SessionRecord:
        if checksum != _checksum(session, text):
            raise self._damaged(session, "its checksum does not fit")
        try:
            record = SessionRecord.from_dict(json.loads(text))
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            raise self._damaged(session, "it is not complete") from None
        if (record.session, str(record.generation)) != (session, generation):
            raise self._damaged(session, "it belongs to another session")
        return record

    def _damaged(self, session: str, why: str) -> StoreDamaged:
        key = self._holds.keys(session).session
        return StoreDamaged(
            f"The record of the session {session!r} on the Redis server at {self._server.where} is damaged ({why}). "
            "It was not changed.",
            hint=f"Restore it from a backup, or remove the key {key!r} and log in again: argosy login CONFIG",
        )

    def _newer(self, session: str, version: str) -> StoreDamaged:
        return StoreDamaged(
            f"The record of the session {session!r} on the Redis server at {self._server.where} has version {version}, "
            f"and this argosy reads version {scripts.VERSION}.",
            hint='Use the argosy that wrote it, or give the store another "prefix".',
        )


def _text(value: Any) -> str:
    """Return a part of a response as text; empty if it is missing."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def _checksum(session: str, text: str) -> str:
    # SHA-1, because scripts can compute it; it only detects accidents
    return hashlib.sha1(f"{session}\n{text}".encode(), usedforsecurity=False).hexdigest()


def _mark(record: SessionRecord) -> str:
    """Return what only a holder may change: the mark, and the login or refresh."""
    return json.dumps([record.issue, record.to_dict().get("holder")], separators=(",", ":"))


def _in_doubt(record: SessionRecord) -> SessionRecord:
    """Return a record that may not be the newest."""
    if record.status is not Status.IDLE or not (record.logins or record.cookies):
        return record
    return replace(record, status=Status.IN_FLIGHT, holder=None)

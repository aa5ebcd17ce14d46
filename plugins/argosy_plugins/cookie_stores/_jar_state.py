"""The file beside a ``cookies.txt``: the whole session record, and what is known about the ``cookies.txt``.

It keeps what the format of the ``cookies.txt`` cannot express (where a cookie came from, fractions of a second, cookies
without a name), and makes changes by other programs visible. Those programs have sent requests, so their cookies are the
newest, except values that the service has already replaced.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from argosy.errors import StoreDamaged, StoreError
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord, Status
from argosy.toolkit.processes import boot_id, has_ended
from argosy_plugins.cookie_stores._cookies_txt import (
    MAX_BYTES,
    NOTHING,
    CookiesTxt,
    Place,
    plain_line,
    plain_lines,
)
from argosy_plugins.cookies_txt import parse_line

_FORMAT = "argosy-jar-session-1"

#: Replaced values that are recognized when another program writes them back, and the length of each one's trace.
REMEMBERED, _LENGTH = 1000, 8

IMPORTED = "The session consists of the cookies that another program wrote to {}."
NEWER = "Another program has changed the cookies in {}; argosy uses them from now on."
GONE = "Another program has removed cookies of the session from {}; argosy does not send them any more."
OLDER = "Another program has written older cookies to {}; argosy restores the newer ones."

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class JarState:
    """What is known about a session and its ``cookies.txt``."""

    record: SessionRecord | None = None
    #: The fingerprint of the ``cookies.txt`` that belongs to the record.
    jar: str = NOTHING
    #: The fingerprint of the one before: a process may die after it has written the record.
    before: str = NOTHING
    #: Lines of cookies that are not the session's.
    others: tuple[str, ...] = ()
    #: Domains of cookies that responses to our requests have set.
    served: tuple[str, ...] = ()
    #: Traces of replaced values, the oldest first.
    replaced: str = field(default="", repr=False)

    @property
    def cookies(self) -> tuple[Cookie, ...]:
        """The session's cookies."""
        return self.record.cookies if self.record else ()

    def after(self, record: SessionRecord) -> JarState:
        """Return the state with a newer record of ours."""
        old = set(self.cookies)
        new = [cookie for cookie in record.cookies if cookie not in old]
        is_login = self.record is None or self.record.logins != record.logins
        # cookies that a login has imported do not show where requests go
        domains = {cookie.domain for cookie in new if cookie.scheme is not None or not is_login}
        state = replace(
            self,
            record=record,
            served=tuple(sorted(domains.union(self.served))),
            replaced=_remember(self.replaced, self.cookies, record.cookies),
        )
        others = [*self.others, *state._of_other_sites(self.cookies)] if is_login else self.others
        places = {cookie.place for cookie in new}
        return replace(state, others=tuple(line for line in others if _place_of(line) not in places))

    def without(self) -> JarState:
        """Return the state without the session; cookies of other sites stay, if it is known which those are."""
        state = replace(self, record=None, replaced=_remember(self.replaced, self.cookies, ()))
        left = state._of_other_sites(self.cookies) if self.served else []
        return replace(state, others=(*self.others, *left))

    def concerns(self, domain: str) -> bool:
        """Return whether our requests go to a domain, one above it, or one below it."""
        return any(_related(domain, other) for other in self.served)

    def _of_other_sites(self, before: Iterable[Cookie]) -> list[str]:
        domains = {cookie.domain for cookie in self.cookies}.union(self.served)
        left = [cookie for cookie in before if not any(_related(cookie.domain, other) for other in domains)]
        return [line for line, _ in plain_lines(left).values()]

    # -- changes by other programs

    def adopt(self, found: CookiesTxt, session: str, written: float) -> tuple[JarState, str]:
        """Return the state after another program has written the file, and a message for the person, or "".

        `written` is the time of the file.
        """
        if self.record is None:
            return self._begin(found, session, written)
        theirs = {_place_of(line) for line in self.others}
        cookies, fresh, gone, older = self._compare(
            {place: cookie for place, cookie in found.cookies.items() if place not in theirs}
        )
        record = self.record
        if cookies != record.cookies:
            record = self._changed(record, cookies, fresh, written, gone=gone)
        state = replace(
            self,
            record=record,
            others=tuple(line for place, line in found.lines.items() if place in theirs),
            replaced=_remember(self.replaced, self.cookies, record.cookies),
        )
        return state, OLDER if older else NEWER if fresh else GONE if gone else ""

    def _begin(self, found: CookiesTxt, session: str, written: float) -> tuple[JarState, str]:
        """Treat cookies as a session that is logged in; if it is not, the service will say so."""
        now = time.time()
        cookies = tuple(
            cookie
            for cookie in found.cookies.values()
            if not cookie.expired(now) and not _is_remembered(self.replaced, cookie)
        )
        if not cookies:
            return replace(self, others=()), ""
        record = SessionRecord(session, 1, cookies, logins=1, logged_in=written, saved=now, boot=boot_id())
        return replace(self, record=record, others=()), IMPORTED

    def _compare(self, found: Mapping[Place, Cookie]) -> tuple[tuple[Cookie, ...], list[Cookie], bool, bool]:
        """Return the cookies now, those with a new value, whether some were removed, and whether some are older."""
        now = time.time()
        ours = plain_lines(self.cookies)
        fresh: list[Cookie] = []
        prolonged: dict[Cookie, Cookie] = {}
        older = False
        for place, cookie in found.items():
            line, mine = ours.get(place, ("", None))
            if mine is not None and mine.http_only:
                cookie = replace(cookie, http_only=True)  # wget does not write it
            if cookie.expired(now) or (mine is not None and line == plain_line(cookie)):
                continue
            if _is_remembered(self.replaced, cookie):
                older = True
            elif mine is not None and mine.value == cookie.value:
                prolonged[mine] = replace(cookie, scheme=mine.scheme, port=mine.port)
            else:
                fresh.append(cookie)
        lost = set()
        if not older:  # an old file may also lack cookies that came later
            for place, (_, mine) in ours.items():
                if not mine.expired(now) and (place not in found or found[place].expired(now)):
                    lost.add(mine)
        kept = tuple(prolonged.get(cookie, cookie) for cookie in self.cookies if cookie not in lost)
        for cookie in fresh:
            kept = _put(kept, cookie)
        return kept, fresh, bool(lost), older

    def _changed(
        self,
        record: SessionRecord,
        cookies: tuple[Cookie, ...],
        fresh: list[Cookie],
        written: float,
        *,
        gone: bool,
    ) -> SessionRecord:
        """Return the next record.

        Only a new value from our service supersedes a mark that a dead process or a power failure left: cookies of other
        sites tell nothing about the token in doubt. A mark of a living process stays; its response comes on top.
        """
        superseded = any(self.concerns(cookie.domain) for cookie in fresh)
        renewed = superseded or (bool(fresh) and not self.served)
        news: dict[str, Any] = {"cookies": cookies, "generation": record.generation + 1, "synced": False}
        if renewed:
            news |= {"logins": record.logins + 1, "logged_in": written}
        dead = record.holder is not None and has_ended(record.holder)
        if superseded and record.status is Status.IN_FLIGHT and dead and not record.headers:  # those are still in doubt
            news |= {"status": Status.IDLE, "holder": None}
        elif renewed and record.status is Status.DEAD:
            news |= {"status": Status.IDLE}
        elif record.status is Status.IDLE and gone:
            left = [cookie for cookie in cookies if not self.served or self.concerns(cookie.domain)]
            news |= {} if left else {"status": Status.DEAD}
        in_doubt = not superseded and record.boot != boot_id() and not record.synced
        return replace(record, saved=time.time(), boot=record.boot if in_doubt else boot_id(), **news)


def _related(one: str, other: str) -> bool:
    """Return whether one domain is the other, or below it."""
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def _place_of(line: str) -> Place | None:
    cookie = parse_line(line)
    return cookie.place if cookie else None


def _put(cookies: tuple[Cookie, ...], cookie: Cookie) -> tuple[Cookie, ...]:
    """Return the cookies with another, in the place of one that it replaces: the order shows their age."""
    place = next((number for number, old in enumerate(cookies) if old.meets(cookie)), len(cookies))
    rest = [old for old in cookies if not old.meets(cookie)]
    return (*rest[:place], cookie, *rest[place:])


# -- traces of replaced values


def _trace(cookie: Cookie) -> str:
    text = "\0".join((*cookie.place, cookie.value)).encode("utf-8", "surrogatepass")
    return base64.b64encode(hashlib.sha256(text).digest()[:6]).decode()


def _traces(replaced: str) -> list[str]:
    return [replaced[at : at + _LENGTH] for at in range(0, len(replaced), _LENGTH)]


def _is_remembered(replaced: str, cookie: Cookie) -> bool:
    return _trace(cookie) in _traces(replaced)


def _remember(replaced: str, before: Iterable[Cookie], after: Iterable[Cookie]) -> str:
    """Return the traces after some cookies have become others; a value that is in use again is not replaced."""
    old = {cookie.place: cookie for cookie in before}
    new = {cookie.place: cookie for cookie in after}
    gone = [cookie for place, cookie in old.items() if place not in new or new[place].value != cookie.value]
    came = [cookie for place, cookie in new.items() if place not in old or old[place].value != cookie.value]
    if not gone and not came:
        return replaced
    back = set(map(_trace, came))
    traces = [trace for trace in _traces(replaced) if trace not in back] + list(map(_trace, gone))
    return "".join(traces[-REMEMBERED:])


# -- the file


def dump(state: JarState, session: str) -> bytes:
    """Return the bytes of the file."""
    content = {
        "session": session,
        "record": state.record.to_dict() if state.record else None,
        "jar": state.jar,
        "before": state.before,
        "others": state.others,
        "served": state.served,
        "replaced": state.replaced,
    }
    body = _canonical(content)
    checksum = hashlib.sha256(body.encode()).hexdigest()
    return f'{{"format":"{_FORMAT}","checksum":"{checksum}",\n"content":{body}}}\n'.encode()


def parse(data: bytes, session: str, where: str) -> JarState:
    """Return the content of a file; `where` is its path, for messages."""
    try:
        document = json.loads(data) if len(data) <= MAX_BYTES else None
        if document is None or document["format"] != _FORMAT:
            raise ValueError("another file")
        content = document["content"]
        if document["checksum"] != hashlib.sha256(_canonical(content).encode()).hexdigest():
            raise ValueError("a wrong checksum")
        record = content["record"]
        state = JarState(
            None if record is None else SessionRecord.from_dict(record),
            content["jar"],
            content["before"],
            tuple(content["others"]),
            tuple(content["served"]),
            content["replaced"],
        )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise StoreDamaged(
            f"{where} is damaged. It was not changed.",
            hint="Restore it from a backup, or move it away: argosy then uses the cookies in the cookies.txt beside it. If "
            "the service refuses them, log in again: argosy login CONFIG",
        ) from None
    if content["session"] != session:
        raise StoreError(
            f"{where} holds the session {content['session']!r}, and {session!r} was asked for.",
            hint='One cookies.txt is one session. Use the "session" and the "path" it was made with, or another "path".',
        )
    return state

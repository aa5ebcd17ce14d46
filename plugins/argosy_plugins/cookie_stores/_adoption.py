"""What becomes of a session whose ``cookies.txt`` another tool has changed.

The tool has sent requests, so its cookies are the newest: all but those with a value that we have replaced. Those
were read before, and are written back late; then what it does not have is no sign either that it was deleted.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord, Status
from argosy.toolkit.processes import boot_id, has_ended
from argosy_plugins.cookie_stores._beside import Beside, is_remembered, place_of, remember, spoken
from argosy_plugins.cookie_stores._cookies_txt import CookiesTxt, Place, plain_line

IMPORTED = "The session is the one in {}: cookies that another program wrote."
NEWER = "Another program has changed the cookies in {}: what it wrote is used from now on."
GONE = "Another program has taken the session's cookies out of {}, so they are not sent any more."
OLDER = "Another program has written older cookies back into {}: the newer ones are put in again."


@dataclass(frozen=True, slots=True)
class _Change:
    """What another tool has done to the cookies of a session."""

    cookies: tuple[Cookie, ...]
    fresh: tuple[Cookie, ...]  # with a value that is new to us
    gone: bool  # whether it has taken some out
    older: bool  # whether it has put a value back that was replaced


def adopt(known: Beside, found: CookiesTxt, session: str, now: float, at: float) -> tuple[Beside, str]:
    """Return what is known with what another tool has written, and what the person should be told.

    Parameters
    ----------
    known
        What was known; the record and the file of it are not the same.
    found
        The file as it is.
    session
        The session's name.
    now, at
        The time, and when the file was written, in seconds since the epoch.
    """
    if known.record is None:
        return _begin(known, found, session, now, at)
    theirs = {place for line in known.others if (place := place_of(line)) is not None}
    change = _compare(known, {p: c for p, c in found.cookies.items() if p not in theirs}, now)
    others = tuple(line for place, line in found.lines.items() if place in theirs)
    record = known.record
    if change.cookies != record.cookies:
        record = _changed(known, record, change, at)
    known = replace(
        known, record=record, others=others, replaced=remember(known.replaced, known.cookies, record.cookies)
    )
    if change.older:
        return known, OLDER
    return known, NEWER if change.fresh else GONE if change.gone else ""


def _begin(known: Beside, found: CookiesTxt, session: str, now: float, at: float) -> tuple[Beside, str]:
    """Take cookies as a session that is logged in; that it is not, the service says."""
    known = replace(known, others=())
    cookies = tuple(
        cookie
        for cookie in found.cookies.values()
        if not cookie.expired(now) and not is_remembered(known.replaced, cookie)
    )
    if not cookies:
        return known, ""
    record = SessionRecord(session, 1, cookies, logins=1, logged_in=at, saved=now, boot=boot_id())
    return replace(known, record=record), IMPORTED


def _compare(known: Beside, found: Mapping[Place, Cookie], now: float) -> _Change:
    ours = spoken(known.cookies)
    fresh: list[Cookie] = []
    prolonged: dict[Cookie, Cookie] = {}
    older = False
    for place, cookie in found.items():
        line, mine = ours.get(place, ("", None))
        if mine is not None and mine.http_only:
            cookie = replace(cookie, http_only=True)  # wget does not say it
        if cookie.expired(now) or (mine is not None and line == plain_line(cookie)):
            continue
        if is_remembered(known.replaced, cookie):
            older = True
        elif mine is not None and mine.value == cookie.value:
            prolonged[mine] = replace(cookie, scheme=mine.scheme, port=mine.port)
        else:
            fresh.append(cookie)
    missing = [mine for place, (_, mine) in ours.items() if place not in found or found[place].expired(now)]
    lost = set() if older else {mine for mine in missing if not mine.expired(now)}
    kept: tuple[Cookie, ...] = tuple(
        prolonged.get(cookie, cookie) for cookie in known.cookies if cookie not in lost
    )
    for cookie in fresh:
        kept = _put(kept, cookie)
    return _Change(kept, tuple(fresh), bool(lost), older)


def _changed(known: Beside, record: SessionRecord, change: _Change, at: float) -> SessionRecord:
    """Return the next record.

    A mark that a dead process left is superseded only by a new value from the service that our requests went to: the
    file may hold cookies of other sites, and those say nothing of the token that may be spent. A session that lost its
    power, too. One that is in flight stays so; whoever holds it puts on top what its answer brings.
    """
    superseded = any(known.concerns(cookie.domain) for cookie in change.fresh)
    renewed = superseded or (bool(change.fresh) and not known.served)
    news: dict[str, object] = {"cookies": change.cookies}
    if renewed:
        news |= {"logins": record.logins + 1, "logged_in": at}
    flying = record.status is Status.IN_FLIGHT
    if superseded and flying and record.holder is not None and has_ended(record.holder):
        news |= {"status": Status.IDLE, "holder": None}
    elif renewed and record.status is Status.DEAD:
        news |= {"status": Status.IDLE}
    elif record.status is Status.IDLE and change.gone and not _any_left(known, change.cookies):
        news |= {"status": Status.DEAD}
    if not superseded and record.boot != boot_id() and not record.synced:
        news |= {"boot": record.boot}
    stamps = {"generation": record.generation + 1, "saved": time.time(), "boot": boot_id(), "synced": False}
    return replace(record, **{**stamps, **news})  # type: ignore[arg-type]  # replace() checks the names


def _put(cookies: tuple[Cookie, ...], cookie: Cookie) -> tuple[Cookie, ...]:
    """Return the cookies with another, in the place of what it replaces: the time of creation decides the order."""
    place = next((number for number, old in enumerate(cookies) if old.meets(cookie)), len(cookies))
    rest = [old for old in cookies if not old.meets(cookie)]
    return (*rest[:place], cookie, *rest[place:])


def _any_left(known: Beside, cookies: tuple[Cookie, ...]) -> bool:
    return any(known.concerns(cookie.domain) for cookie in cookies) if known.served else bool(cookies)

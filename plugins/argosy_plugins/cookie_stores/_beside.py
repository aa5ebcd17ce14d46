"""What lies beside a ``cookies.txt``: the session's record, whole, and what is known of the file it belongs to.

The record is kept with all its cookies. So what the format of the file cannot say is not lost (where a cookie came
from, fractions of a second, cookies without a name), and what another tool has changed since can be told.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from argosy.errors import StoreDamaged, StoreError
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord
from argosy_plugins.cookie_stores._cookies_txt import MOST_BYTES, NOTHING, Place, plain_line
from argosy_plugins.cookies_txt import parse_line

FORMAT = "argosy-jar-session"
VERSION = 1

#: Values that were replaced, and are known again when another tool writes them back.
REMEMBERED = 1000
_LENGTH = 8  # of what is remembered of each: 48 bits

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Beside:
    """What is known of a session and its ``cookies.txt``.

    Parameters
    ----------
    record
        The session; None where there is none.
    jar
        The fingerprint of the file that belongs to it.
    before
        The fingerprint of the file before that: a process that was killed has written the record, and not the file.
    others
        Lines of cookies in the file that are not the session's.
    served
        Domains of cookies that answers to our own requests have brought.
    replaced
        What is remembered of values that were replaced, oldest first.
    """

    record: SessionRecord | None = None
    jar: str = NOTHING
    before: str = NOTHING
    others: tuple[str, ...] = ()
    served: tuple[str, ...] = ()
    replaced: str = field(default="", repr=False)

    @property
    def cookies(self) -> tuple[Cookie, ...]:
        """The session's cookies."""
        return self.record.cookies if self.record else ()

    def after(self, record: SessionRecord) -> Beside:
        """Return what is known with a newer record of ours."""
        old = set(self.cookies)
        brought = [cookie for cookie in record.cookies if cookie not in old]
        is_login = self.record is None or self.record.logins != record.logins
        # what a login has imported says nothing of where requests go
        domains = {cookie.domain for cookie in brought if cookie.scheme is not None or not is_login}
        known = replace(
            self,
            record=record,
            served=tuple(sorted(domains.union(self.served))) if domains - set(self.served) else self.served,
            replaced=remember(self.replaced, self.cookies, record.cookies),
        )
        if is_login:
            known = replace(known, others=(*self.others, *_of_other_sites(known, self.cookies)))
        here = {cookie.place for cookie in brought}
        if self.others and here:
            known = replace(known, others=tuple(line for line in known.others if place_of(line) not in here))
        return known

    def without(self) -> Beside:
        """Return what is known without the session: cookies of other sites stay, where it can be told which those are."""
        left = _of_other_sites(replace(self, record=None), self.cookies) if self.served else ()
        return replace(
            self,
            record=None,
            others=(*self.others, *left),
            replaced=remember(self.replaced, self.cookies, ()),
        )

    def concerns(self, domain: str) -> bool:
        """Return whether a domain is one that our own requests went to, above one, or below."""
        return any(related(domain, other) for other in self.served)


def _of_other_sites(known: Beside, before: Iterable[Cookie]) -> list[str]:
    """Return the lines of cookies that a login has left out, and that are not of the service it went to."""
    here = {cookie.domain for cookie in known.cookies}
    left = [c for c in before if not known.concerns(c.domain) and not any(related(c.domain, d) for d in here)]
    return [line for line, _ in spoken(left).values()]


def related(one: str, other: str) -> bool:
    """Return whether one domain is the other, or lies below it."""
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def place_of(line: str) -> Place | None:
    """Return the place of the cookie on a line; None where there is none on it."""
    cookie = parse_line(line)
    return cookie.place if cookie else None


def spoken(cookies: Iterable[Cookie]) -> dict[Place, tuple[str, Cookie]]:
    """Return the cookies that the format can say, and their plain lines, by place; of two in one place, the last."""
    return {cookie.place: (line, cookie) for cookie in cookies if (line := plain_line(cookie)) is not None}


# -- values that were replaced


def is_remembered(replaced: str, cookie: Cookie) -> bool:
    """Return whether a cookie has a value that was replaced."""
    return _find(replaced, _trace(cookie)) >= 0


def remember(replaced: str, before: Iterable[Cookie], after: Iterable[Cookie]) -> str:
    """Return what is remembered when some cookies have become others."""
    old = {cookie.place: cookie for cookie in before}
    new = {cookie.place: cookie for cookie in after}
    for place, cookie in new.items():
        if replaced and (place not in old or old[place].value != cookie.value):
            replaced = _without(replaced, _trace(cookie))  # it is good again
    gone = [c for place, c in old.items() if place not in new or new[place].value != c.value]
    return (replaced + "".join(map(_trace, gone)))[-REMEMBERED * _LENGTH :] if gone else replaced


def _trace(cookie: Cookie) -> str:
    digest = hashlib.sha256(
        "\0".join((*cookie.place, cookie.value)).encode("utf-8", "surrogatepass")
    ).digest()
    return base64.b64encode(digest[:6]).decode()


def _find(replaced: str, trace: str) -> int:
    at = replaced.find(trace)
    while at % _LENGTH and at >= 0:
        at = replaced.find(trace, at + 1)
    return at


def _without(replaced: str, trace: str) -> str:
    while (at := _find(replaced, trace)) >= 0:
        replaced = replaced[:at] + replaced[at + _LENGTH :]
    return replaced


# -- the file


def dump(known: Beside, session: str) -> bytes:
    """Return the bytes of the file.

    Raises
    ------
    StoreDamaged
        If the record does not come back as it was.
    """
    value: dict[str, Any] = {
        "session": session,
        "record": known.record.to_dict() if known.record else None,
        "jar": known.jar,
        "before": known.before,
        "others": known.others,
        "served": known.served,
        "replaced": known.replaced,
    }
    body = _canonical(value)
    if known.record is not None and SessionRecord.from_dict(json.loads(body)["record"]) != known.record:
        raise StoreDamaged("A session record does not come back as it was written; nothing was replaced.")
    checksum = hashlib.sha256(body.encode()).hexdigest()
    head = f'{{"format":"{FORMAT}","version":{VERSION},"checksum":"{checksum}",\n"content":'
    return f"{head}{body}}}\n".encode()


def parse(data: bytes, session: str, where: str) -> Beside:
    """Return what a file says.

    Parameters
    ----------
    data
        Its bytes.
    session
        The session that is asked for.
    where
        Its place, for messages.

    Raises
    ------
    StoreDamaged
        If it is not whole, not ours, or of a newer version.
    StoreError
        If it is another session's.
    """
    if len(data) > MOST_BYTES:
        raise _damaged(where, "it is larger than 10 MB")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise _damaged(where, "it is not JSON") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise _damaged(where, "it is not the session of a cookies.txt")
    if document.get("version") != VERSION:
        raise StoreDamaged(
            f"{where} has version {document.get('version')!r}, and this argosy reads version {VERSION}.",
            hint="Use the argosy that wrote it, or log in to a new file.",
        )
    content: Any = document.get("content")
    if document.get("checksum") != hashlib.sha256(_canonical(content).encode()).hexdigest():
        raise _damaged(where, "its checksum does not fit")
    try:
        name, known = content["session"], _known(content)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _damaged(where, "it is not complete") from None
    if name != session:
        raise StoreError(
            f"{where} holds the session {name!r}, and {session!r} was asked for.",
            hint='One cookies.txt is one session. Use the "session" and the "path" that it was made with, or another '
            '"path".',
        )
    return known


def _known(content: Mapping[str, Any]) -> Beside:
    record = content["record"]
    return Beside(
        None if record is None else SessionRecord.from_dict(record),
        str(content["jar"]),
        str(content["before"]),
        tuple(map(str, content["others"])),
        tuple(map(str, content["served"])),
        str(content["replaced"]),
    )


def _damaged(where: str, why: str) -> StoreDamaged:
    return StoreDamaged(
        f"{where} is damaged ({why}), so it is left as it is.",
        hint="Restore it from a backup, or move it away, so that the cookies in the cookies.txt beside it are taken as "
        "they are; if the service refuses them, log in again: argosy login CONFIG",
    )

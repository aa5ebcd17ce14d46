"""What a session manager may do, which cookies and header fields are tokens, and whom the manager tells.

A response *replaces* a token if it changes the value of one that was sent: the service then refuses the old one. A new
cookie or a new expiry replaces nothing. A deleted cookie leaves nothing newer to send: the session is over, or the cookie
was a note for one page.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, TypeGuard

from argosy.cookies.jar import Jar
from argosy.models.cookie import Cookie
from argosy.models.session import Carrier, HeaderToken, SessionRecord, Signer, origin_of

#: Names of cookies that protect forms: csrftoken (Django), XSRF-TOKEN (Laravel, Angular), _csrf (Express).
_FORGERY = re.compile("csrf|xsrf", re.I)

#: An expiry that moved by less than this share of the time left is not written: some services move it each time.
SLIGHT = 0.1

_Key = tuple[str, str, str, str | None, int | None]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The cookies that are tokens: those with these names (``token_cookies``), or all if there are none."""

    names: frozenset[str] = frozenset()
    is_other: Callable[[str], bool] | None = None  # whether a cookie of this name is well known not to be a token

    @classmethod
    def named(cls, names: Iterable[str]) -> Tokens:
        """Return the tokens with these names, or with this one; without names, all but the well-known others."""
        from argosy.plugins.services import is_known, known  # runs without a login do not need them

        known()  # an error about them must not come between a response and its commit
        return cls(frozenset([names] if isinstance(names, str) else names), is_known)

    def of(self, cookies: Jar) -> Jar:
        """Return the cookies that are tokens; the same object if all are."""
        if not self.names and not (self.is_other and any(self.is_other(cookie.name) for cookie in cookies)):
            return cookies
        return tuple(cookie for cookie in cookies if self.has(cookie.name))

    def has(self, name: str) -> bool:
        """Return whether a cookie of this name is a token."""
        return name in self.names if self.names else not (self.is_other and self.is_other(name))

    def same(self, one: Jar, other: Jar) -> bool:
        """Return whether two jars have the same tokens, regardless of expiry."""
        return one is other or _values(self.of(one)) == _values(self.of(other))

    def replaced(self, sent: Jar, before: Jar, after: Jar) -> bool:
        """Return whether a response to a request with the cookies `sent` replaced a token; the jars are whole."""
        sent = self.of(sent)
        if after is before or not sent:
            return False
        old, left = _values(before), _values(after)
        brought = [cookie for cookie in self.of(after) if old.get(cookie.key) != cookie.value]
        names, values = {cookie.name for cookie in sent}, {(cookie.name, cookie.value) for cookie in sent}
        # under any domain and path, as the old cookie and the new one would go out together
        if any(new.name in names and (new.name, new.value) not in values for new in brought):
            return True
        # or one is gone, and a cookie with a new name has come
        return any(cookie.key not in left for cookie in sent) and any(new.key not in old for new in brought)

    def merge(self, newest: Jar, before: Jar, after: Jar) -> Jar:
        """Return the newest jar with the changes of a response, unless another response came first.

        Two overlapping requests may carry the same token while only one succeeds. A cookie from the
        other response, perhaps an anonymous one, must not replace the good token, so a change counts only if the newest jar still has the
        cookie that was sent. Named tokens are one set: if one was replaced meanwhile, the response's are ignored.
        """
        if newest is before:
            return after
        late = bool(self.names) and not self.same(newest, before)
        old, brought = _by_key(before), _by_key(after)
        merged, now = _by_key(newest), _values(newest)
        for key in dict.fromkeys([*old, *brought]):
            was, new = old.get(key), brought.get(key)
            if was == new or now.get(key) != (was.value if was else None) or (late and key[0] in self.names):
                continue
            if new is None:
                merged.pop(key, None)
            else:
                merged[key] = new
        cookies = tuple(merged.values())
        return newest if cookies == newest else cookies

    def over(self, before: Jar, after: Jar) -> bool:
        """Return whether a session that had tokens has lost all of them."""
        return not self.of(after) and bool(self.of(before))


class Brought(NamedTuple):
    """What a response brought besides cookies; the objects of the record if it brought nothing."""

    headers: tuple[HeaderToken, ...]
    credentials: dict[str, str]
    is_blank: bool = False  # whether it named a token without a value: the service replaces it, but not now


@dataclass(frozen=True, slots=True)
class Carriers:
    """The tokens besides cookies that responses may replace."""

    all: tuple[Carrier, ...] = ()

    @property
    def in_bodies(self) -> bool:
        """Whether bodies of responses bring tokens."""
        return any(carrier.find is not None for carrier in self.all)

    @property
    def rotate(self) -> bool:
        """Whether responses replace header tokens, so that the one sent is spent."""
        return any(not carrier.is_kept for carrier in self.all)

    def of(self, tokens: Iterable[HeaderToken], url: str | None = None) -> tuple[HeaderToken, ...]:
        """Return the header tokens that a response may replace (`url`: only those that a request to it carries)."""
        if not self.all:
            return ()
        names = {carrier.name.lower() for carrier in self.all if not carrier.is_kept}
        return tuple(t for t in tokens if t.name.lower() in names and (url is None or t.concerns(url)))

    def settle(self, record: SessionRecord, fields: Iterable[tuple[str, str]], url: str) -> Brought:
        """Return the tokens in the header fields of a response to `url`."""
        if not self.all:
            return Brought(record.headers, record.credentials)
        values: dict[str, str] = {}
        blank = False
        for name, value in fields:
            for carrier in self.all:
                if carrier.field and carrier.field.lower() == name.lower():
                    found = _parameter(value, carrier.parameter) if carrier.parameter else value.strip()
                    blank = blank or not (found or carrier.is_kept or carrier.parameter)
                    if _is_text(found):
                        values[carrier.name] = found
        return self.bring(record, values, url)._replace(is_blank=blank)

    def found_in(self, answer: object) -> dict[str, str]:
        """Return the new values by the name of their carrier, in the JSON value of a response's body."""
        found = {carrier.name: carrier.find(answer) for carrier in self.all if carrier.find is not None}
        return {name: value for name, value in found.items() if _is_text(value)}

    def merge(self, newest: SessionRecord, before: SessionRecord, brought: Brought) -> Brought:
        """Return the tokens of a response on top of the newest record, unless another response came first."""
        if newest is before:
            return brought
        headers, credentials = newest.headers, newest.credentials
        if brought.headers is not before.headers and self.of(headers) == self.of(before.headers):
            new = {token.name.lower(): token for token in self.of(brought.headers)}
            headers = tuple({**{token.name.lower(): token for token in headers}, **new}.values())
        changes = {
            name: value
            for name, value in brought.credentials.items()
            if value != before.credentials.get(name) and credentials.get(name) == before.credentials.get(name)
        }
        return brought._replace(headers=headers, credentials={**credentials, **changes} if changes else credentials)

    def without_kept(self, credentials: dict[str, str]) -> dict[str, str]:
        """Return the credentials without those that a lost response may have replaced."""
        kept = {carrier.name for carrier in self.all if carrier.is_kept}
        return {name: value for name, value in credentials.items() if name not in kept}

    def bring(self, record: SessionRecord, values: Mapping[str, str], url: str) -> Brought:
        """Return the tokens of a record with new values from a response to `url`."""
        headers, credentials = {token.name.lower(): token for token in record.headers}, dict(record.credentials)
        for carrier in self.all:
            value, key = values.get(carrier.name), carrier.name.lower()
            if not value or (carrier.follows and carrier.follows not in values):
                continue
            if not any(origin_of(origin) == origin_of(url) for origin in carrier.origins):
                continue
            if carrier.is_kept:
                credentials[carrier.name] = value
                continue
            old = headers.get(key)
            scheme = old.value.rpartition(" ")[0] if old is not None else ""
            new = f"{scheme} {value}" if scheme and " " not in value else value
            origins = old.origins if old is not None else tuple(map(origin_of, carrier.origins))
            headers[key] = HeaderToken(carrier.name if old is None else old.name, new, origins)
        tokens = tuple(headers.values())
        return Brought(
            record.headers if tokens == record.headers else tokens,
            record.credentials if credentials == record.credentials else credentials,
        )


def _is_text(value: object) -> TypeGuard[str]:
    """Return whether a value that a response brought can be sent in a header field (RFC 9110 section 5.5)."""
    return isinstance(value, str) and bool(value.strip()) and value.isascii() and value.isprintable()


def _parameter(value: str, name: str) -> str:
    """Return a parameter of a header field such as ``Authentication-Info``, or an empty string."""
    # the look behind keeps a long name without a value from taking quadratic time
    for found in re.finditer(
        r'(?<![!#$%&\'*+.^_`|~\w-])([!#$%&\'*+.^_`|~\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,;"]*))', value
    ):
        if found[1].lower() == name.lower():
            return re.sub(r"\\(.)", r"\1", found[2]) if found[2] is not None else found[3]
    return ""


def slight(before: Jar, after: Jar, now: float) -> bool:
    """Return whether only expiry times changed, and only a little (`now`: seconds since the epoch)."""
    return before is after or (
        len(before) == len(after) and all(_is_slight(old, new, now) for old, new in zip(before, after, strict=True))
    )


def _is_slight(old: Cookie, new: Cookie, now: float) -> bool:
    if old == new:
        return True
    if old.expires is None or new.expires is None or replace(old, expires=new.expires) != new:
        return False
    return abs(new.expires - old.expires) <= SLIGHT * (new.expires - now)


def _by_key(cookies: Jar) -> dict[_Key, Cookie]:
    return {cookie.key: cookie for cookie in cookies}


def _values(cookies: Jar) -> dict[_Key, str]:
    return {cookie.key: cookie.value for cookie in cookies}


class LeaseMode(StrEnum):
    """How requests share a session."""

    EXCLUSIVE = "exclusive"
    EXCLUSIVE_TO_END = "exclusive-to-end"
    SHARED = "shared"
    AUTO = "auto"  # exclusive or shared, as learned (`argosy.leasing.adaptive`)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a session manager may do."""

    lease_mode: LeaseMode = LeaseMode.EXCLUSIVE
    on_doubt: str | None = None  # "login", "ask" or "wait"; None means "login" if renewable, else "ask"
    doubt_wait: float = 0.0  # for "wait": seconds between a lost response and one more try of the token
    doubt_within: float | None = None  # for "wait": only a lost refresh, and only for so many seconds since it was sent
    max_logins: int = 20  # without an accepted request, unless the manager is given a shared `LoginLimiter`
    renewable: bool = True  # whether a login makes a new session; false for an imported jar
    tokens: Tokens = Tokens()  # which cookies are tokens
    carriers: Carriers = Carriers()  # what else responses may replace
    signer: Signer = Signer.NONE
    remedy: str = "Log in again: argosy login CONFIG"  # what a person can do if the session cannot be renewed

    def needs_cookies(self, record: SessionRecord) -> bool:
        """Return whether the session ends with its cookies.

        It does not if every request carries other credentials: a stateless signer, or a header or signer from a
        login that set no cookies. Cookies that the service sets later can then be dropped at any time.
        """
        if self.signer in (Signer.STATELESS, Signer.KEPT):
            return False
        names = record.login_cookies if self.tokens.names else filter(self.tokens.has, record.login_cookies)
        return any(names) or not (record.headers or self.signer is Signer.STATEFUL)

    def is_over(self, record: SessionRecord, now: float) -> bool:
        """Return whether all tokens have expired (`now`: seconds since the epoch)."""
        tokens = self.tokens.of(record.cookies)
        # cookies against request forgery often outlive the session, and identify no one
        tokens = tuple(cookie for cookie in tokens if not _FORGERY.search(cookie.name)) or tokens
        return bool(tokens) and all(cookie.expired(now) for cookie in tokens) and self.needs_cookies(record)


def _nothing(*_: object) -> None:
    return None


@dataclass(frozen=True, slots=True)
class SessionCallbacks:
    """Functions that a session manager calls."""

    waiting: Callable[[str], None] = _nothing  # before a wait: "lease", "login", "delay" or "doubt"
    login: Callable[[str], None] = _nothing  # after a login, with the reason
    refresh: Callable[[str], None] = _nothing  # after a refresh, with the reason
    notice: Callable[[str], None] = _nothing  # with a message for the person
    secret: Callable[[str], None] = _nothing  # with every token, so that logs and reports can leave it out
    sleep: Callable[[float], None] = time.sleep  # waits, or less if the run is being stopped
    check: Callable[[], None] = _nothing  # before anything is sent; raises `Interrupted` if the run is being stopped
    refusal: Callable[[], None] = _nothing  # after a response that rejected the token

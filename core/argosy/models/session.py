"""Tokens that a session sends in a header field instead of a cookie: ``Authorization: Bearer ...`` and the like.

The record of one session, as every cookie store keeps it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from argosy.cookies import jar
from argosy.cookies.matching import Target
from argosy.leasing.policy import Signer
from argosy.models.cookie import Cookie


@dataclass(frozen=True, slots=True)
class HeaderToken:
    """A token that goes into a header field, to the origins it was made for and nowhere else.

    Parameters
    ----------
    name
        The field's name (RFC 9110 section 5.1).
    value
        Its value, with the scheme where there is one: ``Bearer abc``.
    origins
        Where it is sent: ``https://api.example``, with the port where it is not the scheme's own
        (RFC 6454 section 4).
    """

    name: str
    value: str
    origins: tuple[str, ...]

    def __repr__(self) -> str:
        return f"HeaderToken(name={self.name!r}, origins={self.origins!r})"

    def concerns(self, url: str) -> bool:
        """Return whether it goes with a request to this URL."""
        return origin_of(url) in self.origins

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; they hold the token."""
        return {"name": self.name, "value": self.value, "origins": list(self.origins)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> HeaderToken:
        """Return the token that `to_dict` wrote."""
        return cls(str(value["name"]), str(value["value"]), tuple(map(str, value["origins"])))


def origin_of(url: str) -> str:
    """Return the origin of a URL, ``https://api.example``, its port only where it is not the scheme's own."""
    target = Target.of(url)
    host = f"[{target.host}]" if ":" in target.host else target.host
    usual = {"http": 80, "https": 443}.get(target.scheme)
    return f"{target.scheme}://{host}" if target.port == usual else f"{target.scheme}://{host}:{target.port}"


def header_fields(tokens: Iterable[HeaderToken], url: str) -> dict[str, str]:
    """Return the header fields that say who asks, for a request to this URL."""
    return {token.name: token.value for token in tokens if token.concerns(url)}


class Status(StrEnum):
    """Whether a session's token may be sent."""

    IDLE = "idle"  # the token is good as far as we know
    IN_FLIGHT = "in_flight"  # it was sent, or is about to be, by the holder
    DEAD = "dead"  # the service ended the session
    RETIRED = (
        "retired"  # the service ends it whenever another session logs in; not used until a login is asked for
    )


@dataclass(frozen=True, slots=True)
class Holder:
    """Who marked a session as in flight.

    Parameters
    ----------
    host, pid, process_start
        The process; its start time (clock ticks since boot, 0 where unknown) tells a reused pid.
    thread
        The thread's name.
    since
        When, seconds since the epoch, for people.
    boot
        The boot of the machine: a mark from before it outlived a power loss.
    """

    host: str
    pid: int
    process_start: int
    thread: str
    since: float
    boot: str


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session; changed only by compare-and-set on `generation`.

    Parameters
    ----------
    session
        Its name.
    generation
        Raised by every change.
    cookies
        One for each name, domain and path.
    status
        Whether its token may be sent.
    holder
        Who has it in flight.
    logins
        How many logins it has seen.
    logged_in
        When the last of them was, seconds since the epoch.
    headers
        The tokens it sends in header fields.
    credentials
        What the auth plugin keeps with it, by name: a refresh token, say. It is sent by the plugin alone.
    refreshes
        How often it was renewed without a login, with its credentials.
    expires
        When its tokens expire, seconds since the epoch; 0 where that is not known.
    due
        When it is to be renewed, some time before that; 0 where it is not.
    together
        When it was last known to be good at once with all other sessions of its pool, seconds since the epoch.
    learned
        What was learned about the service, for the lease that is chosen by watching.
    renewable, signer
        As in the `Policy` of the program that used it last; for whoever has no auth plugin and shows the lease.
    saved
        When it was written, seconds since the epoch.
    boot
        The boot in which it was written.
    synced
        Whether it was on stable storage then. One that was not, and is from another boot, outlived a power
        loss: a newer one may have been lost.
    login_cookies
        The names of those that the last login brought. They are taken for tokens when there are too many cookies.
    """

    session: str
    generation: int = 0
    cookies: tuple[Cookie, ...] = ()
    status: Status = Status.IDLE
    holder: Holder | None = None
    logins: int = 0
    logged_in: float = 0.0
    headers: tuple[HeaderToken, ...] = ()
    credentials: dict[str, str] = field(default_factory=dict, repr=False)
    refreshes: int = 0
    expires: float = 0.0
    due: float = 0.0
    together: float = 0.0
    learned: dict[str, Any] = field(default_factory=dict)
    renewable: bool = True
    signer: Signer = Signer.NONE
    saved: float = 0.0
    boot: str = ""
    synced: bool = False
    login_cookies: tuple[str, ...] = ()

    @property
    def is_usable(self) -> bool:
        """Whether there is a session, as far as is known, so that no login is needed."""
        return self.logins > 0 and self.status not in (Status.DEAD, Status.RETIRED)

    @property
    def issue(self) -> tuple[int, int]:
        """What tells its tokens from those before a login or a refresh; a refusal is compared with it."""
        return self.logins, self.refreshes

    def is_due(self, now: float) -> bool:
        """Return whether it is to be renewed before it is used (`now`: seconds since the epoch)."""
        return 0 < self.due <= now

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values. They hold the token: they go into a store and nowhere else."""
        value: dict[str, Any] = {
            "session": self.session,
            "generation": self.generation,
            "status": self.status.value,
            "logins": self.logins,
            "logged_in": self.logged_in,
            "together": self.together,
            "saved": self.saved,
            "boot": self.boot,
            "synced": self.synced,
            "cookies": [cookie.to_dict() for cookie in self.cookies],
            "login_cookies": list(self.login_cookies),
        }
        if self.holder is not None:
            value["holder"] = {name: getattr(self.holder, name) for name in Holder.__slots__}
        if self.learned:
            value["learned"] = dict(self.learned)
        if self.headers:
            value["headers"] = [token.to_dict() for token in self.headers]
        if self.credentials:
            value["credentials"] = dict(self.credentials)
        if self.refreshes:
            value["refreshes"] = self.refreshes
        if not self.renewable:
            value["renewable"] = False
        if self.signer is not Signer.NONE:
            value["signer"] = self.signer.value
        if self.expires or self.due:
            value |= {"expires": self.expires, "due": self.due}
        return value

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> SessionRecord:
        """Return the record that `to_dict` wrote.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is not one; a store turns these into `StoreDamaged`.
        """
        holder = value.get("holder")
        cookies = tuple(Cookie.from_dict(cookie) for cookie in value["cookies"])
        login_cookies = value.get("login_cookies")
        if login_cookies is None:  # written before there were bounds: those of the login are the oldest
            login_cookies = {cookie.name: None for cookie in cookies[: jar.MAX_OF_DOMAIN]}
            cookies = jar.within_bounds(cookies, login_cookies, time.time())
        return cls(
            session=value["session"],
            generation=int(value["generation"]),
            cookies=cookies,
            login_cookies=tuple(map(str, login_cookies)),
            status=Status(value["status"]),
            holder=Holder(**holder) if holder is not None else None,
            logins=int(value["logins"]),
            logged_in=float(value.get("logged_in", 0.0)),
            headers=tuple(HeaderToken.from_dict(token) for token in value.get("headers", ())),
            credentials={str(name): str(text) for name, text in value.get("credentials", {}).items()},
            refreshes=int(value.get("refreshes", 0)),
            expires=float(value.get("expires", 0.0)),
            due=float(value.get("due", 0.0)),
            together=float(value.get("together", 0.0)),
            learned=dict(value.get("learned", {})),
            renewable=bool(value.get("renewable", True)),
            signer=Signer(value.get("signer", "none")),
            saved=float(value["saved"]),
            boot=str(value["boot"]),
            synced=bool(value["synced"]),
        )

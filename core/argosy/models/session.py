"""The record of one session, as every cookie store keeps it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from argosy.models.cookie import Cookie


@dataclass(frozen=True, slots=True)
class HeaderToken:
    """A token in a header field, such as ``Authorization: Bearer abc``, sent to its own origins only."""

    name: str
    value: str  # with the scheme, if any
    origins: tuple[str, ...]  # as `origin_of` returns them

    def __repr__(self) -> str:
        return f"HeaderToken(name={self.name!r}, origins={self.origins!r})"

    def concerns(self, url: str) -> bool:
        """Return whether a request to this URL carries it."""
        return origin_of(url) in self.origins


@dataclass(frozen=True, slots=True)
class Carrier:
    """A token that responses may replace, besides cookies: a header token of the session, or a credential kept with it.

    An auth plugin declares it; a missing or blank new value keeps the old one.
    """

    name: str  # of the header token or kept credential
    field: str = ""  # the header field of responses that brings a new value; "" if only bodies do
    origins: tuple[str, ...] = ()  # whose responses may replace it, and who gets it if a response brings the first one
    parameter: str = ""  # the parameter of the field with the value, such as ``nextnonce`` (RFC 9110 section 11.3)
    #: The carrier that it changes together with: it changes only if a response replaces that one as well.
    follows: str = ""
    #: Whether it is a kept credential, such as a nonce: a doubt about it costs no login.
    is_kept: bool = False
    #: Finds the new value in the JSON value of a response's body, or returns None.
    find: Callable[[Any], object] | None = None


@lru_cache(maxsize=256)  # asked several times for each request
def origin_of(url: str) -> str:
    """Return the origin of a URL, ``https://api.example``, with the port unless it is the default (RFC 6454 section 4)."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port = parts.port or default
    return f"{parts.scheme}://{host}" + ("" if port == default else f":{port}")


def header_fields(tokens: Iterable[HeaderToken], url: str) -> dict[str, str]:
    """Return the header fields with tokens for a request to this URL."""
    return {token.name: token.value for token in tokens if token.concerns(url)}


class Signer(StrEnum):
    """What computes credentials for each request, besides the session's record."""

    NONE = "none"
    STATELESS = "stateless"  # no response changes the signatures, so signed requests may overlap
    KEPT = "kept"  # as stateful, but the session's record tells whether a response changed them
    STATEFUL = "stateful"  # a response may change them, so signed requests take turns


class Status(StrEnum):
    """Whether a session's token may be sent."""

    IDLE = "idle"  # the token is good as far as we know
    IN_FLIGHT = "in_flight"  # the holder sent it, or is about to
    DEAD = "dead"  # the service ended the session
    RETIRED = "retired"  # the service ends it when another session logs in; unused until the person logs in


@dataclass(frozen=True, slots=True)
class Holder:
    """Who marked a session as in flight."""

    host: str
    pid: int
    process_start: int  # clock ticks since boot, 0 if unknown; reveals a reused pid
    thread: str  # the thread's name
    since: float
    boot: str  # the boot of the machine; a mark from an earlier boot survived a power loss


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session; changed only by compare-and-set on `generation`. Times are in seconds since the epoch."""

    session: str
    generation: int = 0  # raised by every change
    cookies: tuple[Cookie, ...] = ()
    status: Status = Status.IDLE
    holder: Holder | None = None  # who has it in flight
    logins: int = 0
    logged_in: float = 0.0  # the last login
    headers: tuple[HeaderToken, ...] = ()
    credentials: dict[str, str] = field(default_factory=dict, repr=False)  # only the auth plugin sends them
    refreshes: int = 0  # how often its credentials renewed it without a login
    expires: float = 0.0  # when its tokens expire; 0 if unknown
    due: float = 0.0  # when to renew it, some time before; 0 for never
    together: float = 0.0  # when it was last known to be good together with all other sessions of its pool
    learned: dict[str, Any] = field(default_factory=dict)  # see `argosy.leasing.adaptive`
    renewable: bool = True  # as in the last `Policy`, to show the lease mode without an auth plugin
    signer: Signer = Signer.NONE  # as in the last `Policy`
    saved: float = 0.0
    boot: str = ""  # the boot of the machine in which it was saved
    synced: bool = False  # whether it was on stable storage then; else a power loss may have lost a newer one
    user_agent: str = ""  # of its login; all its requests send it, as some services bind a session to it
    login_cookies: tuple[str, ...] = ()  # cookies from the last login, kept if there are too many cookies

    @property
    def is_usable(self) -> bool:
        """Whether the session needs no login, as far as is known."""
        return self.logins > 0 and self.status not in (Status.DEAD, Status.RETIRED)

    @property
    def issue(self) -> tuple[int, int]:
        """Changes with each login or refresh; a refusal is compared with it."""
        return self.logins, self.refreshes

    def is_due(self, now: float) -> bool:
        """Return whether to renew it before it is used (`now`: seconds since the epoch)."""
        return 0 < self.due <= now

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values. They hold the token: they go into a store and nowhere else."""
        return {
            **_values(self),
            "cookies": [_values(cookie) for cookie in self.cookies],
            "headers": [_values(token) for token in self.headers],
            "holder": self.holder and _values(self.holder),
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> SessionRecord:
        """Return the record that `to_dict` wrote, in a copy.

        Raise AttributeError, KeyError, TypeError or ValueError if it is not one: to a store, `StoreDamaged`.
        """
        if value.keys() != set(cls.__slots__):
            raise ValueError("not the fields of a session record")
        rich = {
            "cookies": tuple(Cookie(**cookie) for cookie in value["cookies"]),
            "status": Status(value["status"]),
            "holder": Holder(**value["holder"]) if value["holder"] else None,
            "headers": tuple(HeaderToken(t["name"], t["value"], tuple(t["origins"])) for t in value["headers"]),
            "credentials": dict(value["credentials"]),
            "learned": dict(value["learned"]),
            "signer": Signer(value["signer"]),
            "login_cookies": tuple(value["login_cookies"]),
        }
        return cls(**{**value, **rich})


def _values(thing: Any) -> dict[str, Any]:
    """Return the fields of a dataclass; asdict() would copy each of them."""
    return {name: getattr(thing, name) for name in thing.__slots__}

"""The record of one session, as every cookie store keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from argosy.models.cookie import Cookie

#: The port that each scheme uses by itself.
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HeaderToken:
    """A token in a header field (``Authorization: Bearer ...``), sent to the origins it was made for only.

    Parameters
    ----------
    name
        The field's name (RFC 9110 section 5.1).
    value
        Its value, with the scheme if any: ``Bearer abc``.
    origins
        Where it is sent: ``https://api.example``, with the port unless it is the scheme's own (RFC 6454 section 4).
    """

    name: str
    value: str
    origins: tuple[str, ...]

    def __repr__(self) -> str:
        return f"HeaderToken(name={self.name!r}, origins={self.origins!r})"

    def concerns(self, url: str) -> bool:
        """Return whether a request to this URL carries it."""
        return origin_of(url) in self.origins

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; they hold the token."""
        return {"name": self.name, "value": self.value, "origins": list(self.origins)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> HeaderToken:
        """Return the token that `to_dict` wrote."""
        return cls(str(value["name"]), str(value["value"]), tuple(map(str, value["origins"])))


@lru_cache(maxsize=256)  # asked several times for each request
def origin_of(url: str) -> str:
    """Return the origin of a URL, ``https://api.example``, with the port unless it is the scheme's own."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    port = parts.port or _PORTS.get(parts.scheme)
    return (
        f"{parts.scheme}://{host}" if port == _PORTS.get(parts.scheme) else f"{parts.scheme}://{host}:{port}"
    )


def header_fields(tokens: Iterable[HeaderToken], url: str) -> dict[str, str]:
    """Return the header fields with tokens for a request to this URL."""
    return {token.name: token.value for token in tokens if token.concerns(url)}


class Signer(StrEnum):
    """What computes credentials for each request, besides the session's record."""

    NONE = "none"
    STATELESS = "stateless"  # no response changes the signatures, so signed requests may overlap
    STATEFUL = "stateful"  # a response may change them, so signed requests take turns


class Status(StrEnum):
    """Whether a session's token may be sent."""

    IDLE = "idle"  # the token is good as far as we know
    IN_FLIGHT = "in_flight"  # the holder sent it, or is about to
    DEAD = "dead"  # the service ended the session
    RETIRED = "retired"  # the service ends it when another session logs in; unused until the person logs in


@dataclass(frozen=True, slots=True)
class Holder:
    """Who marked a session as in flight.

    Parameters
    ----------
    host, pid, process_start
        The process; its start time (clock ticks since boot, 0 if unknown) reveals a reused pid.
    thread
        The thread's name.
    since
        When, seconds since the epoch, for people.
    boot
        The boot of the machine; a mark from an earlier boot survived a power loss.
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
        Its count of logins.
    logged_in
        When the last of them was, seconds since the epoch.
    headers
        The tokens it sends in header fields.
    credentials
        What the auth plugin keeps with it, by name, such as a refresh token; only the plugin sends it.
    refreshes
        How often its credentials renewed it without a login.
    expires
        When its tokens expire, seconds since the epoch; 0 if unknown.
    due
        When to renew it, some time before that; 0 for never.
    together
        When it was last known to be good together with all other sessions of its pool, seconds since the epoch.
    learned
        What lease mode ``auto`` has learned about the service.
    renewable, signer
        As in the `Policy` of the program that used it last, to show the lease mode without an auth plugin.
    saved
        When it was written, seconds since the epoch.
    boot
        The boot in which it was written.
    synced
        Whether it was on stable storage then. If not, and it is from another boot, a power loss may have lost a
        newer record.
    login_cookies
        The names of the cookies from the last login; they are kept if there are too many cookies.
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
        return cls(
            session=value["session"],
            generation=int(value["generation"]),
            cookies=tuple(Cookie.from_dict(cookie) for cookie in value["cookies"]),
            login_cookies=tuple(map(str, value.get("login_cookies", ()))),
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

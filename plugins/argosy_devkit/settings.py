"""The settings of a library server."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self

from argosy.errors import ConfigError
from argosy_devkit.fault import Fault


class LeaseMode(StrEnum):
    """How the server treats tokens."""

    OPEN = "open"  # no login is needed
    STATIC = "static"  # one token for the whole session
    STRICT = "strict"  # every response replaces the token; an old one is refused with 401
    REVOKE = "revoke"  # like strict, but an old token ends the session
    GRACE = "grace"  # like strict, but an old token works for a while and gets the newest one in return
    SLIDE = "slide"  # every k-th response replaces the token; an old one is refused with 401
    SOFT = "soft"  # like strict, but a refusal is the login page with status 200
    REDIRECT = "redirect"  # like strict, but a refusal is a redirect to the login page


class TokenCarrier(StrEnum):
    """What brings the token, both ways."""

    COOKIE = "cookie"  # a cookie
    HEADER = "header"  # the fields access-token, client and uid (devise_token_auth); blank in a response that keeps it
    NONCE = "nonce"  # the nonce of HTTP Digest: a challenge brings the first, Authentication-Info the next ones
    BODY = "body"  # Authorization: Bearer; the answers below /json/ bring the next one ("token")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The settings of a `LibraryServer`.

    Parameters
    ----------
    lease_mode
        How it treats tokens, one of `LeaseMode`.
    carrier
        What brings the token, one of `TokenCarrier`. Each of them works with each `lease_mode`; the refusal of a nonce is
        always a challenge.
    csrf
        Whether requests also need the token that the response before brought in ``X-CSRF-Token``, in the same field.
    grace
        Seconds for which an old token works under ``grace``.
    slide_every
        The number of responses per token under ``slide``; in header fields, the others bring a blank.
    commit
        When a new token replaces the old one: when the request is accepted (``headers``), or with the last byte of the
        body (``body``).
    user, password
        The only account.
    max_sessions
        The most sessions of the account at a time; 0 for no limit.
    on_too_many
        What a login above the limit does: it ends the ``oldest`` session, or is refused (``refuse``).
    cookie_name
        The name of the token cookie.
    cookie_attributes
        The text after the token in ``Set-Cookie``.
    second_cookie
        Whether requests also need a second token cookie (its name ends in ``_check``) that matches the first.
    noise_cookie
        Whether every response also sets a changing cookie ``visits`` that has no meaning; or another name for it.
    date_offset
        The error of the server's clock in seconds, as its ``Date`` shows.
    ttfb
        Seconds between the acceptance of a request and the first byte.
    rate
        Bytes per second and connection for bodies; 0 for no limit.
    headers
        Pairs of a header and its value for every response with content, even with faults; an empty value removes it.
    faults
        The faults; the first that applies is used.
    seed
        Makes faults with a probability repeatable.
    root
        A directory to serve below ``/library/``.
    """

    lease_mode: str = LeaseMode.STRICT
    carrier: str = TokenCarrier.COOKIE
    csrf: bool = False
    grace: float = 5.0
    slide_every: int = 5
    commit: Literal["headers", "body"] = "headers"
    user: str = "ada"
    password: str = "difference engine"  # noqa: S105 - the account of a server on this machine, for tests
    max_sessions: int = 0
    on_too_many: Literal["oldest", "refuse"] = "oldest"
    cookie_name: str = "token"
    cookie_attributes: str = "; Path=/; HttpOnly"
    second_cookie: bool = False
    noise_cookie: bool | str = False
    date_offset: float = 0.0
    ttfb: float = 0.0
    rate: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()
    faults: tuple[Fault, ...] = ()
    seed: int = 0
    root: Path | None = None

    def __post_init__(self) -> None:
        _one_of("lease_mode", self.lease_mode, tuple(LeaseMode))
        _one_of("carrier", self.carrier, tuple(TokenCarrier))
        _one_of("commit", self.commit, ("headers", "body"))
        _one_of("on_too_many", self.on_too_many, ("oldest", "refuse"))
        object.__setattr__(self, "faults", tuple(self.faults))  # people write lists
        object.__setattr__(self, "headers", tuple((name, value) for name, value in self.headers))
        for name in ("grace", "ttfb", "rate", "max_sessions"):
            if getattr(self, name) < 0:
                raise ConfigError(f"The server's {name} is {getattr(self, name)}; it cannot be negative.")
        if self.slide_every < 1:
            raise ConfigError(f"The server's slide_every is {self.slide_every}; it must be at least 1.")

    @property
    def needs_login(self) -> bool:
        """Whether the library requires a login."""
        return self.lease_mode != LeaseMode.OPEN

    @property
    def cookie_names(self) -> tuple[str, ...]:
        """The names of the token cookies."""
        names = (self.cookie_name, f"{self.cookie_name}_check")
        return names if self.second_cookie else names[:1]

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Return settings with these names and values; raise ConfigError if one is unknown or invalid."""
        known = tuple(field.name for field in fields(cls))
        for name in options:
            _one_of("setting", name, known)
        return cls(**options)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, including the password: they only go through a pipe."""
        return asdict(self) | {"root": None if self.root is None else str(self.root)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return settings from `to_json`."""
        faults = tuple(Fault(**fault) for fault in value["faults"])
        root = None if value["root"] is None else Path(value["root"])
        return cls(**{**value, "faults": faults, "root": root})


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        close = difflib.get_close_matches(value, known, 1)
        hint = f"Did you mean {str(close[0])!r}?" if close else f"Available: {', '.join(map(str, known))}."
        raise ConfigError(f"Unknown {what} {value!r}.", hint=hint)

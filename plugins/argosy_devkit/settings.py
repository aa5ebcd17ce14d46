"""What a library server can be told to do."""

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
    REVOKE = "revoke"  # as strict, and an old one ends the session
    GRACE = "grace"  # as strict, but an old one is good for a while and gets the newest in return
    SLIDE = "slide"  # every k-th response replaces the token; an old one is refused with 401
    SOFT = "soft"  # as strict, but a refusal is the login page with status 200
    REDIRECT = "redirect"  # as strict, but a refusal is a redirect to the login page


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The settings of a `LibraryServer`.

    Parameters
    ----------
    discipline
        How it treats tokens, one of `LeaseMode`.
    grace
        Seconds an old token stays good under ``grace``.
    slide_every
        How many responses a token lasts under ``slide``.
    commit
        When a new token is good, and the old one no longer: as soon as the request is accepted
        (``headers``), or with the last of the body (``body``).
    user, password
        The one account.
    max_sessions
        How many sessions the account may have at once; 0 for any number.
    on_too_many
        What a login above that does: it ends the ``oldest`` session, or it is refused (``refuse``).
    cookie_name
        The name of the token cookie.
    cookie_attributes
        What follows the token in ``Set-Cookie``, word for word.
    second_cookie
        Whether a second token cookie (its name ends in ``_check``) must come along and match the first.
    noise_cookie
        Whether every response also sets a cookie ``visits`` that changes and matters to nobody.
    date_offset
        Seconds by which the server's clock is wrong in its ``Date``.
    ttfb
        Seconds between the acceptance of a request and its first byte.
    rate
        Bytes per second and connection for bodies; 0 for as fast as can be.
    headers
        Pairs of a header and the value it has in every answer with content, whatever faults there are; left out where
        the value is empty.
    faults
        What goes wrong, the first that strikes.
    seed
        Makes the faults with a probability repeatable.
    root
        A directory whose files are served below ``/library/``.
    """

    discipline: str = LeaseMode.STRICT
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
    noise_cookie: bool = False
    date_offset: float = 0.0
    ttfb: float = 0.0
    rate: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()
    faults: tuple[Fault, ...] = ()
    seed: int = 0
    root: Path | None = None

    def __post_init__(self) -> None:
        _one_of("discipline", self.discipline, tuple(LeaseMode))
        _one_of("commit", self.commit, ("headers", "body"))
        _one_of("on_too_many", self.on_too_many, ("oldest", "refuse"))
        object.__setattr__(self, "faults", tuple(self.faults))  # a list is what people write
        object.__setattr__(self, "headers", tuple((name, value) for name, value in self.headers))
        for name in ("grace", "ttfb", "rate", "max_sessions"):
            if getattr(self, name) < 0:
                raise ConfigError(f"The server's {name} is {getattr(self, name)}; it cannot be negative.")
        if self.slide_every < 1:
            raise ConfigError(f"The server's slide_every is {self.slide_every}; it must be at least 1.")

    @property
    def needs_login(self) -> bool:
        """Whether the library is behind a login."""
        return self.discipline != LeaseMode.OPEN

    @property
    def cookie_names(self) -> tuple[str, ...]:
        """The names of the token cookies."""
        names = (self.cookie_name, f"{self.cookie_name}_check")
        return names if self.second_cookie else names[:1]

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Return the settings with these names and values.

        Raises
        ------
        ConfigError
            If there is no setting of such a name, or it cannot have such a value.
        """
        known = tuple(field.name for field in fields(cls))
        for name in options:
            _one_of("setting", name, known)
        return cls(**options)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values (with the password: they go through a pipe and nowhere else)."""
        return asdict(self) | {"root": None if self.root is None else str(self.root)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the settings that `to_json` wrote."""
        faults = tuple(Fault(**fault) for fault in value["faults"])
        root = None if value["root"] is None else Path(value["root"])
        return cls(**{**value, "faults": faults, "root": root})


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        close = difflib.get_close_matches(value, known, 1)
        hint = f"Did you mean {str(close[0])!r}?" if close else f"There are: {', '.join(map(str, known))}."
        raise ConfigError(f"The library server knows no {what} {value!r}.", hint=hint)

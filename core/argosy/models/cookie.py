"""One cookie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cookie:
    """One cookie as in RFC 6265bis section 5.5, with its origin.

    RFC 6265bis sends a cookie to every port of its host, and one without ``Secure`` over plain http as well.
    argosy does not: a session belongs to an origin (scheme, host and port). Only the service can widen the host,
    with ``Domain``.

    Parameters
    ----------
    name, value
        As received.
    domain
        Lower case, without a leading dot.
    path
        The path it is sent to and below.
    expires
        When it expires, seconds since the epoch; None for a session cookie.
    secure
        Sent over https only (or to this machine itself).
    http_only
        Kept for the record; argosy runs no scripts.
    host_only
        Sent to `domain` itself only, not below it.
    scheme, port
        Its origin (``https``, 443); it is sent by this scheme to this port only. None allows any: the origin of an
        imported cookie, and of one that replaces it, is unknown.
    """

    name: str
    value: str
    domain: str
    path: str = "/"
    expires: float | None = None
    secure: bool = False
    http_only: bool = False
    host_only: bool = True
    scheme: str | None = None
    port: int | None = None

    @property
    def place(self) -> tuple[str, str, str]:
        """Its identity in RFC 6265bis: name, domain and path."""
        return self.name, self.domain, self.path

    @property
    def key(self) -> tuple[str, str, str, str | None, int | None]:
        """Its identity in argosy: name, domain, path, scheme and port."""
        return self.name, self.domain, self.path, self.scheme, self.port

    def meets(self, other: Cookie) -> bool:
        """Return whether one replaces the other, as some request would carry both."""
        return (
            self.place == other.place
            and (self.scheme is None or other.scheme is None or self.scheme == other.scheme)
            and (self.port is None or other.port is None or self.port == other.port)
        )

    def expired(self, now: float) -> bool:
        """Return whether it has expired (`now`: seconds since the epoch)."""
        return self.expires is not None and self.expires <= now

    def __repr__(self) -> str:
        # the value is secret, and must not show in a log
        return f"Cookie({self.name!r}, '***', {self.domain!r}, {self.path!r})"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, without defaults."""
        value: dict[str, Any] = {
            "name": self.name,
            "value": self.value,
            "domain": self.domain,
            "path": self.path,
        }
        if self.expires is not None:
            value["expires"] = self.expires
        for flag in ("secure", "http_only"):
            if getattr(self, flag):
                value[flag] = True
        if not self.host_only:
            value["host_only"] = False
        for place in ("scheme", "port"):
            if getattr(self, place) is not None:
                value[place] = getattr(self, place)
        return value

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Cookie:
        """Return the cookie that `to_dict` wrote."""
        return cls(**value)

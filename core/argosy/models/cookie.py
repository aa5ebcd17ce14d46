"""One cookie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cookie:
    """One cookie, as RFC 6265bis section 5.5 keeps it, and where it came from.

    RFC 6265bis sends a cookie to every port of its host, and one without ``Secure`` over plain http as well.
    argosy does not: a session is that of an origin, which is a scheme, a host and a port. Only the host can be
    widened, by the service itself, with ``Domain``.

    Parameters
    ----------
    name, value
        As they came.
    domain
        Lower case, without a leading dot.
    path
        The path it is sent to and below.
    expires
        When it ends, seconds since the epoch; None for a session cookie.
    secure
        Sent over https only (or to this machine itself).
    http_only
        Kept for the record; argosy runs no scripts.
    host_only
        Sent to `domain` itself only, not below it.
    scheme, port
        Where it came from (``https``, 443); it is sent by this scheme, to this port only. None where nobody
        knows, as of an imported cookie and of what replaces it: then any will do.
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
        """What makes it one cookie to RFC 6265bis: name, domain and path."""
        return self.name, self.domain, self.path

    @property
    def key(self) -> tuple[str, str, str, str | None, int | None]:
        """What makes it one cookie here: name, domain, path, scheme and port."""
        return self.name, self.domain, self.path, self.scheme, self.port

    def meets(self, other: Cookie) -> bool:
        """Return whether some request would carry both, were they kept side by side: one replaces the other."""
        return (
            self.place == other.place
            and (self.scheme is None or other.scheme is None or self.scheme == other.scheme)
            and (self.port is None or other.port is None or self.port == other.port)
        )

    def expired(self, now: float) -> bool:
        """Return whether it has ended, by the wall clock (seconds since the epoch)."""
        return self.expires is not None and self.expires <= now

    def __repr__(self) -> str:
        # the value is the secret: a cookie that is logged by accident must not show it
        return f"Cookie({self.name!r}, '***', {self.domain!r}, {self.path!r})"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; what has its usual value is left out."""
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

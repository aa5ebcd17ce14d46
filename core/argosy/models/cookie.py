"""One cookie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cookie:
    """One cookie as in RFC 6265bis section 5.5, with its origin.

    RFC 6265bis sends a cookie to every port of its host, and one without ``Secure`` over plain http as well. argosy
    does not: a session belongs to an origin. Only the service can widen the host, with ``Domain``.

    Parameters
    ----------
    name, value
        As received.
    domain
        Lower case, without a leading dot.
    path
        The path it is sent to and below.
    expires
        When it expires, in seconds since the epoch; None for a session cookie.
    secure, http_only
        Its flags. A secure cookie is sent over https, or to this machine itself.
    host_only
        Whether it is sent to `domain` only, not below it.
    scheme, port
        Its origin (``https``, 443); None allows any, as the origin of an imported cookie is unknown.
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
        """Return it as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Cookie:
        """Return the cookie that `to_dict` wrote."""
        return cls(**value)

"""One cookie."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cookie:
    """One cookie as in RFC 6265bis section 5.5, with its origin.

    RFC 6265bis sends a cookie to every port of its host, and one without ``Secure`` over plain http as well. argosy
    does not: a session belongs to an origin. Only the service can widen the host, with ``Domain``.
    """

    name: str
    value: str
    domain: str  # lower case, without a leading dot
    path: str = "/"  # sent to this path and below
    expires: float | None = None  # in seconds since the epoch; None for a session cookie
    secure: bool = False  # sent over https only, or to this machine itself
    http_only: bool = False
    host_only: bool = True  # sent to `domain` only, not below it
    scheme: str | None = None  # of its origin, as `port`; None allows any: an imported cookie's is unknown
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

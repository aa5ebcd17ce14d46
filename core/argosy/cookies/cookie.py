"""One cookie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cookie:
    """One cookie, as RFC 6265bis section 5.5 keeps it.

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
    """

    name: str
    value: str
    domain: str
    path: str = "/"
    expires: float | None = None
    secure: bool = False
    http_only: bool = False
    host_only: bool = True

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it one cookie: name, domain and path."""
        return self.name, self.domain, self.path

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
        return value

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Cookie:
        """Return the cookie that `to_dict` wrote."""
        return cls(**value)

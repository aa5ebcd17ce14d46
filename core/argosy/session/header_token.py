"""Tokens that a session sends in a header field instead of a cookie: ``Authorization: Bearer ...`` and the like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from argosy.cookies.matching import Target


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

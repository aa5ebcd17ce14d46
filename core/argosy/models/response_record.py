"""The head of a response: what a server said with a resource, as it is kept and handed to outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from argosy.models.http_date import seconds_of


@dataclass(frozen=True, slots=True)
class ResponseRecord:
    """What was asked for a resource and what was answered, without the body and without credentials.

    It is of the response that the bytes began with. Where they came in several, the others were checked to be
    parts of the same file.

    Parameters
    ----------
    url
        The URL that answered, after redirects.
    status, reason, version
        The status line: 200, ``"OK"``, ``"HTTP/1.1"``.
    headers
        The response's header fields as they came, in their order; none that may carry a credential.
    asked
        The request's header fields that say nothing of who asks.
    received
        When the headers were in, in seconds since the epoch.
    """

    url: str
    status: int
    reason: str
    version: str
    headers: tuple[tuple[str, str], ...]
    asked: tuple[tuple[str, str], ...]
    received: float

    def get(self, name: str) -> str | None:
        """Return the first value of a response header, whatever the case of its name; None where there is none."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    @property
    def modified(self) -> float | None:
        """``Last-Modified`` in seconds since the epoch; None where it is missing or no date (RFC 9110 section 8.8.2)."""
        return seconds_of(self.get("Last-Modified") or "")

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON value."""
        # by hand: asdict() copies every text's tuple, which takes longer than all the rest of a small file
        return {
            "url": self.url,
            "status": self.status,
            "reason": self.reason,
            "version": self.version,
            "headers": self.headers,
            "asked": self.asked,
            "received": self.received,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ResponseRecord:
        """Return what `to_json` wrote.

        Raises
        ------
        ValueError, TypeError, LookupError
            If it is something else.
        """
        headers, asked = (tuple((str(k), str(v)) for k, v in value[key]) for key in ("headers", "asked"))
        url, reason, version = (str(value[key]) for key in ("url", "reason", "version"))
        return cls(url, int(value["status"]), reason, version, headers, asked, float(value["received"]))

"""The head of a response, as it is kept and handed to outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=64)  # many responses have the same Date
def seconds_of(text: str) -> float | None:
    """Return an HTTP date (RFC 9110 section 5.6.7) in seconds since the epoch; None if it is invalid."""
    try:
        when = parsedate_to_datetime(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


@dataclass(frozen=True, slots=True)
class ResponseRecord:
    """A request and its response, without the body and without credentials.

    If the body came in several responses, this is the first one; the others were checked to belong to the same file.
    """

    url: str  # the URL that answered, after redirects
    status: int
    reason: str
    version: str  # HTTP/1.1
    headers: tuple[tuple[str, str], ...]  # the response's header fields in their order
    asked: tuple[tuple[str, str], ...]  # the request's header fields
    received: float  # when the headers arrived, in seconds since the epoch

    def get(self, name: str) -> str | None:
        """Return the first value of a response header (in any case), or None."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    @property
    def modified(self) -> float | None:
        """``Last-Modified`` in seconds since the epoch, or None (RFC 9110 section 8.8.2)."""
        return seconds_of(self.get("Last-Modified") or "")

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON value."""
        # asdict() copies every tuple, which takes longer than all the rest of a small file
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ResponseRecord:
        """Return what `to_json` wrote; raise ValueError, TypeError or LookupError if it is something else."""
        headers, asked = (tuple((str(k), str(v)) for k, v in value[key]) for key in ("headers", "asked"))
        url, reason, version = (str(value[key]) for key in ("url", "reason", "version"))
        return cls(url, int(value["status"]), reason, version, headers, asked, float(value["received"]))

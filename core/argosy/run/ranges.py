"""Ranges and the conditions on them: RFC 9110 sections 13 and 14, as far as a download that goes on needs them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from argosy.dates import seconds_of

#: Digits of a position that are read; 10^18 bytes are more than any file has.
_DIGITS = 18

_POSITION = rf"[0-9]{{1,{_DIGITS}}}"
_SATISFIED = re.compile(
    rf"bytes (?P<first>{_POSITION})-(?P<last>{_POSITION})/(?P<length>{_POSITION}|\*)", re.IGNORECASE
)
_UNSATISFIED = re.compile(rf"bytes \*/(?P<length>{_POSITION})", re.IGNORECASE)

#: A strong entity tag (RFC 9110 section 8.8.3); a weak one begins with ``W/``.
_STRONG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')

#: Seconds by which a response must be younger than its ``Last-Modified`` before that is a strong validator. Two
#: changes within one second have one date, and the server's clocks may differ (RFC 9110 section 8.8.2.2; RFC 7232 named 60).
_SETTLED = 60.0


@dataclass(frozen=True, slots=True)
class ContentRange:
    """Which bytes of a representation a response has.

    Parameters
    ----------
    first, last
        Positions of the first and the last byte, counted from 0.
    length
        The length of the whole representation; None where the server does not say.
    """

    first: int
    last: int
    length: int | None

    @property
    def size(self) -> int:
        """How many bytes that are."""
        return self.last - self.first + 1


def content_range(value: str | None) -> ContentRange | None:
    """Return what a ``Content-Range`` says; None where it is missing, malformed or impossible.

    Parameters
    ----------
    value
        The field's value: ``bytes 100-199/1000`` or ``bytes 100-199/*`` (RFC 9110 section 14.4).
    """
    match = _SATISFIED.fullmatch(value.strip(" \t")) if value is not None else None
    if match is None:
        return None
    length = None if match["length"] == "*" else int(match["length"])
    found = ContentRange(int(match["first"]), int(match["last"]), length)
    if found.first > found.last or (length is not None and found.last >= length):
        return None
    return found


def unsatisfied_length(value: str | None) -> int | None:
    """Return the length that the ``Content-Range`` of a 416 names (``bytes */1000``); None where it names none."""
    match = _UNSATISFIED.fullmatch(value.strip(" \t")) if value is not None else None
    return int(match["length"]) if match is not None else None


def strong_etag(value: str | None) -> str | None:
    """Return an entity tag if it is a strong one (RFC 9110 section 8.8.3)."""
    if value is None:
        return None
    value = value.strip(" \t")
    return value if _STRONG.fullmatch(value) else None


def strong_date(modified: str | None, date: str | None) -> str | None:
    """Return a ``Last-Modified`` if it is a strong validator: well older than its response (RFC 9110 section 8.8.2.2).

    Parameters
    ----------
    modified
        The ``Last-Modified`` of a response.
    date
        Its ``Date``.
    """
    if not modified or not date:
        return None
    then, now = seconds_of(modified), seconds_of(date)
    if then is None or now is None:
        return None
    settled = now - then >= _SETTLED and modified.isascii() and modified.isprintable()
    return modified.strip(" ") if settled else None

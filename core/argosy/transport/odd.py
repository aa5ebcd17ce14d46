"""Answers that make no sense: places that are not valid, character sets that are none."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import contextmanager

import requests
import urllib3.exceptions

#: Codecs of Python that are not the character set of a page: some raise, some take quadratic time.
_NO_CHARSETS = frozenset(
    {"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem", "utf-7"}
)


class OddAnswer(requests.RequestException):
    """The service sent something that cannot be acted upon; the text says what, in words."""


def charset_of(name: str | None) -> str | None:
    """Return the character set that a service names; None if it is not one."""
    try:
        codec = codecs.lookup(name or "")
    except (LookupError, ValueError):  # a null character is a ValueError
        return None
    text = getattr(codec, "_is_text_encoding", True)  # not rot13, not hex
    return None if codec.name in _NO_CHARSETS or not text else codec.name


@contextmanager
def odd_places() -> Iterator[None]:
    """Turn what requests and urllib3 raise for a place that is not valid into one exception.

    Raises
    ------
    requests.exceptions.InvalidURL
        If a request could not be sent to its place.
    """
    try:
        yield
    except requests.RequestException:
        raise
    except (ValueError, OverflowError, urllib3.exceptions.LocationValueError):
        # a label of a host that is empty or too long, a port beyond 65535, a Location that is not UTF-8
        raise requests.exceptions.InvalidURL("a place that is not a valid URL") from None

"""Recording the response that a resource came with, without credentials."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import requests

from argosy.models.response_record import ResponseRecord
from argosy.toolkit.urls import is_secret

#: Bytes of header fields that are kept; the rest is cut off.
MAX_HEADERS = 8192

#: Response fields that carry or describe credentials.
_SECRET = re.compile(r"(proxy-|www-)?(authenticat(e|ion-info)|authorization)|set-cookie2?", re.IGNORECASE)

#: Request fields that do not identify the sender; only these are kept.
_REQUEST_FIELDS = frozenset({"accept", "accept-encoding", "accept-language", "connection", "user-agent"})


def response_record(response: requests.Response, redact: Callable[[str], str]) -> ResponseRecord:
    """Return the record of a response; `redact` removes secrets, because outputs write it to their files."""
    raw = response.raw
    headers, room = [], MAX_HEADERS
    for name, value in raw.headers.iteritems():
        if _SECRET.fullmatch(name) or is_secret(name):
            continue
        room -= len(name) + len(value) + 4
        if room < 0:
            break
        headers.append((name, redact(value)))
    asked = tuple((n, v) for n, v in response.request.headers.items() if n.lower() in _REQUEST_FIELDS)
    version = f"HTTP/{raw.version // 10}.{raw.version % 10}"
    url, reason = redact(response.url), redact(response.reason or "")
    return ResponseRecord(url, response.status_code, reason, version, tuple(headers), asked, time.time())

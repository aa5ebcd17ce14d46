"""What is kept of the response that brought a resource: its head, beside the whole file in staging, without credentials."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import requests

from argosy.heads import ResponseRecord
from argosy.names import safe_part
from argosy.run.staging import sync_file
from argosy.urls import is_secret

#: Bytes of header fields that are kept of one response; a head of more is cut off there.
MOST = 8192

#: Response fields that carry credentials, or speak of them.
_SECRET = frozenset(
    {
        "authentication-info",
        "authorization",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "set-cookie",
        "set-cookie2",
        "www-authenticate",
    }
)

#: Response fields that never hold a secret: the rest is looked through, which takes longer.
_INNOCENT = frozenset(
    {
        "accept-ranges",
        "age",
        "cache-control",
        "connection",
        "content-digest",
        "content-encoding",
        "content-language",
        "content-length",
        "content-md5",
        "content-type",
        "date",
        "etag",
        "expires",
        "keep-alive",
        "last-modified",
        "repr-digest",
        "server",
        "transfer-encoding",
        "vary",
    }
)

#: Request fields that say nothing of who asks; no others are kept.
_ASKED = frozenset({"accept", "accept-encoding", "accept-language", "connection", "user-agent"})


def record_of(response: requests.Response, scrub: Callable[[str], str]) -> ResponseRecord:
    """Return what is kept of a response whose headers are in.

    Parameters
    ----------
    response
        The response, after redirects.
    scrub
        Takes the secrets out of a text.
    """
    raw = response.raw
    headers, room = [], MOST
    for name, value in raw.headers.iteritems():
        known = name.lower()
        if known in _SECRET or is_secret(name):
            continue
        room -= len(name) + len(value) + 4
        if room < 0:
            break
        headers.append((name, value if known in _INNOCENT else scrub(value)))
    asked = tuple((name, value) for name, value in response.request.headers.items() if name.lower() in _ASKED)
    version = f"HTTP/{raw.version // 10}.{raw.version % 10}"
    reason = response.reason or ""
    return ResponseRecord(
        scrub(response.url), response.status_code, reason, version, tuple(headers), asked, time.time()
    )


def note_of(whole: Path) -> Path:
    """Return where it is written down what the server said with a whole file in staging."""
    return whole.with_name(f"{whole.name}.head")


def write_note(whole: Path, name: str | None, response: ResponseRecord | None) -> None:
    """Write down what the server said with a file, before it is whole: a later try does not ask again.

    Parameters
    ----------
    whole
        The file.
    name
        What the server calls it, where that is asked for: it is on the disk then before the file is.
    response
        The head.
    """
    if name is None and response is None:
        return
    note = note_of(whole)
    value = {"name": name, "response": response.to_json() if response is not None else None}
    note.write_text(json.dumps(value), "utf-8")
    if name is not None:
        sync_file(note)


def read_note(whole: Path) -> tuple[str | None, ResponseRecord | None]:
    """Return the name and the head that were written down; None for what was not, or not whole."""
    try:
        value = json.loads(note_of(whole).read_text("utf-8"))
        name, response = value["name"], value["response"]
        record = ResponseRecord.from_json(response) if response is not None else None
    except (FileNotFoundError, ValueError, TypeError, LookupError, AttributeError):
        return None, None
    good = isinstance(name, str) and name and safe_part(name, keep_suffix=True) == name
    return (name if good else None), record

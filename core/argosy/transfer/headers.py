"""Reading response headers: lengths, ranges, validators, digests and file names; anything invalid counts as missing."""

from __future__ import annotations

import base64
import contextlib
import functools
import re
import time
from collections.abc import Callable, Mapping
from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import Any

import requests

from argosy.errors import TransferError
from argosy.models.response_record import ResponseRecord, seconds_of
from argosy.toolkit.names import MAX_PART, safe_part
from argosy.toolkit.urls import is_secret

# no file has 10^18 bytes, and int() takes quadratic time
_NUMBER = r"([0-9]{1,18})"
_SATISFIED = re.compile(rf"bytes {_NUMBER}-{_NUMBER}/(?:{_NUMBER}|\*)", re.IGNORECASE)
_UNSATISFIED = re.compile(rf"bytes \*/{_NUMBER}", re.IGNORECASE)

#: A strong entity tag (RFC 9110 section 8.8.3); a weak one begins with ``W/``.
_STRONG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')

#: A ``Last-Modified`` is a strong validator if the response is at least this many seconds younger: a file can change
#: twice within a second, and clocks differ (RFC 9110 section 8.8.2.2; RFC 7232 recommended 60).
_SETTLED = 60.0

#: The supported digests by their names in the registry of RFC 9530 (and RFC 3230), best first, with their names in
#: `hashlib` and their lengths in bytes. SHA-256 comes first because it is computed anyway. The last two only detect
#: accidental damage.
_ALGORITHMS = {"sha-256": ("sha256", 32), "sha-512": ("sha512", 64), "sha": ("sha1", 20), "md5": ("md5", 16)}

#: ``sha-256=:<base64>:`` (RFC 8941 sections 3.2 and 3.3.5), or the older ``SHA-256=<base64>`` (RFC 3230 section 4.3.2).
_DIGEST = re.compile(r"([A-Za-z0-9*_.-]+)=:?([A-Za-z0-9+/=]*):?(?:;.*)?")

#: Bytes of header fields that are recorded; the rest is cut off.
MAX_HEADERS = 8192

#: Response fields that carry or describe credentials.
_SECRET = re.compile(r"(proxy-|www-)?(authenticat(e|ion-info)|authorization)|set-cookie2?", re.IGNORECASE)

#: Request fields that are no credentials; only these are recorded.
_REQUEST_FIELDS = frozenset({"accept", "accept-encoding", "accept-language", "connection", "referer", "user-agent"})


def content_length(response: requests.Response) -> int | None:
    """Return the announced length (RFC 9110 section 8.6), or None; raise TransferError if it is invalid."""
    value = response.headers.get("Content-Length")
    if value is None or "chunked" in response.headers.get("Transfer-Encoding", "").lower():
        return None
    if not re.fullmatch(_NUMBER, value):
        raise TransferError(f"Invalid Content-Length {value[:40]!r}.", kind="length", retryable=True)
    return int(value)


def content_range(value: str | None) -> tuple[int, int, int | None] | None:
    """Return first byte, last byte and length of ``bytes 100-199/1000`` or ``bytes 100-199/*`` (RFC 9110 section 14.4)."""
    match = _SATISFIED.fullmatch((value or "").strip(" \t"))
    if match is None:
        return None
    first, last, length = int(match[1]), int(match[2]), None if match[3] is None else int(match[3])
    return (first, last, length) if first <= last and (length is None or last < length) else None


def unsatisfied_length(value: str | None) -> int | None:
    """Return the length in the ``Content-Range`` of a 416: ``bytes */1000``."""
    match = _UNSATISFIED.fullmatch((value or "").strip(" \t"))
    return int(match[1]) if match is not None else None


def strong_etag(value: str | None) -> str | None:
    """Return an entity tag if it is strong."""
    value = (value or "").strip(" \t")
    return value if _STRONG.fullmatch(value) else None


def strong_date(modified: str | None, date: str | None) -> str | None:
    """Return a ``Last-Modified`` if it is a strong validator: much older than the ``Date`` of its response."""
    then, now = seconds_of(modified or ""), seconds_of(date or "")
    if modified is None or then is None or now is None or now - then < _SETTLED:
        return None
    return modified.strip(" ") if modified.isascii() and modified.isprintable() else None


def digest_in(headers: Mapping[str, str], *fields: str) -> dict[str, str]:
    """Return the best digest in the first of some fields that has one, as ``{algorithm: hex}``, or ``{}``.

    ``Repr-Digest`` (RFC 9530 section 3) and ``Digest`` (RFC 3230) cover the whole file, even in a partial response.
    ``Content-Digest`` (RFC 9530 section 2) covers the bytes of this response. So does ``Content-MD5`` (RFC 2616 section
    14.15), but servers never agreed on its meaning in a partial response, so RFC 7231 removed it.
    """
    for field in fields:
        value = headers.get(field)
        if value is None:
            continue
        members = [f"md5={value.strip()}"] if field == "Content-MD5" else value.split(",")
        matches = [_DIGEST.fullmatch(member.strip(" \t")) for member in members]
        found = {match[1].lower(): match[2] for match in matches if match is not None}
        for key, (name, length) in _ALGORITHMS.items():
            with contextlib.suppress(ValueError):
                raw = base64.b64decode(found.get(key, ""), validate=True)
                if len(raw) == length:
                    return {name: raw.hex()}
    return {}


def content_disposition(headers: Mapping[str, str]) -> str | None:
    """Return the file name in ``Content-Disposition`` (RFC 6266), made safe, or None.

    ``filename*`` (RFC 8187) takes precedence over ``filename``, which is read as UTF-8 if it is valid. Folders are
    dropped (RFC 6266 section 4.3), as are leading dots and hyphens: a command would take ``-rf`` for an option.
    """
    message = Message()
    message["Content-Disposition"] = re.sub(r"[\r\n]", " ", headers.get("Content-Disposition", "")[:4096])
    try:
        params: list[Any] = message.get_params([], "content-disposition") or []
        name = {key.lower(): text for key, text in params[1:]}.get("filename", "")  # the parser puts filename* last
        text = collapse_rfc2231_value(name) if isinstance(name, tuple) else name
    except (ValueError, LookupError, TypeError, AttributeError):  # the parser fails in many ways on garbage
        return None
    if text is name:
        with contextlib.suppress(UnicodeError):
            text = text.encode("latin-1").decode()  # `http.client` decoded it as Latin-1
    last = text.replace("\\", "/").rpartition("/")[2].strip().lstrip(".-")
    return safe_part(last, limit=MAX_PART, keep_suffix=True) if last else None


@functools.lru_cache(1024)
def _is_credential(name: str) -> bool:
    return _SECRET.fullmatch(name) is not None or is_secret(name)


def response_record(response: requests.Response, redact: Callable[[str], str]) -> ResponseRecord:
    """Return the record of a response without credentials; `redact` removes secrets, because outputs write it to files."""
    body: Any = response.raw  # an `argosy.http.body.Body`
    headers, room = [], MAX_HEADERS
    for name, value in body.fields:
        if _is_credential(name):
            continue
        room -= len(name) + len(value) + 4
        if room < 0:
            break
        headers.append((name, redact(value)))
    asked = tuple((n, redact(v)) for n, v in response.request.headers.items() if n.lower() in _REQUEST_FIELDS)
    url, reason = redact(response.url), redact(response.reason or "")
    return ResponseRecord(url, response.status_code, reason, body.version_text, tuple(headers), asked, time.time())

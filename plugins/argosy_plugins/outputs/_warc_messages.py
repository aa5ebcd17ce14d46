"""URLs and HTTP messages for WARC records: without credentials, and consistent with the stored bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import urldefrag, urlsplit

import requests

from argosy.models.response_record import ResponseRecord
from argosy.toolkit.redaction import Redactor
from argosy.toolkit.urls import is_secret, redact_url

#: The prefix for fields that no longer describe the stored bytes.
ORIGINAL = "X-Archive-Orig-"

#: Fields that carry credentials although their names do not say so.
_NEVER = frozenset({"authentication-info", "cookie", "cookie2", "set-cookie", "set-cookie2", "www-authenticate"})

#: Fields about the transfer: the body is stored whole and decoded (RFC 9112 section 6, RFC 9110 section 14.4).
_OF_TRANSFER = frozenset({"content-length", "content-range", "trailer", "transfer-encoding"})

#: Fields about the encoded body (RFC 9110 section 8.4, RFC 9530).
_OF_CODING = frozenset({"content-digest", "content-encoding", "content-md5", "digest", "repr-digest"})

#: The HTTP version in all records, whatever the protocol was: readers expect this form.
_VERSIONS = ("HTTP/1.0", "HTTP/1.1")

_USERINFO = re.compile(r"//[^/?#]*@")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")  # RFC 9110 section 5.6.2
_BLANK = re.compile(r"[\s\x00-\x1f\x7f\x85\u2028\u2029]+")


class Message:
    """The head of an HTTP message, written byte by byte in place of warcio's, which would re-encode it.

    `start` is the request line or the status line.
    """

    def __init__(self, start: str, fields: Iterable[tuple[str, str]]) -> None:
        lines = [start, *(f"{name}: {value}" for name, value in fields)]
        self.headers_buff = b"".join(_bytes(line_of(line)) + b"\r\n" for line in lines) + b"\r\n"

    def compute_headers_buffer(self, header_filter: object = None) -> None:
        """Do nothing; warcio's writer calls this."""


def request_of(uri: str, response: ResponseRecord, post: tuple[str, int] | None = None) -> Message:
    """Return the head of the recorded request, for the URL as it will be written; `post` is the body's type and length."""
    parts = urlsplit(uri)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    fields = [("Host", parts.netloc), *_harmless(response.asked)]
    if post is not None:
        fields += [("Content-Type", post[0])] * bool(post[0]) + [("Content-Length", str(post[1]))]
    return Message(f"{'GET' if post is None else 'POST'} {target} HTTP/1.1", fields)


def response_of(response: ResponseRecord, size: int) -> Message:
    """Return the head of the recorded response, adjusted to `size` stored bytes."""
    version = response.version if response.version in _VERSIONS else "HTTP/1.1"
    start = f"{version} {response.status} {response.reason}"
    return Message(start, [*_fitting(response, size), ("Content-Length", str(size))])


def _fitting(response: ResponseRecord, size: int) -> Iterator[tuple[str, str]]:
    coding = (response.get("Content-Encoding") or "identity").strip().lower()
    unfit = _OF_TRANSFER if coding in ("", "identity") else _OF_TRANSFER | _OF_CODING
    for name, value in _harmless(response.headers):
        known = name.lower()
        if known == "content-length" and value.strip() == str(size):
            continue  # added at the end
        yield (f"{ORIGINAL}{name}" if known in unfit else name), value


def _harmless(fields: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the fields without credentials. There should be none: the transfer removes them, too."""
    redact = Redactor().redact
    for name, value in fields:
        known = name.lower()
        if _TOKEN.match(name) and not (known in _NEVER or known.startswith("proxy-") or is_secret(name)):
            yield name, redact(value)


def asked_url(url: str) -> str:
    """Return a URL as it is sent: in ASCII, without its fragment."""
    prepared = requests.PreparedRequest()
    try:
        prepared.prepare_url(urldefrag(url).url, None)
    except requests.RequestException:  # from a source whose URLs are not fetched
        return requests.utils.requote_uri(urldefrag(url).url)
    return prepared.url or ""


def safe_url(url: str) -> str:
    """Return a URL without a user name, a password and the values of secret parameters."""
    return redact_url(without_user(url))


def without_user(url: str) -> str:
    """Return a URL without a user name, a password and a fragment, which are never sent in it."""
    return _USERINFO.sub("//", urldefrag(url).url, count=1)


def line_of(text: str) -> str:
    """Return a text as one line without unencodable characters."""
    one_line = _BLANK.sub(lambda found: found[0] if not found[0].strip(" ") else " ", text)
    return one_line.encode("utf-8", "backslashreplace").decode().strip()


def _bytes(line: str) -> bytes:
    """Return the bytes of a header line; `http.client` decodes all of them as Latin-1."""
    try:
        return line.encode("latin-1")
    except UnicodeEncodeError:
        return line.encode()

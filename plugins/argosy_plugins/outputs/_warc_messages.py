"""What the output `warc` writes of URLs and of HTTP messages: no credentials, and nothing that the stored bytes belie."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

import requests

from argosy.models.response_record import ResponseRecord
from argosy.toolkit.redaction import Redactor
from argosy.toolkit.urls import is_secret, redact_url, strip_fragment

#: What a field is called that says no longer what came, or that would say something else of the stored bytes.
ORIGINAL = "X-Archive-Orig-"

#: Fields that carry credentials, beside those whose names say so.
_NEVER = frozenset(
    {"authentication-info", "cookie", "cookie2", "set-cookie", "set-cookie2", "www-authenticate"}
)

#: Fields that speak of how the body came: it is stored whole, with no coding (RFC 9112 section 6, RFC 9110 section 14.4).
_OF_TRANSFER = frozenset({"content-length", "content-range", "trailer", "transfer-encoding"})

#: Fields that speak of the body with its content coding (RFC 9110 section 8.4, RFC 9530).
_OF_CODING = frozenset({"content-digest", "content-encoding", "content-md5", "digest", "repr-digest"})

#: What readers take for HTTP: it is the form of the record, whatever was spoken on the wire.
_VERSIONS = ("HTTP/1.0", "HTTP/1.1")

_USERINFO = re.compile(r"//[^/?#]*@")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")  # RFC 9110 section 5.6.2
_BLANK = re.compile(r"[\s\x00-\x1f\x7f\x85\u2028\u2029]+")


class Message:
    """The head of an HTTP message, byte by byte; it takes the place of warcio's, which would encode it anew.

    Parameters
    ----------
    start
        The request line or the status line.
    fields
        The header fields.
    """

    def __init__(self, start: str, fields: Iterable[tuple[str, str]]) -> None:
        lines = [start, *(f"{name}: {value}" for name, value in fields)]
        self.headers_buff = b"".join(_bytes(line_of(line)) + b"\r\n" for line in lines) + b"\r\n"

    def compute_headers_buffer(self, header_filter: object = None) -> None:
        """Leave it as it is; warcio's writer asks for this."""


def request_of(uri: str, response: ResponseRecord) -> Message:
    """Return the head of the request, as far as it was kept.

    Parameters
    ----------
    uri
        The URL, as it is to be written.
    response
        The head of the response.
    """
    parts = urlsplit(uri)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Message(f"GET {target} HTTP/1.1", [("Host", parts.netloc), *_harmless(response.asked)])


def response_of(response: ResponseRecord, size: int) -> Message:
    """Return the head of the response, made to fit the bytes that are stored.

    Parameters
    ----------
    response
        What was kept of it.
    size
        Bytes that are stored.
    """
    version = response.version if response.version in _VERSIONS else "HTTP/1.1"
    start = f"{version} {response.status} {response.reason}"
    return Message(start, [*_fitting(response, size), ("Content-Length", str(size))])


def _fitting(response: ResponseRecord, size: int) -> Iterator[tuple[str, str]]:
    coding = (response.get("Content-Encoding") or "identity").strip().lower()
    unfit = _OF_TRANSFER if coding in ("", "identity") else _OF_TRANSFER | _OF_CODING
    for name, value in _harmless(response.headers):
        known = name.lower()
        if known == "content-length" and value.strip() == str(size):
            continue  # it comes at the end
        yield (f"{ORIGINAL}{name}" if known in unfit else name), value


def _harmless(fields: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the fields that carry no credential. None should: who staged the item saw to it, too."""
    redact = Redactor().redact
    for name, value in fields:
        known = name.lower()
        if _TOKEN.match(name) and not (known in _NEVER or known.startswith("proxy-") or is_secret(name)):
            yield name, redact(value)


def asked_url(url: str) -> str:
    """Return a URL of a manifest as it is sent: in ASCII, without its fragment."""
    prepared = requests.PreparedRequest()
    try:
        prepared.prepare_url(strip_fragment(url), None)
    except requests.RequestException:  # of a source that has no URLs to fetch
        return requests.utils.requote_uri(strip_fragment(url))
    return prepared.url or ""


def safe_url(url: str) -> str:
    """Return a URL without a user name, a password and the values of secret parameters."""
    return redact_url(without_user(url))


def without_user(url: str) -> str:
    """Return a URL without a user name, a password and a fragment, none of which is ever sent in it."""
    return _USERINFO.sub("//", strip_fragment(url), count=1)


def line_of(text: str) -> str:
    """Return a text as one line, in which every character can be written."""
    one_line = _BLANK.sub(lambda found: found[0] if not found[0].strip(" ") else " ", text)
    return one_line.encode("utf-8", "backslashreplace").decode().strip()


def _bytes(line: str) -> bytes:
    """Return a line of a head as it came; `http.client` reads all of them as Latin-1."""
    try:
        return line.encode("latin-1")
    except UnicodeEncodeError:
        return line.encode()

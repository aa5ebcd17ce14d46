"""URLs that users write: which are refused, how one is shown without its secrets, what its file is called."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from argosy.toolkit.names import UNSEEN, safe_part

# what nearly all URLs look like, for speed
_PLAIN = re.compile(
    r"https?://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::(?P<port>[0-9]{1,5}))?(?:[/?#][!-\[\]-~]*)?\Z"
)
_NETLOC = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|\w[\w.-]*)(?::[0-9]*)?\Z")
_USERINFO = re.compile(r"//[^/?#]*@")
# without a question mark in the name, or a row of them would take quadratic time
_PARAMETER = re.compile(r"(?<=[?&#;])([^=&#;?]*)=([^&#;]*)")
_PATH_PARAMETER = re.compile(r"(;[^=/;?#]*)=([^/;?#]*)")
# without the scheme: looking for one takes time that is quadratic in the length of the text
_URL = re.compile(r"://[^\s\"<>]+")
_QUERY = re.compile(r"[?#]")
# what may follow a URL in a sentence; an apostrophe may also be part of one (RFC 3986 section 2.2)
_BEHIND_URL = "'),.;:]}"
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+")
_SECRET_WORDS = frozenset({
    "apikey", "auth", "authorization", "code", "credential", "credentials", "jsessionid", "jwt", "key", "otp",
    "pass", "passphrase", "passwd", "password", "phpsessid", "pin", "policy", "pw", "pwd", "secret", "session",
    "sessionid", "sid", "sig", "sign", "signature", "ticket", "token",
})  # fmt: skip
_SECRET_ENDINGS = ("token", "secret", "password", "passwd", "signature", "apikey", "sessionid", "credential")


def check_url(url: str) -> str | None:
    """Return what is wrong with an ``http`` or ``https`` URL (RFC 3986 section 3; it need not be ASCII), or None.

    The words follow "the URL" and never repeat it, because it may contain a secret.
    """
    plain = _PLAIN.match(url)
    if plain is not None and int(plain["port"] or 0) <= 65535:
        return None
    if not url:
        return "is empty"
    for character in url:
        if character == "\\" or unicodedata.category(character) in {*UNSEEN, "Zs"}:
            return f"has a backslash, space, control or format character (U+{ord(character):04X})"
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for an invalid one
    except ValueError:
        return "has an invalid host or port"
    if parts.scheme not in {"http", "https"}:
        return "does not begin with http:// or https://"
    if "@" in parts.netloc:
        return "has a user name or a password in it (not shown here)"
    if not parts.hostname:
        return "has no host"
    return None if _NETLOC.match(parts.netloc) else "has an invalid host"


def redact_url(url: str) -> str:
    """Return a URL without user name, password, and values of parameters that look like secrets by their names.

    Examples
    --------
    >>> redact_url("https://ada:pw@library.example/b;jsessionid=1?id=7&access_token=abc")
    'https://***@library.example/b;jsessionid=***?id=7&access_token=***'
    """
    shown = _USERINFO.sub("//***@", url, count=1)
    path = _QUERY.split(shown, maxsplit=1)[0]
    return _PATH_PARAMETER.sub(_hide, path) + _PARAMETER.sub(_hide, shown[len(path) :])


def redact_urls(text: str) -> str:
    """Return a text with each URL in it redacted."""
    return _URL.sub(_redacted, text) if "://" in text else text


def _redacted(found: re.Match[str]) -> str:
    url = found[0].rstrip(_BEHIND_URL)
    return redact_url(url) + found[0][len(url) :]


def _hide(found: re.Match[str]) -> str:
    return f"{found[1]}=***" if is_secret(found[1]) else found.group()


@lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Return whether the name of a parameter or header field looks like a credential's."""
    if len(name) > 1000:
        return True  # nothing a person would want to read
    words = [word.lower() for word in _WORDS.findall(unquote(name))]
    if words in (["user", "code"], ["code", "challenge"], ["code", "challenge", "method"]):
        return False  # a device's (RFC 8628 section 3.3.1), and the hash for PKCE (RFC 7636), are shown on purpose
    return any(word in _SECRET_WORDS or word.endswith(_SECRET_ENDINGS) for word in words)


def file_name(url: str) -> str:
    """Return the name of a URL's file: the last segment of its path, percent-decoded and made safe, or ``index.html``.

    Examples
    --------
    >>> file_name("https://library.example/books/Moby%20Dick.pdf?page=1")
    'Moby Dick.pdf'
    """
    path = _QUERY.split(url, maxsplit=1)[0].partition("://")[2].partition("/")[2]
    return safe_segment(path.rpartition("/")[2], "index.html")


def safe_segment(segment: str, otherwise: str = "") -> str:
    """Return a segment of a URL's path as a part of a file's name, without a secret (``;jsessionid=``)."""
    segment = _PATH_PARAMETER.sub(lambda found: "" if is_secret(found[1]) else found.group(), segment)
    # bytes that are not UTF-8 become lone surrogates, so their digests differ
    return safe_part(unquote(segment, errors="surrogateescape") or otherwise, keep_suffix=True)

"""The files of a book, and what a reference in one of them leads to."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, unquote_to_bytes, urljoin, urlsplit, urlunsplit

from argosy.models.items import StagedFile
from argosy_epub.kinds import HEAD, Kind, Role, sniffed

#: Roles of files that stand in a book as they came.
AS_IT_IS = frozenset({Role.IMAGE, Role.FONT, Role.SOUND, Role.FILM})
#: Longest address that is looked at; beyond it are data: URLs, which have their own way.
_LONGEST = 8192
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_SPACES = re.compile(r"[\t\n\r]")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?\Z")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")


@dataclass(frozen=True, slots=True)
class PooledSession:
    """A file of the book.

    Parameters
    ----------
    name
        Its name in the book; all files lie in one folder.
    kind
        What it is.
    number
        Which of the book's chapters, images and so on, from 1.
    file
        Where its bytes come from.
    url, path
        What it was called where it came from.
    """

    name: str
    kind: Kind
    number: int
    file: Path
    url: str = ""
    path: str = ""


class Members:
    """The files of a book.

    Parameters
    ----------
    scratch
        Where files are written that stood within others (``data:`` URLs).
    """

    def __init__(self, scratch: Path) -> None:
        self.all: list[PooledSession] = []
        self._scratch = scratch
        self._counts: dict[Role, int] = {}
        self._by_url: dict[str, PooledSession] = {}
        self._by_path: dict[str, PooledSession] = {}
        self._embedded: dict[str, PooledSession] = {}

    def add(self, file: StagedFile, kind: Kind) -> PooledSession:
        """Take a finished file into the book, and give it its name there."""
        member = self._new(kind, file.path, file.resource.url, file.resource.path)
        self._by_url.setdefault(_url_key(file.resource.url), member)
        self._by_path.setdefault(_path_key(file.resource.path), member)
        return member

    def of(self, *roles: Role) -> list[PooledSession]:
        """Return the files of some roles, in the order of the item."""
        return [member for member in self.all if member.kind.role in roles]

    def embed(self, address: str) -> PooledSession | None:
        """Return the file that stands in a ``data:`` URL (RFC 2397); None where it has no place in a book."""
        data = _data_of(address)
        kind = sniffed("", data[:HEAD]) if data else None
        if not data or kind is None or kind.role not in AS_IT_IS | {Role.DRAWING}:
            return None
        digest = hashlib.sha256(data).hexdigest()
        if digest not in self._embedded:
            path = self._scratch / f"embedded-{len(self._embedded) + 1}"
            path.write_bytes(data)
            self._embedded[digest] = self._new(kind, path)
        return self._embedded[digest]

    def find(self, url: str, path: str | None) -> PooledSession | None:
        """Return the file at a URL, or at a path within the item."""
        found = self._by_url.get(_url_key(url))
        if found is None and path is not None:
            found = self._by_path.get(_path_key(path))
        return found

    def _new(self, kind: Kind, file: Path, url: str = "", path: str = "") -> PooledSession:
        role = Role.IMAGE if kind.role is Role.DRAWING else kind.role
        number = self._counts[role] = self._counts.get(role, 0) + 1
        member = PooledSession(f"{role.value}-{number:04d}{kind.suffix}", kind, number, file, url, path)
        self.all.append(member)
        return member


class References:
    """What the references in one file lead to.

    Parameters
    ----------
    members
        The files of the book.
    own
        The file that they stand in.
    """

    def __init__(self, members: Members, own: PooledSession) -> None:
        self._members = members
        self._own = own
        self._base = own.url
        self._moved = False  # by a <base>: then paths within the item say nothing

    def rebase(self, href: str) -> None:
        """Take the ``href`` of a ``<base>``."""
        base = _joined(self._base, href)
        if base is not None and urlsplit(base).scheme in {"http", "https"}:
            self._base, self._moved = base, True

    def file(self, address: str, roles: Iterable[Role]) -> PooledSession | None:
        """Return the file of some roles that an address leads to, where the book has it."""
        address = address.strip()
        found = self._members.embed(address) if address[:5].lower() == "data:" else self._find(address)
        return found if found is not None and found.kind.role in roles else None

    def style_address(self, address: str, wanted: str) -> str | None:
        """Resolve what stands in a style sheet, as :data:`styles.Resolve` asks for it."""
        roles = {"style": {Role.STYLE}, "font": {Role.FONT}, "image": {Role.IMAGE, Role.DRAWING}}[wanted]
        found = self.file(address, roles)
        return None if found is None or found is self._own else found.name

    def link(self, address: str, anchor: Callable[[PooledSession, str], str]) -> str | None:
        """Return what a link becomes: within the book, or to the web, or nothing.

        Parameters
        ----------
        address
            The ``href``.
        anchor
            Makes what to write of a chapter and the fragment that is wanted there (empty for none).
        """
        address = _SPACES.sub("", address.strip())
        if address[:1] == "#":
            return anchor(self._own, unquote(address[1:])) if len(address) > 1 else None
        scheme = _SCHEME.match(address)
        if scheme and scheme.group().lower() in {"mailto:", "tel:"}:
            return quote(address, safe="%/:=&?~#+!$,;'@()*[]") if len(address) < _LONGEST else None
        url = _joined(self._base, address)
        if url is None or urlsplit(url).scheme not in {"http", "https"}:
            return None
        found = self._find(address)
        if found is not None and found.kind.role is Role.CHAPTER:
            return anchor(found, unquote(urlsplit(url).fragment))
        if found is not None:
            return None  # the file is in the book, where no link may lead to it (EPUB 3.3 section 3.4)
        return web_address(url)

    def _find(self, address: str) -> PooledSession | None:
        url = _joined(self._base, address)
        if url is None or not address:
            return None
        path = None
        if not self._moved and not _SCHEME.match(address) and not address.startswith("//"):
            bare = address.partition("#")[0].partition("?")[0]
            path = urlsplit(urljoin(f"http://item/{quote(self._own.path)}", bare)).path if bare else None
        return self._members.find(url, path)


def identifier(value: str) -> str:
    """Return an id that XML allows, the same for the same value always (an anchor has to find it)."""
    return (
        value
        if _WORD.match(value)
        else f"x{hashlib.sha256(value.encode('utf-8', 'replace')).hexdigest()[:16]}"
    )


def web_address(url: str) -> str | None:
    """Return a URL as one that is valid (RFC 3986), or None where that cannot be."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host = host.encode("idna").decode("ascii") if not host.isascii() else host
    except (ValueError, UnicodeError):
        return None
    if parts.scheme not in {"http", "https"} or not _HOST.match(host) or len(url) > _LONGEST:
        return None
    netloc = host if port is None else f"{host}:{port}"  # and no credentials
    path = _encoded(parts.path, "/:@!$&'()*+,;=~-._")
    query = _encoded(parts.query, "/:@!$&'()*+,;=~-._?")
    return urlunsplit((parts.scheme, netloc, path, query, _encoded(parts.fragment, "/:@!$&'()*+,;=~-._?")))


def _encoded(text: str, safe: str) -> str:
    kept = quote(text, safe=f"%{safe}", errors="replace")
    return re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", kept)


def _joined(base: str, address: str) -> str | None:
    if len(address) > _LONGEST:
        return None
    try:
        url = urljoin(base, _SPACES.sub("", address.strip()))
        urlsplit(url).port  # noqa: B018 - it raises where it is none
    except ValueError:
        return None
    return url


def _url_key(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.netloc.lower()}{unquote(parts.path) or '/'}?{unquote(parts.query)}"


def _path_key(path: str) -> str:
    return unquote(path).lstrip("/")


def _data_of(address: str) -> bytes:
    head, _, body = address[5:].partition(",")
    data = unquote_to_bytes(body)
    if head.rstrip().lower().endswith("base64"):
        try:
            data = base64.b64decode(re.sub(rb"\s", b"", data) + b"==")
        except (binascii.Error, ValueError):
            return b""
    return data

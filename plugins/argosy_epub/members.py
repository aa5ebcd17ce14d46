"""The files of a book and the references between them."""

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

#: The roles of files that are added unchanged.
AS_IT_IS = frozenset({Role.IMAGE, Role.FONT, Role.SOUND, Role.FILM})
#: The longest address to resolve; longer ones are data: URLs, which are handled separately.
_LONGEST = 8192
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_SPACES = re.compile(r"[\t\n\r]")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?\Z")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")


@dataclass(frozen=True, slots=True)
class BookFile:
    """A file of the book."""

    name: str  # the name in the book; all files are in one folder
    kind: Kind
    number: int  # counts the files of its role, from 1
    file: Path
    url: str = ""  # where the file came from
    path: str = ""


class Members:
    """The files of a book; files from ``data:`` URLs are written to a scratch folder."""

    def __init__(self, scratch: Path) -> None:
        self.all: list[BookFile] = []
        self._scratch = scratch
        self._counts: dict[Role, int] = {}
        self._by_url: dict[str, BookFile] = {}
        self._by_path: dict[str, BookFile] = {}
        self._embedded: dict[str, BookFile] = {}

    def add(self, file: StagedFile, kind: Kind) -> BookFile:
        """Add a finished file and name it."""
        member = self._new(kind, file.path, file.resource.url, file.resource.path)
        self._by_url.setdefault(_url_key(file.resource.url), member)
        self._by_path.setdefault(_path_key(file.resource.path), member)
        return member

    def of(self, *roles: Role) -> list[BookFile]:
        """Return the files with some roles, in the order of the item."""
        return [member for member in self.all if member.kind.role in roles]

    def embed(self, address: str) -> BookFile | None:
        """Return the file in a ``data:`` URL (RFC 2397), or None if a book cannot contain it."""
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

    def find(self, url: str, path: str | None) -> BookFile | None:
        """Return the file at a URL, or at a path within the item."""
        found = self._by_url.get(_url_key(url))
        if found is None and path is not None:
            found = self._by_path.get(_path_key(path))
        return found

    def _new(self, kind: Kind, file: Path, url: str = "", path: str = "") -> BookFile:
        role = Role.IMAGE if kind.role is Role.DRAWING else kind.role
        number = self._counts[role] = self._counts.get(role, 0) + 1
        member = BookFile(f"{role.value}-{number:04d}{kind.suffix}", kind, number, file, url, path)
        self.all.append(member)
        return member


class References:
    """Resolves the references in one file."""

    def __init__(self, members: Members, own: BookFile) -> None:
        self._members = members
        self._own = own
        self._base = own.url
        self._moved = False  # set by a <base>: then paths within the item do not apply

    def rebase(self, href: str) -> None:
        """Set the base from the ``href`` of a ``<base>``."""
        base = _joined(self._base, href)
        if base is not None and urlsplit(base).scheme in {"http", "https"}:
            self._base, self._moved = base, True

    def file(self, address: str, roles: Iterable[Role]) -> BookFile | None:
        """Return the file with one of some roles at an address, if the book has it."""
        address = address.strip()
        found = self._members.embed(address) if address[:5].lower() == "data:" else self._find(address)
        return found if found is not None and found.kind.role in roles else None

    def style_address(self, address: str, wanted: str) -> str | None:
        """Resolve a reference in a style sheet, as a :data:`styles.Resolve`."""
        roles = {"style": {Role.STYLE}, "font": {Role.FONT}, "image": {Role.IMAGE, Role.DRAWING}}[wanted]
        found = self.file(address, roles)
        return None if found is None or found is self._own else found.name

    def link(self, address: str, anchor: Callable[[BookFile, str], str]) -> str | None:
        """Return a link within the book or to the web, or None; `anchor` makes the link to a chapter and a fragment."""
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
            return None  # the book contains the file, but links to it are not allowed (EPUB 3.3 section 3.4)
        return web_address(url)

    def _find(self, address: str) -> BookFile | None:
        url = _joined(self._base, address)
        if url is None or not address:
            return None
        path = None
        if not self._moved and not _SCHEME.match(address) and not address.startswith("//"):
            bare = address.partition("#")[0].partition("?")[0]
            path = urlsplit(urljoin(f"http://item/{quote(self._own.path)}", bare)).path if bare else None
        return self._members.find(url, path)


def identifier(value: str) -> str:
    """Return an id that XML allows; the same value always gets the same id, so links find it."""
    return value if _WORD.match(value) else f"x{hashlib.sha256(value.encode('utf-8', 'replace')).hexdigest()[:16]}"


def web_address(url: str) -> str | None:
    """Return a valid URL (RFC 3986), or None if there is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host = host.encode("idna").decode("ascii") if not host.isascii() else host
    except (ValueError, UnicodeError):
        return None
    if parts.scheme not in {"http", "https"} or not _HOST.match(host) or len(url) > _LONGEST:
        return None
    netloc = host if port is None else f"{host}:{port}"  # without credentials
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
        urlsplit(url).port  # noqa: B018 - raises ValueError if invalid
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

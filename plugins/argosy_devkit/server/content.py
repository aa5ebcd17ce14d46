"""The library's content: generated files of any size, and real ones from a directory."""

from __future__ import annotations

import base64
import json
import mimetypes
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from argosy_devkit.bodies import body_of, etag_of, slice_of
from argosy_devkit.server.http import Request, http_date

#: Books on one page of the shelf.
_BOOKS_PER_PAGE = 5

#: When all generated files were last changed, before any fault changed them (seconds since the epoch).
_MADE = 1_700_000_000

#: The content type of JSON.
JSON = "application/json"


class Content(Protocol):
    """Bytes that can be read from any offset, and what HTTP says about them."""

    size: int
    type: str
    etag: str
    last_modified: str

    def read(self, offset: int, length: int) -> bytes | memoryview:
        """Return between one and `length` bytes from `offset` on."""
        ...

    def close(self) -> None:
        """Release its resources."""
        ...


@dataclass(slots=True)
class Page:
    """Bytes in memory."""

    data: bytes
    type: str = "text/html; charset=utf-8"
    etag: str = ""
    last_modified: str = ""
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = len(self.data)

    def read(self, offset: int, length: int) -> memoryview:
        """Return bytes."""
        return memoryview(self.data)[offset : offset + length]

    def close(self) -> None:
        """Do nothing."""


class MadeUp:
    """A file that is a pure function of its name, its size and how often a fault changed it."""

    type = "application/octet-stream"

    def __init__(self, name: str, size: int, version: int = 0) -> None:
        self.size = size
        self.etag = etag_of(name, size, version)
        self.last_modified = http_date(_MADE + version)
        self._name, self._version = name, version

    def read(self, offset: int, length: int) -> memoryview:
        """Return bytes."""
        return slice_of(self._name, self.size, offset, length, self._version)

    def close(self) -> None:
        """Do nothing."""


class RealFile:
    """A file of the served directory."""

    def __init__(self, path: Path, version: int = 0) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        state = os.fstat(self._descriptor)
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        self.type = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
        self.size = state.st_size
        self.etag = f'"{state.st_mtime_ns:x}-{state.st_size:x}-{version}"'
        self.last_modified = http_date(int(state.st_mtime))

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes."""
        return os.pread(self._descriptor, min(length, self.size - offset), offset)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def json_page(name: str, size: int, version: int = 0) -> Page:
    """Return a JSON answer with the bytes of a generated file."""
    data = base64.b64encode(body_of(name, size, version)).decode()
    return Page(json.dumps({"name": name, "data": data}).encode(), JSON)


def find(request: Request, root: Path | None, version: int = 0) -> Content | None:
    """Return the requested content, or None if there is none.

    ``/``, ``/files/NAME?size=N``, ``/json/NAME?size=N``, ``/library/PATH``, ``/echo``, the body of the request itself, or
    ``/shelf?books=N``, a JSON list in pages.
    """
    if request.path == "/":
        return Page(b"<!doctype html><title>Library</title><h1>Library</h1><p>You are logged in.</p>\n")
    if request.path.startswith("/files/"):
        size = request.query.get("size", "0")
        return MadeUp(request.path.removeprefix("/files/"), int(size), version) if size.isdecimal() else None
    if request.path == "/echo":  # what was posted
        return Page(request.body, request.headers.get("content-type", "")) if request.method == "POST" else None
    if request.path == "/shelf":
        return _shelf(*(int(request.query.get(name, "1")) for name in ("books", "page")))
    if request.path.startswith("/json/"):
        name, size = request.path.removeprefix("/json/"), request.query.get("size", "0")
        return json_page(name, int(size), version) if size.isdecimal() else None
    if request.path.startswith("/library/") and root is not None and "\0" not in request.path:
        base = root.resolve()
        path = (base / request.path.removeprefix("/library/")).resolve()
        path = path / "index.html" if path.is_dir() else path
        if path.is_relative_to(base) and path.is_file():
            return RealFile(path, version)
    return None


def _shelf(books: int, page: int) -> Page:
    """Return a page of a list of books: ``{"books": [{"id", "title", "url"}, ...], "next": URL or null}``."""
    numbers = range(1, books + 1)[(page - 1) * _BOOKS_PER_PAGE : page * _BOOKS_PER_PAGE]
    listed = [{"id": f"book-{n}", "title": f"Book {n}", "url": f"/files/book-{n}.bin?size={1000 + n}"} for n in numbers]
    following = f"/shelf?books={books}&page={page + 1}" if page * _BOOKS_PER_PAGE < books else None
    return Page(json.dumps({"books": listed, "next": following}).encode(), "application/json")

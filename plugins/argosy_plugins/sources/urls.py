"""The source ``urls``: URLs from the configuration, a file or standard input; each is one item with one file."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import urldefrag, urlsplit

import requests

from argosy import hookimpl
from argosy.errors import StorageError
from argosy.interfaces.source import Source
from argosy.models.items import Item, Resource
from argosy.toolkit.names import problem_of, safe_part, with_digest
from argosy.toolkit.urls import check_url, file_name, safe_segment
from argosy_plugins.sources.reading import (
    URL_OPTIONS,
    Problems,
    can_be_opened,
    lines,
    opened,
    shown_path,
)

_EXPECTED = "one http or https URL a line, without a password in it"


class Urls(Source):
    """Yields an item for each URL; its id is the URL, without the query if that is ignored.

    Duplicate URLs are kept once. Blank lines and lines that begin with ``#`` are skipped.
    """

    name = "urls"
    summary = "A list of URLs, from the configuration, a file or standard input"
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "urls": {"type": "array", "items": {"type": "string"}, "description": "The URLs."},
            "file": {
                "type": "string",
                "minLength": 1,
                "description": 'A file with one URL per line; "-" is standard input.',
            },
            "paths": {
                "enum": ["name", "full"],
                "default": "name",
                "description": "The names of the files: the last part of the URL's path, or host and full path.",
            },
            "name": {
                "type": "string",
                "minLength": 1,
                "description": "The path of the file in the target directory, for one URL.",
            },
            **URL_OPTIONS,
        },
        "anyOf": [{"required": ["urls"]}, {"required": ["file"]}],
    }

    def check(self) -> None:
        """Check the URLs of the configuration, and that the file can be opened."""
        problems = Problems("urls", "list of URLs")
        for number, url in enumerate(self.options.get("urls", ()), 1):
            if (problem := check_url(url)) is not None:
                problems.add(f"entry {number}", f"the URL {problem}", _EXPECTED)
        problems.raise_if_any()
        if path := self.options.get("file"):
            can_be_opened(path, self.context, "list of URLs")

    def items(self, http: requests.Session) -> Iterator[Item]:
        """Yield the items, those of `urls` first; at the end, raise SourceError if URLs were invalid."""
        seen = _Seen()
        try:
            problems = Problems("urls", "list of URLs")
            for number, url in enumerate(self.options.get("urls", ()), 1):
                yield from self._item(url, f"entry {number}", problems, seen)
            problems.raise_if_any()
            if path := self.options.get("file"):
                yield from self._items_of_file(path, seen)
        finally:
            seen.close()

    def _items_of_file(self, path: str, seen: _Seen) -> Iterator[Item]:
        problems = Problems(shown_path(path), "list of URLs")
        with opened(path, self.context, "list of URLs") as stream:
            for number, text in lines(stream, problems):
                url = text.strip()
                if url and not url.startswith("#"):
                    yield from self._item(url, number, problems, seen)
        problems.raise_if_any()

    def _item(self, url: str, where: str | int, problems: Problems, seen: _Seen) -> Iterator[Item]:
        if (problem := check_url(url)) is not None:
            problems.add(where, f"the URL {problem}", _EXPECTED)
            return
        url = urldefrag(url).url
        if seen.add(url):
            ignored: bool = self.options.get("ignore_query", False)
            place = url.partition("?")[0] if ignored else url
            path = full_path(place) if self.options.get("paths") == "full" else file_name(url)
            path = self.options.get("name", path)
            served: bool = self.options.get("content_disposition", False)
            resource = Resource(url, path, content_disposition=served, ignore_query=ignored)
            origin = f"{problems.name}:{where}" if isinstance(where, int) else f"{problems.name}: {where}"
            yield Item(id=place, title=path.rpartition("/")[2], resources=(resource,), origin=origin)


class _Seen:
    """Remembers URLs in a temporary database, which moves to the disk as it grows."""

    def __init__(self) -> None:
        # one thread may take the items and another close them, but never at the same time
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=OFF")
        self._database.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def add(self, url: str) -> bool:
        """Remember a URL; return whether it is new."""
        digest = hashlib.blake2b(url.encode(), digest_size=16).digest()
        try:
            return bool(self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (digest,)).rowcount)
        except sqlite3.Error as error:
            raise StorageError(
                f"The list of URLs seen so far cannot be kept in a temporary file: {error}.",
                hint="Free space in the folder for temporary files, or set TMPDIR to another one.",
            ) from None

    def close(self) -> None:
        self._database.close()


def full_path(url: str) -> str:
    """Return a URL's host and path as a name: ``library.example/books/1/index.html``.

    A port other than the default is joined to the host by ``+``. A query adds ``-`` and the first 8 hex digits of its
    SHA-256 before the suffix.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    own = {"http": 80, "https": 443}[parts.scheme.lower()]
    if parts.port not in {None, own}:
        host = f"{host}+{parts.port}"
    segments = [safe_segment(segment) for segment in parts.path.split("/")[1:-1]]
    last = file_name(url)
    if parts.query:
        last = with_digest(last, parts.query)
    path = "/".join([safe_part(host), *segments, last])
    if problem_of(path) is None:
        return path
    # too long as a whole: all but the last part become one part, made unique by a digest
    return "/".join([safe_part(host), safe_part("/".join(segments)), last])


@hookimpl
def argosy_source() -> type[Source]:
    """Register the source ``urls``."""
    return Urls

"""A source for a site with a JSON API: a public list of books in pages, and each book's files for those who are logged in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin

import requests

import argosy
from argosy.errors import SourceError, TransferError
from argosy.toolkit.names import safe_part
from argosy.toolkit.urls import check_url, file_name


class JsonCatalogue(argosy.Source):
    """Reads ``{"books": [{"id", "title", "author"}, ...], "next": URL or null}``, page by page."""

    name = "json-catalogue"
    summary = "The books of a site with a JSON API"
    options_schema = {
        "type": "object",
        "properties": {"url": {"type": "string", "minLength": 1, "description": "The first page."}},
        "required": ["url"],
    }

    def items(self, http: requests.Session) -> Iterator[argosy.Item]:
        """Yield the books of each page before fetching the next one; the list is public, so this needs no login."""
        url = self.options["url"]
        while url:
            page = self._page(url)
            for book in page.get("books", []):
                yield argosy.Item(
                    id=str(book["id"]),
                    title=str(book["title"]),
                    metadata={"author": book.get("author"), "api": urljoin(url, f"books/{book['id']}")},
                    folder=safe_part(str(book["id"]), limit=200),
                )
            url = urljoin(url, page["next"]) if page.get("next") else None

    def expand(self, item: argosy.Item, session: requests.Session) -> argosy.Item:
        """Ask for a book's files, in a worker: the session is logged in, and its requests are leased."""
        answer = session.get(item.metadata["api"])
        if answer.status_code != 200:
            raise TransferError(f"The book's files are not told (status {answer.status_code}).", kind="status")
        urls = [urljoin(answer.url, str(url)) for url in answer.json()["files"]]
        # names from a service are made safe, so none leads out of the item's folder
        resources = tuple(argosy.Resource(url, file_name(url)) for url in urls if check_url(url) is None)
        return replace(item, resources=resources)

    def _page(self, url: str) -> dict[str, Any]:
        try:
            answer = requests.get(url, timeout=30)
            answer.raise_for_status()
            page = answer.json()
        except requests.RequestException as error:
            raise SourceError(
                f"The catalogue {url} cannot be read: {type(error).__name__}.",
                hint="Look at it with a browser, and check the option url.",
            ) from None
        if not isinstance(page, dict):
            raise SourceError(f"The catalogue {url} is not a JSON object.", hint="Check the option url.")
        return page


@argosy.hookimpl
def argosy_source() -> type[argosy.Source]:
    """Register the source."""
    return JsonCatalogue

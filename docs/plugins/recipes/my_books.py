"""A source for "my books": a list in pages that the service shows only to those who are logged in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import requests

import argosy
from argosy.errors import SourceError
from argosy.toolkit.names import safe_part
from argosy.toolkit.urls import check_url, file_name


class MyBooks(argosy.Source):
    """Reads ``{"books": [{"id", "title", "url"}, ...], "next": URL or null}``, page by page."""

    name = "my-books"
    summary = "The books of the account that is logged in"
    asks = True  # items() sends requests: argosy logs in first
    options_schema = {
        "type": "object",
        "properties": {"url": {"type": "string", "minLength": 1, "description": "The first page."}},
        "required": ["url"],
    }

    def items(self, http: requests.Session) -> Iterator[argosy.Item]:
        """Yield the books of each page before asking for the next one."""
        url = self.options["url"]
        while url:
            page = self._page(http, url)
            for book in page["books"]:
                yield self._book(urljoin(url, str(book["url"])), str(book["id"]), str(book["title"]))
            url = urljoin(url, page["next"]) if page.get("next") else None

    def _page(self, http: requests.Session, url: str) -> Any:
        answer = http.get(url)  # leases the token; a refused session is logged in again
        if answer.status_code != 200:
            raise SourceError(f"The list of books cannot be read (status {answer.status_code}).", hint="Check the URL.")
        try:
            page = answer.json()
        except requests.JSONDecodeError:
            page = None
        if not isinstance(page, dict) or not isinstance(page.get("books"), list):
            raise SourceError("The list of books is not in the expected form.", hint="Check the option url.")
        return page

    def _book(self, url: str, id_: str, title: str) -> argosy.Item:
        if (wrong := check_url(url)) is not None:
            raise SourceError(f"The URL of the book {id_!r} {wrong}.", hint="Report it to the service.")
        resource = argosy.Resource(url, file_name(url))
        return argosy.Item(id_, title, (resource,), folder=safe_part(id_, limit=200))


@argosy.hookimpl
def argosy_source() -> type[argosy.Source]:
    """Register the source."""
    return MyBooks

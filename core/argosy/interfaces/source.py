"""The interface of sources."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import requests

from argosy.interfaces.base import Plugin
from argosy.models.items import Item


class Source(Plugin):
    """Yields the items of a run, one by one: a source of a million items must not build a list."""

    @abstractmethod
    def items(self) -> Iterator[Item]:
        """Yield the items, each with a unique ID; for invalid input, raise a `SourceError` with the first 20 problems."""

    def expand(self, item: Item, session: requests.Session) -> Item:
        """Return the item with its resources, found by requests of the session (each leases the token); a worker calls it."""
        return item

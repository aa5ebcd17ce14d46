"""The interface of sources."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import requests

from argosy.interfaces.base import Plugin
from argosy.models.items import Item


class Source(Plugin):
    """Yields the items of a run, one by one: a source of a million items must not build a list."""

    #: Whether `items` sends requests. If so, argosy logs in before it reads the items, also to show them (``--dry-run``).
    asks: ClassVar[bool] = False

    @abstractmethod
    def items(self, http: requests.Session) -> Iterator[Item]:
        """Yield the items, each with a unique ID; for invalid input, raise a `SourceError` with the first 20 problems.

        `http` is a logged-in session, and each of its requests leases the token; only a source that `asks` can use it.
        """

    def expand(self, item: Item, session: requests.Session) -> Item:
        """Return the item with its resources, found by requests of the session (each leases the token); a worker calls it."""
        return item

"""The contract of a source."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import requests

from argosy.interfaces.base import Plugin
from argosy.models.items import Item


class Source(Plugin):
    """Yields the items of a run.

    Items are taken one by one and never kept, so a source of a million items must not build a list.

    .. versionadded:: 0.1
    """

    @abstractmethod
    def items(self) -> Iterator[Item]:
        """Yield the items, each with an id of its own.

        Raises
        ------
        SourceError
            If what it reads is not valid. A source that can read on names all the problems at once
            (the first 20, say) in the error it raises at the end.
        """

    def expand(self, item: Item, session: requests.Session) -> Item:
        """Return the item with its resources, found by authorised requests; called in a worker.

        The session leases the token for each request, so a source may use it as any other.
        """
        return item

"""A requests session for plugins whose requests go on the sessions of a pool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import BaseAdapter

from argosy.http.network import Network
from argosy.http.session import PlainSession

#: Positional arguments of `requests.Session.request`, behind the URL, from which on the headers are among them.
HEADERS_PLACE = 3


class PoolSession(PlainSession):
    """Sends each request on a session of a pool.

    Parameters
    ----------
    send
        The pool's `request`.
    adapter
        The pool's `adapter`.
    network
        How it reaches the service.
    """

    def __init__(
        self,
        send: Callable[..., requests.Response],
        adapter: Callable[[str], BaseAdapter],
        network: Network = Network(),
    ) -> None:
        super().__init__(network)
        self._send = send
        self._adapter = adapter

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request as `requests.Session.request` does."""
        if len(args) < HEADERS_PLACE:
            kwargs["headers"] = {**self.headers, **(kwargs.get("headers") or {})}
        return self._send(method, url, *args, **kwargs)

    def get_adapter(self, url: str | bytes) -> BaseAdapter:
        """Return what sends a request that was prepared by the caller: leased, but not judged."""
        return self._adapter(str(url))

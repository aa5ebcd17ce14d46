"""The built-in transports keep to their contract."""

from __future__ import annotations

from argosy_devkit.contracts.transport import TransportContract
from argosy_plugins.transports.curl import CurlTransport
from argosy_plugins.transports.requests import RequestsTransport


class TestCurl(TransportContract):
    plugin = CurlTransport


class TestRequests(TransportContract):
    plugin = RequestsTransport

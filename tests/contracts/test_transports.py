"""The built-in transports keep to their contract."""

from __future__ import annotations

from argosy.http.transport import RequestsTransport
from argosy_devkit.contracts.transport import TransportContract
from argosy_plugins.transports.curl import CurlTransport


class TestCurl(TransportContract):
    plugin = CurlTransport


class TestRequests(TransportContract):
    plugin = RequestsTransport

"""The built-in transports keep to their contract, and to rules of their own."""

from __future__ import annotations

import socket

import pytest
import requests

from argosy.interfaces import Transport
from argosy_devkit.contracts.transport import TransportContract
from argosy_devkit.contracts.transport_suite import OK, RecordingHop, Serve, body_of
from argosy_plugins.transports.curl import CurlTransport
from argosy_plugins.transports.requests import RequestsTransport


class LostResponses(TransportContract):
    """The contract, and what the built-in transports do about a server that closes reused connections."""

    def test_a_hop_that_waited_uses_a_new_connection_if_responses_were_lost_meanwhile(
        self, transport: Transport, serve: Serve
    ) -> None:
        def script(connection: socket.socket, number: int) -> object:
            if server.requests[-1].startswith(b"GET /lost"):
                return "close"
            connection.sendall(OK)
            return None

        def lose_two() -> None:
            for _ in range(2):
                assert body_of(self.send(transport, RecordingHop(url))) == b"hello"
                with pytest.raises(requests.ConnectionError):
                    self.send(transport, RecordingHop(f"{url}lost"))

        server = serve(script)
        url = f"http://127.0.0.1:{server.port}/"
        assert body_of(self.send(transport, RecordingHop(url))) == b"hello"
        hop = RecordingHop(url)
        hop.on_authorize = lose_two
        assert body_of(self.send(transport, hop)) == b"hello"
        assert hop.steps == ["authorize", "sending", "received"]
        assert server.connections[-1] not in server.connections[:-1]


class TestCurl(LostResponses):
    plugin = CurlTransport


class TestRequests(LostResponses):
    plugin = RequestsTransport

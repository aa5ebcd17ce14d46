"""What transports promise about responses that are broken, or made to deceive."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest
import requests

from argosy.interfaces import Transport
from argosy_devkit.contracts.transport_suite import OK, RecordingHop, Serve, TransportSuite, body_of

#: A response that nobody has asked for.
SMUGGLED = b"HTTP/1.1 200 OK\r\nSet-Cookie: token=smuggled\r\nContent-Length: 8\r\n\r\nsmuggled"

_HEAD = b"HTTP/1.1 200 OK\r\n"

#: Responses without complete headers.
_NO_RESPONSES = {
    "nothing": b"",
    "nonsense": b"nonsense\r\n\r\n",
    "HTTP/0.9": b"<html>an old server</html>\n",
    "no status": b"HTTP/1.1\r\nSet-Cookie: a=1\r\n\r\n",
    "half a status line": b"HTTP/1.1 20",
    "no empty line": _HEAD + b"Set-Cookie: a=1\r\nContent-Length: 0\r\n",
    "half a line": _HEAD + b"Content-Length: 0\r\nSet-Cookie: a=1",
    "an interim response alone": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    "a long line": _HEAD + b"X: " + b"x" * 2_000_000 + b"\r\n\r\n",
    "megabytes": _HEAD + (b"X: " + b"x" * 1000 + b"\r\n") * 2000 + b"\r\n",
    "many fields": _HEAD + b"X: 1\r\n" * 20_000 + b"\r\n",
}

#: Responses with the tokens a and b that a strict client may refuse.
_ODD = {
    "a line that is none": _HEAD + b"Set-Cookie: a=1\r\nno field\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
    "a line without a name": _HEAD + b"Set-Cookie: a=1\r\n: none\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
    "a null character": _HEAD + b"Set-Cookie: a=1\r\nX: a\0b\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
    "a folded first line": _HEAD + b" folded\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
    "no carriage returns": b"HTTP/1.1 200 OK\nSet-Cookie: a=1\nSet-Cookie: b=2\nContent-Length: 0\n\n",
}

#: Header fields that disagree on where the body ends.
_UNCLEAR = {
    "a length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "chunks and a length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "a shorter length second": b"Content-Length: 90\r\nContent-Length: 5\r\n\r\nhello",
    "a longer length second": b"Content-Length: 5\r\nContent-Length: 90\r\n\r\nhello",
    "two lengths in a field": b"Content-Length: 5, 90\r\n\r\nhello",
    "a length with a sign": b"Content-Length: +5\r\n\r\nhello",
    "a negative length": b"Content-Length: -5\r\n\r\nhello",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\nhello",
    "a coding after chunked": b"Transfer-Encoding: chunked, identity\r\nContent-Length: 5\r\n\r\nhello",
}


class TransportHostile(TransportSuite):
    """The promises about broken responses."""

    @pytest.mark.parametrize("answer", _NO_RESPONSES.values(), ids=_NO_RESPONSES)
    def test_incomplete_or_endless_headers_are_an_error(
        self, transport: Transport, serve: Serve, answer: bytes
    ) -> None:
        """Without complete headers of at most 1 MB and 10,000 fields, there is no response: a token may be missing."""

        def script(connection: socket.socket, number: int) -> object:
            with contextlib.suppress(OSError):
                connection.sendall(answer)
            return "close"

        hop = RecordingHop(f"http://127.0.0.1:{serve(script).port}/")
        with pytest.raises(requests.RequestException):
            self.send(transport, hop)
        assert hop.steps == ["authorize", "sending"]

    def test_interim_responses_without_end_are_an_error(self, transport: Transport, serve: Serve) -> None:
        """Interim responses count towards the 1 MB."""

        def script(connection: socket.socket, number: int) -> object:
            with contextlib.suppress(OSError):
                for _ in range(1_000_000):
                    connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100)
            return "close"

        hop = RecordingHop(f"http://127.0.0.1:{serve(script).port}/", seconds=60.0)
        with pytest.raises(requests.RequestException):
            self.send(transport, hop)
        assert hop.steps == ["authorize", "sending"]

    def test_long_headers_arrive(self, transport: Transport, serve: Serve) -> None:
        """Headers of 60 kB and 100 fields are not too long, and arrive whole, in their order."""
        values = [f"{number:03d}{'x' * 550}" for number in range(98)]
        fields = b"".join(b"Set-Cookie: %s\r\n" % value.encode() for value in values)
        server = serve(_HEAD + fields + b"Content-Length: 5\r\n\r\nhello")
        hop = RecordingHop(f"http://127.0.0.1:{server.port}/")
        assert body_of(self.send(transport, hop)) == b"hello"
        assert hop.values("Set-Cookie") == values

    def test_unusual_headers_arrive(self, transport: Transport, serve: Serve) -> None:
        """Folded lines, empty values, bytes beyond ASCII, names in lower case, and a missing reason are understood."""
        server = serve(
            b"HTTP/1.1 200\r\nset-cookie: a=1;\r\n Path=/\r\nx-empty:\r\nX-Latin: caf\xe9\r\n"
            b"SET-COOKIE:b=2 \t\r\ncontent-length: 5\r\n\r\nhello"
        )
        hop = RecordingHop(f"http://127.0.0.1:{server.port}/")
        assert body_of(self.send(transport, hop)) == b"hello"
        assert hop.headers is not None
        assert (hop.headers.status, hop.headers.reason) == (200, "")
        assert hop.values("Set-Cookie") == ["a=1; Path=/", "b=2"]
        assert hop.values("X-Empty") == [""]
        assert hop.values("X-Latin") == ["caf\xe9"]

    @pytest.mark.parametrize("answer", _ODD.values(), ids=_ODD)
    def test_no_token_is_overlooked(self, transport: Transport, serve: Serve, answer: bytes) -> None:
        """Around lines that are not valid, all fields are reported, or the response is an error."""

        def script(connection: socket.socket, number: int) -> object:
            connection.sendall(answer)
            return "close"

        hop = RecordingHop(f"http://127.0.0.1:{serve(script).port}/")
        try:
            self.send(transport, hop).close()
        except requests.RequestException:
            assert "received" not in hop.steps
        else:
            assert hop.values("Set-Cookie") == ["a=1", "b=2"]

    @pytest.mark.parametrize("answer", _UNCLEAR.values(), ids=_UNCLEAR)
    def test_a_body_with_an_unclear_end_is_the_last_of_its_connection(
        self, transport: Transport, serve: Serve, answer: bytes
    ) -> None:
        """If header fields disagree on the end of the body, the next request gets another connection (RFC 9112, 6.3)."""

        def script(connection: socket.socket, number: int) -> None:
            connection.sendall(_HEAD + answer + SMUGGLED if number == 1 else OK)

        server = serve(script)
        url = f"http://127.0.0.1:{server.port}/"
        with contextlib.suppress(OSError):  # as is a RequestException
            body_of(self.send(transport, RecordingHop(url), timeout=(5.0, 0.2)))
        self._gets_its_own_response(transport, url)
        assert server.connections == [1, 2]

    def test_more_than_the_body_is_not_the_next_response(self, transport: Transport, serve: Serve) -> None:
        """Bytes after the body end the connection, whether they come with it or later."""
        was_read, came = threading.Event(), threading.Event()

        def at_once(connection: socket.socket, number: int) -> None:
            connection.sendall(OK + SMUGGLED if number == 1 else OK)

        def later(connection: socket.socket, number: int) -> None:
            connection.sendall(OK)
            if number == 1:
                assert was_read.wait(10)
                connection.sendall(SMUGGLED)
                came.set()

        for script in (at_once, later):
            server = serve(script)
            url = f"http://127.0.0.1:{server.port}/"
            assert body_of(self.send(transport, RecordingHop(url))) == b"hello"
            was_read.set()
            if script is later:
                assert came.wait(10)
            self._gets_its_own_response(transport, url)
            assert server.connections == [1, 2]

    def test_responses_without_a_body_have_none(self, transport: Transport, serve: Serve) -> None:
        """204, 304 and responses to HEAD have no body, whatever their headers say, so the next response is not theirs."""
        for method, status in (("GET", b"204 No Content"), ("GET", b"304 Not Modified"), ("HEAD", b"200 OK")):

            def script(connection: socket.socket, number: int, status: bytes = status) -> None:
                connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\n\r\n" if number == 1 else OK)

            url = f"http://127.0.0.1:{serve(script).port}/"
            assert body_of(self.send(transport, RecordingHop(url, method))) == b""
            self._gets_its_own_response(transport, url)

    @pytest.mark.parametrize(
        "body",
        [b"5\r\nhel", b"5\r\nhello\r\n", b"nonsense\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloXX0\r\n\r\n", b""],
        ids=["half a chunk", "no last chunk", "no size", "no line break", "nothing"],
    )
    def test_broken_chunks_are_an_error(self, transport: Transport, serve: Serve, body: bytes) -> None:
        """A body in chunks that ends without the last chunk, or breaks their framing, is an error."""

        def script(connection: socket.socket, number: int) -> object:
            connection.sendall(_HEAD + b"Set-Cookie: a=1\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
            return "close"

        hop = RecordingHop(f"http://127.0.0.1:{serve(script).port}/")
        incoming = self.send(transport, hop)
        with pytest.raises(OSError):  # noqa: PT011 - any of its kind
            body_of(incoming)
        assert hop.values("Set-Cookie") == ["a=1"]

    def _gets_its_own_response(self, transport: Transport, url: str) -> None:
        hop = RecordingHop(url)
        assert body_of(self.send(transport, hop)) == b"hello"
        assert hop.values("Set-Cookie") == [], "it took other bytes for a response"

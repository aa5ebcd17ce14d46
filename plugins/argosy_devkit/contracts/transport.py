"""The contract of transports as a test suite.

Subclass it in your tests and run pytest::

    from argosy_devkit.contracts.transport import TransportContract

    class TestMyTransport(TransportContract):
        plugin = MyTransport
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from argosy.interfaces import PluginContext, Transport
from argosy.toolkit.failures import kind_of
from argosy_devkit.client import ServerFactory
from argosy_devkit.contracts.plugin_suite import PluginRules, make_plugin
from argosy_devkit.contracts.transport_hostile import TransportHostile
from argosy_devkit.contracts.transport_network import TransportNetwork
from argosy_devkit.contracts.transport_suite import OK, Authority, RecordingHop, ScriptedServer, Serve, body_of
from argosy_devkit.contracts.waiting import Thread, wait_until


class TransportContract(TransportNetwork, TransportHostile, PluginRules):
    """Each test is one promise of `argosy.Transport`."""

    documented = "argosy.Transport (docs/plugins/contracts.md)"

    # -- the lease

    def test_it_reports_each_step_once_and_in_order(self, transport: Transport, serve: Serve) -> None:
        """send() takes the session, sends its token, and reports the headers before the body has come."""
        hop = RecordingHop("http://x/")

        def script(connection: socket.socket, number: int) -> None:
            connection.sendall(b"HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n")
            wait_until(hop.reported.is_set, "the headers, before the body")
            connection.sendall(b"hello")

        server = serve(script)
        hop.request.url = f"http://127.0.0.1:{server.port}/path?query=1"
        assert body_of(self.send(transport, hop)) == b"hello"
        assert hop.steps == ["authorize", "sending", "received"]
        assert hop.headers is not None
        assert (hop.headers.status, hop.headers.reason, hop.headers.version) == (200, "Fine", "HTTP/1.1")
        cookies = [value for name, value in hop.headers.fields if name.lower() == "set-cookie"]
        assert cookies == ["a=1", "b=2"]
        (head,) = server.requests
        assert head.startswith(b"GET /path?query=1 HTTP/1.1\r\n")
        assert head.count(b"token=1") == 1

    def test_the_connection_is_up_before_the_session_is_taken(
        self, transport: Transport, serve: Serve, authority: Authority
    ) -> None:
        """If a hop adds only cookies, it is asked once the connection is up: nobody waits for a handshake."""
        for server, scheme in ((serve(OK), "http"), (serve(OK, authority.server_context("127.0.0.1")), "https")):
            hop = RecordingHop(f"{scheme}://127.0.0.1:{server.port}/")
            hop.on_authorize = partial(wait_until, partial(server.accepted.__contains__, 1), "the connection")
            assert body_of(self.send(transport, hop, verify=authority.bundle)) == b"hello"
            assert hop.steps == ["authorize", "sending", "received"]
            assert server.requests[0].count(b"token=1") == 1

    def test_a_hop_may_add_anything(self, transport: Transport, serve: Serve) -> None:
        """A hop may change header fields, the query and the body, and has the last word on cookies."""
        server = serve(b"HTTP/1.1 200 OK\r\nSet-Cookie: token=of-the-server\r\nContent-Length: 0\r\n\r\n")
        url = f"http://127.0.0.1:{server.port}/"
        cookies = ("a=1", 'b="x y"; c=; d=e=f', "", "__Host-a=1", "nameless", "x=" + "x" * 7000, "last=1")
        for cookie in cookies:
            hop = RecordingHop(url, "POST")
            hop.request.prepare_body(b"before", None)
            hop.credentials = {"Cookie": cookie} if cookie else {}
            assert body_of(self.send(transport, hop)) == b""
            assert hop.steps == ["authorize", "sending", "received"]
        for cookie, request in zip(cookies, server.requests, strict=True):
            lines = [line[8:].decode() for line in request.split(b"\r\n") if line.lower().startswith(b"cookie: ")]
            assert lines == ([cookie] if cookie else [])

        signed = RecordingHop(url, "POST")
        signed.request.prepare_body(b"before", None)
        signed.request.headers["X-Old"] = "1"
        signed.credentials = {"Authorization": "Bearer 2", "X-Old": "2"}
        signed.query, signed.body = "?signature=3", b"after"
        for _ in range(2):
            signed.steps.clear()
            assert body_of(self.send(transport, signed)) == b""
            assert signed.steps == ["authorize", "sending", "received"]
            request = server.requests[-1]
            assert request.startswith(b"POST /?signature=3 HTTP/1.1\r\n")
            assert request.endswith(b"\r\n\r\nafter")
            assert request.lower().count(b"authorization: bearer 2\r\n") == 1
            assert request.lower().count(b"x-old:") == request.lower().count(b"x-old: 2\r\n") == 1
            assert b"ookie:" not in request

    def test_a_hop_may_log_in(self, transport: Transport, serve: Serve) -> None:
        """While a hop takes its session, the same thread may send other requests: those of a login."""
        server = serve(OK)
        hop, login = (RecordingHop(f"http://127.0.0.1:{server.port}/{name}") for name in ("file", "login"))
        login.request.headers["Connection"] = "close"
        hop.on_authorize = lambda: body_of(self.send(transport, login))
        assert body_of(self.send(transport, hop)) == b"hello"
        assert [head.split()[1] for head in server.requests] == [b"/login", b"/file"]

    def test_a_connection_that_closes_while_the_hop_waits_is_not_used(
        self, transport: Transport, serve: Serve, authority: Authority
    ) -> None:
        """After a long wait for the session, a connection that was closed meanwhile costs no request."""
        for tls, scheme in ((None, "http"), (authority.server_context("127.0.0.1"), "https")):
            server = serve(OK, tls)
            url = f"{scheme}://127.0.0.1:{server.port}/"
            assert body_of(self.send(transport, RecordingHop(url), verify=authority.bundle)) == b"hello"
            hop = RecordingHop(url)
            hop.on_authorize = partial(hang_up_and_wait, server)
            assert body_of(self.send(transport, hop, verify=authority.bundle)) == b"hello"
            assert hop.steps == ["authorize", "sending", "received"]
            assert server.connections == [1, 2]

    def test_it_never_sends_a_request_twice(self, transport: Transport, serve: Serve) -> None:
        """A reused connection that closes without a response is an error: the token may be replaced by now."""

        def script(connection: socket.socket, number: int) -> object:
            if number == 2:
                return "close"
            connection.sendall(OK)
            return None

        server = serve(script)
        url = f"http://127.0.0.1:{server.port}/"
        assert body_of(self.send(transport, RecordingHop(url))) == b"hello"
        lost = RecordingHop(url)
        with pytest.raises(requests.RequestException):
            self.send(transport, lost)
        assert lost.steps == ["authorize", "sending"]
        assert len(server.requests) == 2, "it was sent again"
        assert body_of(self.send(transport, RecordingHop(url))) == b"hello", "the transport works no more"

    def test_what_was_not_sent_is_known(self, transport: Transport) -> None:
        """If there is no connection, the error tells the cause, and nothing counts as sent."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        causes = {f"http://127.0.0.1:{port}/": "refused", "http://no-such-host.invalid/": "dns"}
        for url, kind in causes.items():
            hop = RecordingHop(url)
            with pytest.raises(requests.RequestException) as raised:
                self.send(transport, hop)
            assert "sending" not in hop.steps
            assert kind_of(raised.value, sent=False) == kind, url

    def test_an_error_of_a_step_passes(self, transport: Transport, serve: Serve) -> None:
        """If a step of the hop raises, so does send(), and without the session nothing is sent."""
        server = serve(OK)
        for step in ("authorize", "received"):
            hop = RecordingHop(f"http://127.0.0.1:{server.port}/")
            hop.error = (step, KeyError("of the hop"))
            with pytest.raises(KeyError, match="of the hop"):
                self.send(transport, hop)
            assert hop.steps[-1] == step
        assert len(server.requests) == 1

    def test_the_deadline_ends_it(self, transport: Transport, serve: Serve) -> None:
        """At the deadline, there is an error, and the connection is closed."""
        closed = threading.Event()

        def script(connection: socket.socket, number: int) -> object:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: 1\r\n")
            with contextlib.suppress(OSError):
                connection.recv(1)
            closed.set()
            return "close"

        hop = RecordingHop(f"http://127.0.0.1:{serve(script).port}/", seconds=0.5)
        with pytest.raises(requests.RequestException):
            self.send(transport, hop)
        assert "received" not in hop.steps
        assert closed.wait(5), "the connection is still open"

    # -- bodies

    def test_bodies_of_every_kind_arrive(self, transport: Transport, serve: Serve) -> None:
        """Bodies with a length, in chunks, up to the end of the connection, and empty ones."""
        large = bytes(range(256)) * 5000
        bodies = {
            b"Content-Length: 0\r\n\r\n": b"",
            b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n": b"hello world",
            b"Content-Length: 1280000\r\n\r\n" + large: large,
            b"Connection: close\r\n\r\nto the end": b"to the end",
        }
        for answer, body in bodies.items():

            def script(connection: socket.socket, number: int, answer: bytes = answer) -> object:
                connection.sendall(b"HTTP/1.1 200 OK\r\n" + answer)
                return "close" if b"Connection: close" in answer[:20] else None

            hop = RecordingHop(f"http://127.0.0.1:{serve(script).port}/")
            assert body_of(self.send(transport, hop)) == body

    def test_a_body_that_ends_early_is_an_error(self, transport: Transport, serve: Serve) -> None:
        """readinto() raises OSError if the connection ends before the body, after it has given what came."""

        def script(connection: socket.socket, number: int) -> object:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
            return "close"

        incoming = self.send(transport, RecordingHop(f"http://127.0.0.1:{serve(script).port}/"))
        buffer = memoryview(bytearray(100))
        assert bytes(buffer[: incoming.readinto(buffer)]) == b"hello"
        with pytest.raises(OSError):  # noqa: PT011 - any of its kind
            incoming.readinto(buffer)
        incoming.close()

    def test_bytes_are_given_as_they_come(self, transport: Transport, serve: Serve) -> None:
        """readinto() does not wait until the buffer is full, and raises TimeoutError if nothing comes."""
        more = threading.Event()

        def script(connection: socket.socket, number: int) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
            more.wait(30)

        hop = RecordingHop(f"http://127.0.0.1:{serve(script).port}/")
        incoming = self.send(transport, hop, timeout=(5.0, 0.5))
        buffer = memoryview(bytearray(100))
        assert incoming.readinto(buffer) == 5
        with pytest.raises(TimeoutError):
            incoming.readinto(buffer)
        incoming.close()
        more.set()

    def test_a_connection_is_used_again_unless_its_body_is_incomplete(self, transport: Transport, serve: Serve) -> None:
        """After a complete body, the connection serves the next request; after another, it is closed."""

        def script(connection: socket.socket, number: int) -> None:
            connection.sendall(OK if number != 4 else b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")

        server = serve(script)
        url = f"http://127.0.0.1:{server.port}/"
        for _ in range(3):
            assert body_of(self.send(transport, RecordingHop(url))) == b"hello"
        self.send(transport, RecordingHop(url)).close()
        assert body_of(self.send(transport, RecordingHop(url))) == b"hello"
        assert server.connections == [1, 1, 1, 1, 2]

    def test_a_connection_that_the_server_has_closed_is_not_used_again(
        self, transport: Transport, serve: Serve
    ) -> None:
        """Nothing is sent into a connection that closed a moment after its response: that request would be in doubt."""
        closed = threading.Event()

        def script(connection: socket.socket, number: int) -> None:
            connection.sendall(OK)
            connection.close()
            closed.set()

        server = serve(script)
        for _ in range(3):
            hop = RecordingHop(f"http://127.0.0.1:{server.port}/")
            assert body_of(self.send(transport, hop)) == b"hello"
            assert closed.wait(30)
            closed.clear()
        assert server.connections == [1, 2, 3]

    # -- what it leaves to argosy

    def test_redirects_and_cookies_are_left_to_argosy(self, transport: Transport, serve: Serve) -> None:
        """It follows no redirect, and sends no cookie that a response has set."""
        server = serve(b"HTTP/1.1 302 Found\r\nLocation: /next\r\nSet-Cookie: own=1\r\nContent-Length: 0\r\n\r\n")
        for _ in range(2):
            hop = RecordingHop(f"http://127.0.0.1:{server.port}/")
            body_of(self.send(transport, hop))
            assert hop.headers is not None
            assert hop.headers.status == 302
        assert len(server.requests) == 2
        assert b"own=1" not in server.requests[1]

    def test_resuming_is_left_to_argosy(self, transport: Transport, serve: Serve) -> None:
        """Range and If-Range pass unchanged, and 206 and 416 are responses like others."""

        def script(connection: socket.socket, number: int) -> None:
            status = b"206 Partial Content" if number == 1 else b"416 Range Not Satisfiable"
            answer = b"HTTP/1.1 %s\r\nContent-Range: bytes 2-4/5\r\nContent-Length: 3\r\n\r\nllo"
            connection.sendall(answer % status)

        server = serve(script)
        ranges = {"Range": "bytes=2-", "If-Range": '"etag"'}
        for status in (206, 416):
            hop = RecordingHop(f"http://127.0.0.1:{server.port}/")
            hop.request.headers.update(ranges)
            assert body_of(self.send(transport, hop)) == b"llo"
            assert hop.headers is not None
            assert hop.headers.status == status
            assert hop.values("Content-Range") == ["bytes 2-4/5"]
        for head in server.requests:
            assert b"range: bytes=2-\r\n" in head.lower()
            assert b'if-range: "etag"\r\n' in head.lower()

    def test_bodies_are_not_decompressed(self, transport: Transport, serve: Serve) -> None:
        """No compression is asked for, and a compressed body arrives as it was sent."""
        server = serve(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello")
        hop = RecordingHop(f"http://127.0.0.1:{server.port}/")
        hop.request.headers["Accept-Encoding"] = "identity"
        assert body_of(self.send(transport, hop)) == b"hello"
        assert server.requests[0].lower().count(b"accept-encoding") == 1
        assert b"gzip" not in server.requests[0]

    # -- odd requests and responses

    def test_methods_and_bodies(self, transport: Transport, serve: Serve) -> None:
        """HEAD has no body, and the body of a POST arrives."""
        server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        url = f"http://127.0.0.1:{server.port}/"
        assert body_of(self.send(transport, RecordingHop(url, "HEAD"))) == b""
        post = RecordingHop(url, "POST")
        post.request.prepare_body(b"a=1", None)
        assert body_of(self.send(transport, post)) == b""
        assert [head.split(b" ")[0] for head in server.requests] == [b"HEAD", b"POST"]
        assert server.requests[1].endswith(b"\r\n\r\na=1")
        large = RecordingHop(url, "POST")
        large.request.prepare_body(bytes(2_000_000), None)
        assert body_of(self.send(transport, large)) == b""
        assert len(server.requests[2]) > 2_000_000
        assert b"expect:" not in server.requests[2][:2000].lower(), "it would wait for the server's permission"

    def test_interim_responses_are_skipped(self, transport: Transport, serve: Serve) -> None:
        """After 103 Early Hints, the final response follows."""
        server = serve(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK)
        hop = RecordingHop(f"http://127.0.0.1:{server.port}/")
        assert body_of(self.send(transport, hop)) == b"hello"
        assert hop.headers is not None
        assert hop.headers.status == 200
        assert [name.lower() for name, _ in hop.headers.fields] == ["content-length"]

    @pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\nX-Injected: 1"])
    def test_a_header_cannot_become_two(self, transport: Transport, serve: Serve, value: str) -> None:
        """A field with a line break is an error, and nothing is sent."""
        server = serve(OK)
        hop = RecordingHop(f"http://127.0.0.1:{server.port}/")
        hop.credentials = {"X-Token": value}
        with pytest.raises((requests.RequestException, ValueError)):
            self.send(transport, hop)
        assert server.requests == []

    # -- at work

    def test_threads_do_not_disturb_each_other(self, transport: Transport, serve: Serve) -> None:
        """Any number of threads send at once, and each gets its own response."""

        def script(connection: socket.socket, number: int) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n%04d" % number)

        server = serve(script)

        def work() -> list[bytes]:
            url = f"http://127.0.0.1:{server.port}/"
            return [body_of(self.send(transport, RecordingHop(url))) for _ in range(20)]

        threads = [Thread(work) for _ in range(8)]
        bodies = [body for thread in threads for body in thread.result()]
        assert sorted(bodies) == [b"%04d" % number for number in range(1, 161)]

    def test_a_response_is_read_in_another_thread(self, transport: Transport, serve: Serve) -> None:
        """A body may be read, or dropped, in another thread than its sender's, which sends the next request meanwhile."""
        go_on = threading.Event()

        def script(connection: socket.socket, number: int) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + bytes(100_000))
            assert number > 1 or go_on.wait(20)
            connection.sendall(bytes(100_000))

        url = f"http://127.0.0.1:{serve(script).port}/"
        first = self.send(transport, RecordingHop(url))
        reading = Thread(lambda: body_of(first))
        for _ in range(20):
            assert len(body_of(self.send(transport, RecordingHop(url)))) == 200_000
        dropped = [self.send(transport, RecordingHop(url)) for _ in range(5)]
        dropping = Thread(lambda: [each.close() for each in dropped])
        for _ in range(20):
            assert len(body_of(self.send(transport, RecordingHop(url)))) == 200_000
        dropping.result()
        go_on.set()
        assert len(reading.result()) == 200_000

    def test_a_slow_response_holds_nobody_up(self, transport: Transport, serve: Serve) -> None:
        """While one thread waits for a response, others get theirs."""
        others_done = threading.Event()

        def script(connection: socket.socket, number: int) -> None:
            assert number > 1 or others_done.wait(20)
            connection.sendall(OK)

        server = serve(script)
        url = f"http://127.0.0.1:{server.port}/"
        slow = Thread(lambda: body_of(self.send(transport, RecordingHop(url, seconds=30.0))))
        wait_until(lambda: server.requests, "the first request")
        for _ in range(3):
            assert body_of(self.send(transport, RecordingHop(url))) == b"hello"
        others_done.set()
        assert slow.result() == b"hello"

    def test_close_closes_idle_connections(
        self, serve: Serve, given: Mapping[str, Any], context: PluginContext
    ) -> None:
        """After close(), the connections are closed, those of other threads, too."""
        server = serve(OK)
        transport = make_plugin(self.plugin, given, context)
        done, end = threading.Event(), threading.Event()

        def work() -> None:
            try:
                assert body_of(self.send(transport, RecordingHop(f"http://127.0.0.1:{server.port}/"))) == b"hello"
            finally:
                done.set()
            end.wait(30)

        thread = Thread(work)
        assert done.wait(10)
        transport.close()
        wait_until(lambda: server.ended == {1}, "the end of the connection")
        end.set()
        thread.result()

    @pytest.mark.parametrize("lease_mode", ["strict", "static"])
    def test_a_run_uses_it(
        self, library_server: ServerFactory, tmp_path: Path, given: Mapping[str, Any], lease_mode: str
    ) -> None:
        """A real run of eight workers sends no replaced token, and logs in once."""
        server = library_server(lease_mode=lease_mode)
        server.manifest(tmp_path / "books.jsonl", items=24, resources_per_item=2)
        (tmp_path / "password").write_text(server.password)
        login = {"user": server.user, "password": {"file": "password"}}
        report = self.run(
            tmp_path,
            given,
            source={"use": "manifest", "path": "books.jsonl"},
            auth={"use": "form-login", "url": server.login_url, "fields": login},
            max_workers=8,
        )
        stats = server.stats()
        assert report.counts.done == 24, f"items failed: {report.failures}"
        assert (stats.replaced_tokens_sent, stats.logins) == (0, 1)


def hang_up_and_wait(server: ScriptedServer) -> None:
    """Close the connections, and let some time pass."""
    server.hang_up()
    time.sleep(0.05)

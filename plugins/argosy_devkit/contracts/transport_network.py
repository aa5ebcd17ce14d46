"""What transports promise about connections: TLS, proxies, and time limits."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from argosy.interfaces import Transport
from argosy.toolkit.failures import kind_of
from argosy_devkit.contracts.transport_suite import (
    OK,
    Authority,
    RecordingHop,
    ScriptedServer,
    Serve,
    SocksProxy,
    TransportSuite,
    TunnelProxy,
    body_of,
)

#: Seconds to connect, and between two pieces of a body, if the test waits for the first to pass.
IMPATIENT = (0.3, 5.0)

#: A name that does not resolve: only a proxy can know it.
NAME = "library.invalid"


class TransportNetwork(TransportSuite):
    """The promises about connections."""

    # -- TLS

    def test_an_untrusted_certificate_is_refused(
        self, transport: Transport, serve: Serve, authority: Authority
    ) -> None:
        """If nobody trusted has signed the server's certificate, nothing is sent, and the error is an SSLError."""
        server = serve(OK, authority.server_context("127.0.0.1"))
        self._is_refused(transport, f"https://127.0.0.1:{server.port}/", verify=True)
        assert server.requests == []

    def test_verify_names_the_authorities(self, transport: Transport, serve: Serve, authority: Authority) -> None:
        """With a PEM file, its authorities are trusted, and no others."""
        url = f"https://127.0.0.1:{serve(OK, authority.server_context('127.0.0.1')).port}/"
        hop = RecordingHop(url)
        assert body_of(self.send(transport, hop, verify=authority.bundle)) == b"hello"
        assert hop.steps == ["authorize", "sending", "received"]
        (Path(authority.bundle).parent / "other").mkdir()
        other = Authority(Path(authority.bundle).parent / "other")
        self._is_refused(transport, url, verify=other.bundle)  # a connection to that server is open

    def test_a_certificate_for_another_host_is_refused(
        self, transport: Transport, serve: Serve, authority: Authority
    ) -> None:
        """If the certificate is for another host, nothing is sent, and the error is an SSLError."""
        server = serve(OK, authority.server_context("other.example"))
        self._is_refused(transport, f"https://127.0.0.1:{server.port}/", verify=authority.bundle)
        assert server.requests == []

    def test_a_client_can_have_a_certificate(
        self, transport: Transport, serve: Serve, authority: Authority, tmp_path: Path
    ) -> None:
        """With `cert`, the server gets a client's certificate, on connections of its own."""
        context = authority.server_context("127.0.0.1")
        client = authority.demand_client(context, tmp_path)
        url = f"https://127.0.0.1:{serve(OK, context).port}/"
        incoming = self.send(transport, RecordingHop(url), verify=authority.bundle, cert=client)
        assert body_of(incoming) == b"hello"
        with pytest.raises(requests.RequestException):
            self.send(transport, RecordingHop(url), verify=authority.bundle)

    def _is_refused(self, transport: Transport, url: str, *, verify: bool | str, proxy: str | None = None) -> None:
        hop = RecordingHop(url)
        with pytest.raises(requests.exceptions.SSLError) as raised:
            self.send(transport, hop, verify=verify, proxy=proxy)
        assert "sending" not in hop.steps
        assert kind_of(raised.value, sent=False) == "tls"

    # -- the environment and the URL

    def test_a_host_may_be_an_ipv6_address(self, transport: Transport) -> None:
        """The host of a URL may be an IPv6 address in brackets."""
        try:
            server = ScriptedServer(OK, host="::1")
        except OSError:
            pytest.skip("this system has no IPv6")
        with contextlib.closing(server):
            assert body_of(self.send(transport, RecordingHop(f"http://[::1]:{server.port}/"))) == b"hello"
        assert f"host: [::1]:{server.port}".encode() in server.requests[0].lower()
        assert b"token=1" in server.requests[0]

    def test_the_environment_has_no_say(
        self, transport: Transport, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Proxies and .netrc of the environment are ignored."""
        server = serve(OK)
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login ada password sesame\n")
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password sesame\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        monkeypatch.setenv("HOME", str(tmp_path))
        assert body_of(self.send(transport, RecordingHop(f"http://127.0.0.1:{server.port}/"))) == b"hello"
        assert b"authorization" not in server.requests[0].lower()

    def test_the_environment_takes_no_host_from_the_proxy(
        self, transport: Transport, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With a proxy, every request goes there, whatever no_proxy says."""
        self.needs_proxy("http")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "*")
        proxy, server = serve(OK), serve(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        hop = RecordingHop(f"http://127.0.0.1:{server.port}/")
        assert body_of(self.send(transport, hop, proxy=f"http://127.0.0.1:{proxy.port}")) == b"hello"
        assert server.requests == []

    def test_a_password_in_the_url_is_not_sent(self, transport: Transport, serve: Serve) -> None:
        """The user and password of a URL are not sent: which credentials go out is for the hop to say."""
        server = serve(OK)
        hop = RecordingHop(f"http://127.0.0.1:{server.port}/path")
        hop.request.url = f"http://ada:sesame@127.0.0.1:{server.port}/path"
        assert body_of(self.send(transport, hop)) == b"hello"
        assert b"authorization" not in server.requests[0].lower()
        assert b"sesame" not in server.requests[0]

    def test_only_http_is_spoken(self, transport: Transport, tmp_path: Path) -> None:
        """A URL of another scheme is an error."""
        (tmp_path / "secret").write_text("secret")
        hop = RecordingHop("http://127.0.0.1/")
        hop.request.url = (tmp_path / "secret").as_uri()
        with pytest.raises(requests.RequestException):
            self.send(transport, hop)
        assert "received" not in hop.steps

    # -- HTTP proxies

    def test_a_proxy_is_used(self, transport: Transport, serve: Serve) -> None:
        """With a proxy, the request goes there, with its whole URL and the proxy's password."""
        self.needs_proxy("http")
        server = serve(OK)
        hop = RecordingHop(f"http://{NAME}/path")
        incoming = self.send(transport, hop, proxy=f"http://ada:sesame@127.0.0.1:{server.port}")
        assert body_of(incoming) == b"hello"
        (head,) = server.requests
        assert head.startswith(f"GET http://{NAME}/path HTTP/1.1\r\n".encode())
        assert b"proxy-authorization: basic ywrhonnlc2ftzq==" in head.lower()

    def test_a_tunnel_keeps_secrets_apart(self, transport: Transport, serve: Serve, authority: Authority) -> None:
        """Over https, the proxy sees its own password but no credentials, and the server sees the reverse.

        What the proxy answers to CONNECT is not part of the response.
        """
        self.needs_proxy("http")
        server = serve(OK, authority.server_context(NAME))
        answer = b"HTTP/1.1 200 Connected\r\nSet-Cookie: token=of-the-proxy\r\nX-Proxy: yes\r\n\r\n"
        with contextlib.closing(TunnelProxy(server.port, answer)) as proxy:
            for path in ("one", "two", "three"):
                hop = RecordingHop(f"https://{NAME}/{path}")
                hop.credentials = {"Cookie": "token=1", "Authorization": "Bearer 2"}
                url = f"http://ada:sesame@127.0.0.1:{proxy.port}"
                assert body_of(self.send(transport, hop, verify=authority.bundle, proxy=url)) == b"hello"
                assert hop.steps == ["authorize", "sending", "received"]
                assert hop.values("Set-Cookie") == hop.values("X-Proxy") == []
        assert len(proxy.heads) < 3, "each request had a tunnel of its own"
        for head in proxy.heads:
            assert head.startswith(f"CONNECT {NAME}:443 HTTP/1.".encode())
            assert b"proxy-authorization: basic ywrhonnlc2ftzq==" in head.lower()
            assert b"token=1" not in head
            assert b"Bearer 2" not in head
        for path, request in zip(("one", "two", "three"), server.requests, strict=True):
            assert request.startswith(f"GET /{path} HTTP/1.1\r\n".encode())
            assert b"token=1" in request
            assert b"Bearer 2" in request
            assert b"proxy-" not in request.lower()

    def test_a_tunnel_does_not_lower_the_guard(self, transport: Transport, serve: Serve, authority: Authority) -> None:
        """The server behind a tunnel must have a certificate for its name."""
        self.needs_proxy("http")
        server = serve(OK, authority.server_context("other.example"))
        with contextlib.closing(TunnelProxy(server.port)) as proxy:
            url = f"http://127.0.0.1:{proxy.port}"
            self._is_refused(transport, f"https://{NAME}/", verify=authority.bundle, proxy=url)
        assert server.requests == []

    @pytest.mark.parametrize(
        "answer",
        [
            b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="p"\r\n',
            b"HTTP/1.1 502 Bad Gateway\r\nSet-Cookie: token=of-the-proxy\r\n",
        ],
        ids=["407", "502"],
    )
    def test_a_tunnel_that_is_refused_is_an_error(
        self, transport: Transport, serve: Serve, authority: Authority, answer: bytes
    ) -> None:
        """If the proxy refuses a tunnel, nothing counts as sent, and its answer does not count as the response."""
        self.needs_proxy("http")
        server = serve(OK, authority.server_context(NAME))
        with contextlib.closing(TunnelProxy(server.port, answer + b"Content-Length: 0\r\n\r\n")) as proxy:
            hop = RecordingHop(f"https://{NAME}/")
            url = f"http://ada:sesame@127.0.0.1:{proxy.port}"
            with pytest.raises(requests.exceptions.ProxyError) as raised:
                self.send(transport, hop, verify=authority.bundle, proxy=url)
            assert answer.split()[1].decode() in str(raised.value), "the error does not show the status"
            assert set(hop.steps) <= {"authorize"}
            assert "sesame" not in str(raised.value), "the error shows the proxy's password"
        assert server.requests == []

    def test_a_proxy_that_does_not_run_is_named(self, transport: Transport) -> None:
        """If there is no connection to the proxy, the error is a ProxyError, and nothing counts as sent."""
        self.needs_proxy("http")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        for url in (f"http://{NAME}/", f"https://{NAME}/"):
            hop = RecordingHop(url)
            with pytest.raises(requests.exceptions.ProxyError) as raised:
                self.send(transport, hop, proxy=f"http://127.0.0.1:{port}")
            assert set(hop.steps) <= {"authorize"}
            assert kind_of(raised.value, sent=False) == "refused"

    def test_a_proxy_over_tls(self, transport: Transport, serve: Serve, authority: Authority) -> None:
        """The certificate of an https proxy is checked, too."""
        self.needs_proxy("https")
        proxy = serve(OK, authority.server_context("127.0.0.1"))
        url = f"https://ada:sesame@127.0.0.1:{proxy.port}"
        self._is_refused(transport, f"http://{NAME}/", verify=True, proxy=url)
        assert proxy.requests == []
        assert body_of(self.send(transport, RecordingHop(f"http://{NAME}/"), verify=authority.bundle, proxy=url))
        assert len(proxy.requests) == 1

    # -- SOCKS proxies

    def test_a_socks_proxy_resolves_the_name(self, transport: Transport, serve: Serve, authority: Authority) -> None:
        """A socks5h proxy gets the name of the host, the port and its own password; the server gets the request."""
        self.needs_proxy("socks5h")
        plain, secure = serve(OK), serve(OK, authority.server_context(NAME))
        for scheme, server, port in (("http", plain, 80), ("https", secure, 443)):
            with contextlib.closing(SocksProxy(server.port)) as proxy:
                hop = RecordingHop(f"{scheme}://{NAME}/path")
                url = f"socks5h://ada:sesame@127.0.0.1:{proxy.port}"
                assert body_of(self.send(transport, hop, verify=authority.bundle, proxy=url)) == b"hello"
                assert hop.steps == ["authorize", "sending", "received"]
            assert proxy.asked == [(NAME, port)]
            assert proxy.logins == [("ada", "sesame")]
            (head,) = server.requests
            assert head.startswith(b"GET /path HTTP/1.1\r\n")
            assert b"sesame" not in head
            assert b"proxy" not in head.lower()

    def test_a_socks5_proxy_gets_an_address(self, transport: Transport, serve: Serve) -> None:
        """A socks5 proxy gets the address of the host, which the client looks up."""
        self.needs_proxy("socks5")
        server = serve(OK)
        with contextlib.closing(SocksProxy(server.port)) as proxy:
            hop = RecordingHop("http://localhost/")
            assert body_of(self.send(transport, hop, proxy=f"socks5://127.0.0.1:{proxy.port}")) == b"hello"
        assert [host for host, _ in proxy.asked] in (["127.0.0.1"], ["::1"])

    def test_a_socks_proxy_that_cannot_connect_is_an_error(self, transport: Transport) -> None:
        """If the proxy cannot reach the host, or does not run, nothing counts as sent."""
        self.needs_proxy("socks5h")
        with contextlib.closing(SocksProxy(0, reply=5)) as proxy:
            running = proxy.port
            with socket.create_server(("127.0.0.1", 0)) as listener:
                closed = listener.getsockname()[1]
            for port in (running, closed):
                hop = RecordingHop(f"http://{NAME}/")
                with pytest.raises(requests.exceptions.ProxyError) as raised:
                    self.send(transport, hop, proxy=f"socks5h://ada:sesame@127.0.0.1:{port}")
                assert set(hop.steps) <= {"authorize"}
                assert "sesame" not in str(raised.value), "the error shows the proxy's password"

    # -- time limits of connecting

    @pytest.fixture
    def silent(self) -> Iterator[int]:
        """Return a port on which connections are accepted, but no byte is sent."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            yield listener.getsockname()[1]

    @pytest.fixture
    def full(self) -> Iterator[int]:
        """Return a port on which no more connections are established, as if the host did not answer."""
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            address = listener.getsockname()
            for _ in range(16):
                waiting = stack.enter_context(socket.socket())
                waiting.settimeout(0.1)
                try:
                    waiting.connect(address)
                except TimeoutError:
                    break
            else:
                pytest.skip("this system establishes connections that nobody accepts")
            yield address[1]

    def test_a_host_that_does_not_answer(self, transport: Transport, full: int) -> None:
        """After the time to connect, there is an error, and nothing counts as sent."""
        self._times_out(transport, f"http://127.0.0.1:{full}/")

    def test_a_handshake_without_an_answer(self, transport: Transport, silent: int) -> None:
        """The time to connect includes the TLS handshake."""
        self._times_out(transport, f"https://127.0.0.1:{silent}/")

    @pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
    def test_a_proxy_without_an_answer(self, transport: Transport, silent: int, scheme: str) -> None:
        """The time to connect includes the tunnel through a proxy."""
        self.needs_proxy(scheme)
        self._times_out(transport, f"https://{NAME}/", proxy=f"{scheme}://127.0.0.1:{silent}")

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_a_tunnel_to_a_host_without_an_answer(
        self, transport: Transport, silent: int, authority: Authority, scheme: str
    ) -> None:
        """The time to connect includes the TLS handshake behind the proxy."""
        self.needs_proxy(scheme)
        tls = authority.server_context("127.0.0.1") if scheme == "https" else None
        with contextlib.closing(TunnelProxy(silent, tls=tls)) as proxy:
            url = f"{scheme}://127.0.0.1:{proxy.port}"
            self._times_out(transport, f"https://{NAME}/", proxy=url, verify=authority.bundle)

    def _times_out(self, transport: Transport, url: str, **options: Any) -> None:
        hop = RecordingHop(url, seconds=30.0)
        with pytest.raises(requests.RequestException) as raised:
            self.send(transport, hop, timeout=IMPATIENT, **options)
        assert set(hop.steps) <= {"authorize"}
        assert kind_of(raised.value, sent=False) == "timeout"

    # -- time limits of the response

    def test_headers_that_trickle_in_are_cut_off(self, transport: Transport, serve: Serve) -> None:
        """A server that keeps sending a little does not put off the deadline."""
        ended = threading.Event()

        def script(connection: socket.socket, number: int) -> object:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            with contextlib.suppress(OSError):
                while not ended.wait(0.02):
                    connection.sendall(b"X: 1\r\n")
            return "close"

        hop = RecordingHop(f"http://127.0.0.1:{serve(script).port}/", seconds=0.3)
        with pytest.raises(requests.RequestException):
            self.send(transport, hop)
        ended.set()
        assert time.monotonic() < hop.deadline + 2.0, "it ended long after the deadline"
        assert hop.steps == ["authorize", "sending"]

    @pytest.mark.parametrize("way", ["direct", "through a proxy over TLS"])
    def test_time_limits_hold_over_tls(
        self, transport: Transport, serve: Serve, authority: Authority, way: str
    ) -> None:
        """With TLS, also within the TLS of a proxy, missing headers meet the deadline, and a body must not stall."""
        ended = threading.Event()

        def script(connection: socket.socket, number: int) -> None:
            if number == 2:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
            ended.wait(30)

        with contextlib.ExitStack() as stack:
            server, proxy = serve(script, tls=authority.server_context(NAME, "127.0.0.1")), None
            url = f"https://127.0.0.1:{server.port}/"
            if way != "direct":
                self.needs_proxy("https")
                tls = authority.server_context("127.0.0.1")
                tunnel = stack.enter_context(contextlib.closing(TunnelProxy(server.port, tls=tls)))
                url, proxy = f"https://{NAME}/", f"https://127.0.0.1:{tunnel.port}"
            options = {"verify": authority.bundle, "proxy": proxy}
            hop = RecordingHop(url, seconds=0.5)
            with pytest.raises(requests.RequestException):
                self.send(transport, hop, **options)
            assert "received" not in hop.steps
            incoming = self.send(transport, RecordingHop(url), timeout=(5.0, 0.5), **options)
            buffer = memoryview(bytearray(100))
            assert bytes(buffer[: incoming.readinto(buffer)]) == b"hello"
            with pytest.raises(TimeoutError):
                incoming.readinto(buffer)
            incoming.close()
            ended.set()

    def test_a_host_that_takes_no_request_meets_the_deadline(self, transport: Transport, silent: int) -> None:
        """The deadline also ends a request that cannot be sent."""
        hop = RecordingHop(f"http://127.0.0.1:{silent}/", "POST", seconds=0.3)
        hop.request.prepare_body(bytes(32 << 20), None)
        with pytest.raises(requests.RequestException):
            self.send(transport, hop)
        assert hop.steps == ["authorize", "sending"]

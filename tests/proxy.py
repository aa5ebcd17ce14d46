"""A small HTTP proxy, for requests in absolute form and for tunnels (RFC 9110 sections 7.2 and 9.3.6)."""

from __future__ import annotations

import base64
import contextlib
import http.client
import selectors
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast
from urllib.parse import urlsplit

#: Headers that are a connection's own.
_OWN = {"connection", "proxy-connection", "proxy-authorization", "keep-alive", "transfer-encoding"}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _admitted(self) -> bool:
        self.server.asked.append(self.requestline)
        if self.server.credentials in (None, self.headers.get("Proxy-Authorization")):
            return True
        self.send_response(407)
        self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def _pass_on(self) -> None:
        if not self._admitted():
            return
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _OWN}
        upstream = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        with contextlib.closing(upstream):
            upstream.request(self.command, parts._replace(scheme="", netloc="").geturl() or "/", body, headers)
            response = upstream.getresponse()
            self.send_response_only(response.status, response.reason)
            for name, value in response.getheaders():
                if name.lower() not in _OWN:
                    self.send_header(name, value)
            data = response.read()
            if response.getheader("Content-Length") is None:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def do_CONNECT(self) -> None:
        if not self._admitted():
            return
        self.close_connection = True
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=30) as upstream:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                _relay(self.connection, upstream)
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.server.closed += 1


def _relay(one: socket.socket, other: socket.socket) -> None:
    """Pass on what comes at either end, until one of them has no more."""
    ends = {one: other, other: one}
    with selectors.DefaultSelector() as selector:
        for end in ends:
            selector.register(end, selectors.EVENT_READ)
        while ready := selector.select(30):
            for key, _ in ready:
                end = cast("socket.socket", key.fileobj)
                data = end.recv(65536)
                if not data:
                    return
                ends[end].sendall(data)


class Proxy(ThreadingHTTPServer):
    """A proxy on a free port of this machine.

    Parameters
    ----------
    user
        ``NAME:PASSWORD`` that it asks for; None for nobody's.

    Attributes
    ----------
    asked
        The first line of each request.
    closed
        The tunnels that are closed; both ends know it.
    """

    daemon_threads = True

    def __init__(self, user: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.credentials = None if user is None else f"Basic {base64.b64encode(user.encode()).decode()}"
        self.asked: list[str] = []
        self.closed = 0
        self.url = f"http://{f'{user}@' if user else ''}127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

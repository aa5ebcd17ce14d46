"""The equipment of the suites for transports: the transport, servers, proxies, and a hop that notes what it reports."""

from __future__ import annotations

import contextlib
import itertools
import math
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast

import pytest
import requests

from argosy.interfaces import Hop, Incoming, PluginContext, ResponseHeaders, Transport
from argosy_devkit.contracts.plugin_suite import PluginSuite, make_plugin

#: Seconds to connect, and between two pieces of a body.
TIMEOUT = (5.0, 5.0)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

#: What a server does with one request: it gets the connection and the request's number.
Script = Callable[[socket.socket, int], object]


class _Server:
    """Listens on a free port, and handles each connection in a thread."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._mutex = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no more connections, and close those that are open."""
        self._listener.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connections that are open."""
        with self._mutex:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)  # without the end of TLS

    def _accept(self) -> None:
        for number in itertools.count(1):
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=(connection, number), daemon=True).start()

    def _handle(self, connection: socket.socket, number: int) -> None:
        with self._mutex:
            self._open.add(connection)
        with contextlib.suppress(OSError), connection:
            self._serve(connection, number)
        with self._mutex:
            self._open.discard(connection)

    def _serve(self, connection: socket.socket, number: int) -> None:
        raise NotImplementedError


class ScriptedServer(_Server):
    """A server that runs a script for each request, and keeps the requests and the numbers of their connections.

    The script returns None to keep the connection open. `accepted` are the connections that are up, with TLS; `ended` those
    that the client has closed.
    """

    def __init__(self, script: Script | bytes, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self._script = script if callable(script) else lambda connection, number: connection.sendall(script)
        self._tls = tls
        self.requests: list[bytes] = []
        self.connections: list[int] = []
        self.accepted: set[int] = set()
        self.ended: set[int] = set()
        self._numbers = itertools.count(1)
        super().__init__(host)

    def _serve(self, connection: socket.socket, number: int) -> None:
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True)
            with self._mutex:
                self._open.add(connection)
        self.accepted.add(number)
        with connection:
            while head := _head(connection):
                with self._mutex:
                    self.requests.append(head)
                    self.connections.append(number)
                    count = next(self._numbers)
                if self._script(connection, count) is not None:
                    return
        self.ended.add(number)


class TunnelProxy(_Server):
    """An HTTP proxy whose tunnels all lead to one port of this machine, whatever name they ask for.

    `answer` is its response to CONNECT; None for no response. `heads` are the requests that it has received.
    """

    def __init__(
        self,
        target: int,
        answer: bytes | None = b"HTTP/1.1 200 Connected\r\n\r\n",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._target = target
        self._answer = answer
        self._tls = tls
        self.heads: list[bytes] = []
        super().__init__()

    def _serve(self, connection: socket.socket, number: int) -> None:
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True)
        with connection:
            self.heads.append(_head(connection))
            if self._answer is None:
                connection.recv(1)  # until the client gives up
                return
            connection.sendall(self._answer)
            if self._answer.split()[1:2] == [b"200"]:
                with socket.create_connection(("127.0.0.1", self._target)) as upstream:
                    _relay(connection, upstream)


class SocksProxy(_Server):
    """A SOCKS5 proxy (RFC 1928) whose connections all lead to one port of this machine.

    `asked` are the hosts and ports that clients asked for: a name, or an address that the client has looked up; `logins`
    are the users and passwords (RFC 1929) that they gave. `reply` is the code of its answers: 0 if it connects, 5 if the
    host refuses.
    """

    def __init__(self, target: int, reply: int = 0) -> None:
        self._target = target
        self._reply = reply
        self.asked: list[tuple[str, int]] = []
        self.logins: list[tuple[str, str]] = []
        super().__init__()

    def _serve(self, connection: socket.socket, number: int) -> None:
        _, methods = _exactly(connection, 2)
        needs_login = 2 in _exactly(connection, methods)
        connection.sendall(b"\x05\x02" if needs_login else b"\x05\x00")
        if needs_login:
            _exactly(connection, 1)
            user, password = (_exactly(connection, _exactly(connection, 1)[0]).decode() for _ in range(2))
            self.logins.append((user, password))
            connection.sendall(b"\x01\x00")
        _, _, _, kind = _exactly(connection, 4)
        if kind == 3:
            host = _exactly(connection, _exactly(connection, 1)[0]).decode()
        else:
            family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, _exactly(connection, size))
        self.asked.append((host, int.from_bytes(_exactly(connection, 2), "big")))
        connection.sendall(bytes([5, self._reply, 0, 1, 0, 0, 0, 0, 0, 0]))
        if self._reply == 0:
            with socket.create_connection(("127.0.0.1", self._target)) as upstream:
                _relay(connection, upstream)


class Serve(Protocol):
    """Starts a scripted server, over TLS if it gets a context."""

    def __call__(self, script: Script | bytes, tls: ssl.SSLContext | None = None) -> ScriptedServer:
        """Start it."""


class Authority:
    """A certificate authority of a test; `bundle` is the file with its certificate."""

    def __init__(self, folder: Path) -> None:
        trustme = pytest.importorskip("trustme", reason="needs trustme (pip install trustme)")
        self._authority = trustme.CA()
        self.bundle = str(folder / "authority.pem")
        self._authority.cert_pem.write_to_path(self.bundle)

    def server_context(self, *names: str) -> ssl.SSLContext:
        """Return the TLS context of a server with a certificate for these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*names).configure_cert(context)
        return context

    def demand_client(self, context: ssl.SSLContext, folder: Path) -> str:
        """Have a server demand a client's certificate; return the file with such a certificate and its key."""
        context.verify_mode = ssl.CERT_REQUIRED
        self._authority.configure_trust(context)
        path = str(folder / "client.pem")
        self._authority.issue_cert("client.example").private_key_and_cert_chain_pem.write_to_path(path)
        return path


class RecordingHop(Hop):
    """A hop that notes its steps, and says when the headers were reported."""

    def __init__(self, url: str, method: str = "GET", seconds: float = 10.0) -> None:
        request = requests.Request(method, url, headers={"User-Agent": "contract"}).prepare()
        self.request = request
        self.deadline = math.inf
        self.credentials = {"Cookie": "token=1"}
        self.steps: list[str] = []
        self.headers: ResponseHeaders | None = None
        self.reported = threading.Event()
        self.error: tuple[str, Exception] | None = None  # raised in a step
        self.on_authorize: Callable[[], object] = lambda: None
        self.query = ""  # added to the URL
        self.body: bytes | None = None  # instead of the request's
        self._seconds = seconds

    def authorize(self) -> requests.PreparedRequest:
        """Return the request with its credentials."""
        self._step("authorize")
        self.on_authorize()
        self.deadline = time.monotonic() + self._seconds
        request = self.request.copy()
        request.headers.update(self.credentials)
        request.url = f"{request.url}{self.query}"
        if self.body is not None:
            request.prepare_body(self.body, None)
        return request

    def sending(self) -> None:
        """Raise the second time."""
        if "sending" in self.steps:
            raise ConnectionResetError("sent before")
        self._step("sending")

    def received(self, headers: ResponseHeaders) -> None:
        """Keep the headers."""
        self._step("received")
        self.headers = headers
        self.reported.set()

    def values(self, name: str) -> list[str]:
        """Return the values of the response's header fields with a name."""
        assert self.headers is not None, "the headers were not reported"
        return [value for each, value in self.headers.fields if each.lower() == name.lower()]

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if self.error is not None and self.error[0] == name:
            raise self.error[1]


class TransportSuite(PluginSuite):
    """Each test creates the transport, and servers that do what the test needs."""

    plugin: ClassVar[type[Transport]]
    documented = "argosy.Transport (docs/plugins/contracts.md)"

    @pytest.fixture
    def transport(self, given: Mapping[str, Any], context: PluginContext) -> Any:
        """Create the transport."""
        transport = make_plugin(self.plugin, given, context)
        yield transport
        transport.close()

    @pytest.fixture
    def serve(self) -> Iterator[Serve]:
        """Start scripted servers."""
        with contextlib.ExitStack() as servers:
            yield lambda script, tls=None: servers.enter_context(contextlib.closing(ScriptedServer(script, tls)))

    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        """Create a certificate authority."""
        return Authority(tmp_path)

    def send(self, transport: Transport, hop: Hop, **options: Any) -> Incoming:
        """Send the request of a hop."""
        return transport.send(hop, **{"timeout": TIMEOUT, "verify": True, "proxy": None, **options})

    def needs_proxy(self, scheme: str) -> None:
        """Skip a test if the transport cannot use proxies of a scheme."""
        if scheme not in self.plugin.proxy_schemes:
            pytest.skip(f"the transport {self.plugin.name} cannot use {scheme} proxies")


def body_of(incoming: Incoming, size: int = 65536) -> bytes:
    """Return the whole body, and end the response."""
    parts, buffer = [], memoryview(bytearray(size))
    try:
        while count := incoming.readinto(buffer):
            parts.append(bytes(buffer[:count]))
    finally:
        incoming.close()
    return b"".join(parts)


def _head(connection: socket.socket) -> bytes:
    """Receive a request with its body; return nothing if the connection is closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def _exactly(connection: socket.socket, size: int) -> bytes:
    """Receive so many bytes."""
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionResetError
        data += more
    return data


def _relay(one: socket.socket, other: socket.socket) -> None:
    """Pass on what comes at either end, until one of them has no more."""
    ends: dict[Any, socket.socket] = {one: other, other: one}
    with selectors.DefaultSelector() as selector:
        for end in ends:
            selector.register(end, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                end = cast("socket.socket", key.fileobj)
                data = end.recv(65536)
                if not data:
                    return
                ends[end].sendall(data)

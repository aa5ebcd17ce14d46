"""The default transport: HTTP/1.1 over urllib3's connections, for TLS and proxies as requests does them.

`RequestsTransport.send` is the way of one request. It crosses neither requests' nor urllib3's layers for pools, retries and
responses, which take longer than a small file.
"""

from __future__ import annotations

import contextlib
import http.client
import math
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import requests
from requests import exceptions
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_auth_from_url, urldefragauth
from urllib3 import make_headers
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.exceptions import SSLError as Urllib3SSLError
from urllib3.poolmanager import ProxyConfig  # type: ignore[attr-defined]  # not in __all__
from urllib3.util import parse_url
from urllib3.util.ssl_ import create_urllib3_context
from urllib3.util.wait import wait_for_read

import argosy
from argosy.interfaces import Hop, Incoming, Transport
from argosy_plugins.transports._messages import Response, Stream, Wire, request_head

#: Seconds after which an idle connection is closed instead of used. Servers close idle connections after 5 s (Node's
#: default) or later, and a request sent into a closing connection is in doubt.
MAX_IDLE = 4.0

#: Idle connections that are kept.
MOST_IDLE = 256

#: Responses lost on reused connections, after which a server's connections serve one request each. Some servers close
#: each connection a moment after a response without ``Connection: close``.
MAX_LOST = 2

_PORTS = {"http": 80, "https": 443}

#: What connections are told apart by: the origin, `verify`, `cert` and the proxy.
_Key = tuple[str, bool | str, str | tuple[str, str] | None, str | None]


class _Socket(HTTPConnection):
    """Opens a connection, perhaps through a proxy, whose response to CONNECT is bounded like any other."""

    def response_class(self, sock: Any, method: str) -> Response:  # type: ignore[override]  # http.client calls it
        wire = Wire(sock, by_kernel=False)  # a TLS handshake follows
        wire.deadline = time.monotonic() + (math.inf if self.timeout is None else float(self.timeout))
        return Response(Stream(wire), method)


class _TlsSocket(_Socket, HTTPSConnection):
    """The same over TLS."""


class _Connection:
    """One connection to a server, or through a proxy to it."""

    def __init__(self, key: _Key, context: Callable[[_Key, bool], ssl.SSLContext]) -> None:
        self.key = key
        origin, _, _, self.proxy = key
        parts = urlsplit(origin)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("neither http nor https, or no host")
        self.is_reused = False
        self.used = 0.0  # when it was opened or last used, on the monotonic clock
        self.is_forwarding = self.proxy is not None and parts.scheme == "http"
        self.host = parts.netloc.rpartition("@")[2].removesuffix(f":{_PORTS[parts.scheme]}")
        self.server = (parts.hostname or "", parts.port or _PORTS[parts.scheme])
        self._scheme = parts.scheme
        self._context = context
        self._close: Callable[[], object] = lambda: None  # nothing is open

    def open(self, seconds: float) -> None:
        """Connect; raise a `requests.RequestException` if that fails."""
        (host, port), scheme, proxy = self.server, self._scheme, None
        options: dict[str, Any] = {"timeout": None if seconds == math.inf else seconds}
        if self.proxy is not None:
            proxy = parse_url(self.proxy)
            options |= {"proxy": proxy, "proxy_config": ProxyConfig(self._context(self.key, True), False, None, None)}
            host, port = proxy.host or "", proxy.port or _PORTS[proxy.scheme or "http"]
            scheme = "https" if "https" in (proxy.scheme, scheme) else "http"
        cls: Any = _Socket
        if scheme == "https":
            cls, options["ssl_context"] = _TlsSocket, self._context(self.key, False)
        socket: HTTPConnection = cls(host.strip("[]"), port, **options)
        self._close = weakref.finalize(self, socket.close)  # many programs close neither responses nor sessions
        if proxy is not None and not self.is_forwarding:
            socket.set_tunnel(*self.server, headers=self.proxy_headers(), scheme=proxy.scheme or "http")
        try:
            socket.connect()
        except (OSError, HTTPError, http.client.HTTPException, ValueError) as error:
            socket.close()
            raise _connect_error(error, by_proxy=proxy is not None and not _is_of_server(error)) from error
        self.wire = Wire(socket.sock)
        self.stream = Stream(self.wire)
        self.used, self.is_reused = time.monotonic(), False

    def proxy_headers(self) -> dict[str, str]:
        """Return the header fields for the proxy alone."""
        user, password = get_auth_from_url(self.proxy or "")
        return make_headers(proxy_basic_auth=f"{user}:{password}") if user else {}

    def is_closed(self) -> bool:
        """Return whether the server has closed the connection, or sent something that nobody asked for."""
        return wait_for_read(self.wire.socket, timeout=0.0)

    def close(self) -> None:
        """Close it."""
        self._close()


class Losses:
    """The responses that were lost on reused connections."""

    def __init__(self) -> None:
        self._times: dict[tuple[str, int], list[float]] = {}

    def are_many(self, server: tuple[str, int]) -> bool:
        """Return whether a server's connections should serve one request each."""
        return len(self._times.get(server, ())) >= MAX_LOST

    def note(self, server: tuple[str, int], sent: float) -> None:
        """Record when a request was sent that got no response."""
        times = self._times.setdefault(server, [])
        if not times or sent > times[-1]:  # a server that restarts loses all requests under way together
            times.append(time.monotonic())


class RequestsTransport(Transport):
    """HTTP/1.1 over urllib3's connections."""

    name = "requests"
    summary = "HTTP/1.1 with the libraries that requests uses"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._mutex = threading.Lock()
        self._idle: dict[_Key, list[_Connection]] = {}
        self._all_idle: dict[_Connection, None] = {}  # the longest idle one first
        self._contexts: dict[Any, ssl.SSLContext] = {}
        self._losses = Losses()

    def send(
        self,
        hop: Hop,
        *,
        timeout: tuple[float, float],
        verify: bool | str,
        proxy: str | None,
        cert: str | tuple[str, str] | None = None,
    ) -> Incoming:
        """Send the request of a hop.

        The connection is up before the hop takes the session, so nobody waits for a handshake.
        """
        url = hop.request.url or ""
        key = ("/".join(url.split("/", 3)[:3]), verify, cert, proxy)
        is_single = str(hop.request.headers.get("Connection", "")).lower() == "close"
        connection = self._connection(key, timeout[0], is_single=is_single)
        try:
            request = hop.authorize()
            # it may have waited long for its turn; readable bytes on a new connection are TLS tickets, not a close
            if self._is_spent(connection) or (connection.is_reused and connection.is_closed()):
                connection.close()
                connection.open(timeout[0])
            data = _message(request, connection)
            sent = time.monotonic()
            wire = connection.wire
            wire.deadline = hop.deadline
            with _network_errors():
                if sent >= hop.deadline:
                    raise TimeoutError("the deadline passed before the request was sent")
                hop.sending()
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the response may be there
                    for piece in data:
                        wire.send(piece)
                response = Response(connection.stream, request.method or "")
                try:
                    response.begin()
                except ConnectionError:
                    if connection.is_reused:
                        self._losses.note(connection.server, sent)
                    raise
            hop.received(response.head)
        except BaseException:
            connection.close()
            raise
        response.will_close = response.will_close or is_single
        return _Body(self, connection, response, timeout[1])

    def close(self) -> None:
        """Close the idle connections."""
        with self._mutex:
            connections = list(self._all_idle)
            self._all_idle.clear()
            self._idle.clear()
        for connection in connections:
            connection.close()

    def keep(self, connection: _Connection) -> None:
        """Take a connection back for another request."""
        connection.used, connection.is_reused = time.monotonic(), True
        with self._mutex:
            self._idle.setdefault(connection.key, []).append(connection)
            self._all_idle[connection] = None
            oldest = next(iter(self._all_idle)) if len(self._all_idle) > MOST_IDLE else None
            if oldest is not None:
                self._remove(oldest)
        if oldest is not None:
            oldest.close()

    def _connection(self, key: _Key, seconds: float, *, is_single: bool) -> _Connection:
        """Return a connection that is open, as far as is known."""
        while not is_single:
            with self._mutex:
                idle = self._idle.get(key)
                if not idle:
                    break
                connection = idle[-1]
                self._remove(connection)
            if not self._is_spent(connection):
                return connection
            connection.close()
        try:
            connection = _Connection(key, self._context)
        except ValueError:  # its text may have parts of the URL
            raise exceptions.InvalidURL("not a URL of http or https with a host") from None
        connection.open(seconds)
        return connection

    def _remove(self, connection: _Connection) -> None:
        del self._all_idle[connection]
        idle = self._idle[connection.key]
        idle.remove(connection)
        if not idle:
            del self._idle[connection.key]

    def _is_spent(self, connection: _Connection) -> bool:
        """Return whether it must not serve another request, as far as we know without looking at the socket."""
        if time.monotonic() - connection.used > MAX_IDLE:
            return True
        return connection.is_reused and self._losses.are_many(connection.server)

    def _context(self, key: _Key, of_proxy: bool) -> ssl.SSLContext:
        """Return the TLS settings for a server or its proxy, which does not see the client's certificate.

        They are kept, because loading the certificate authorities takes longer than a handshake.
        """
        verify, cert = key[1], None if of_proxy else key[2]
        with self._mutex:
            context = self._contexts.get((verify, cert))
            if context is None:
                context = create_urllib3_context()
                if not verify:
                    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                else:
                    context.load_verify_locations(verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH)
                if cert is not None:
                    context.load_cert_chain(*((cert,) if isinstance(cert, str) else cert))
                self._contexts[verify, cert] = context
            return context


class _Body(Incoming):
    """The body of a response; at its end, the connection is free for another request."""

    def __init__(
        self, transport: RequestsTransport, connection: _Connection, response: Response, seconds: float
    ) -> None:
        self._transport = transport
        self._connection: _Connection | None = connection
        self._response = response
        self._seconds = seconds
        if response.fp is None:  # there is none
            self._end()

    def readinto(self, buffer: memoryview) -> int:
        """Store the bytes that are there."""
        if self._connection is None:
            return 0
        self._connection.wire.deadline = time.monotonic() + self._seconds
        try:
            count = self._response.readinto1(buffer)
        except http.client.HTTPException as error:
            self.close()
            raise OSError("the body is incomplete or damaged") from error
        except BaseException:
            self.close()
            raise
        if self._response.fp is None:
            self._end()
        return count

    def close(self) -> None:
        """Close the connection, unless the body was read to its end."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _end(self) -> None:
        self.has_excess = self._response.has_excess
        if self._response.will_close or self.has_excess:
            self.close()
            return
        connection, self._connection = self._connection, None
        assert connection is not None  # noqa: S101 - it ends once
        self._transport.keep(connection)


def _message(request: requests.PreparedRequest, connection: _Connection) -> Iterator[bytes]:
    """Return the bytes of a request, in pieces."""
    url, prefix, fields = request.url or "", connection.key[0], request.headers
    target = url[len(prefix) :]
    if connection.is_forwarding:
        target = urldefragauth(url)
    elif target[:1] != "/" or "#" in target or not url.startswith(prefix):
        target = request.path_url
    own = [] if "Host" in fields else [("Host", connection.host)]
    if connection.is_forwarding:
        own += connection.proxy_headers().items()
    body: Any = request.body
    is_chunked = body is not None and "Content-Length" not in fields
    if is_chunked and "Transfer-Encoding" not in fields:
        own.append(("Transfer-Encoding", "chunked"))
    head = request_head(request.method or "", target, [*own, *fields.items()])
    return _pieces(head, body, is_chunked=is_chunked)


def _pieces(head: bytes, body: Any, *, is_chunked: bool) -> Iterator[bytes]:
    if body is None or isinstance(body, str | bytes):
        body = body.encode() if isinstance(body, str) else body or b""
        if not is_chunked:
            yield head + body
            return
        body = [body]
    yield head
    blocks = iter(lambda: body.read(65536), type(body.read(0))()) if hasattr(body, "read") else body
    for block in blocks:
        data = block.encode() if isinstance(block, str) else bytes(block)
        if not is_chunked:
            yield data
        elif data:
            yield b"%x\r\n%b\r\n" % (len(data), data)
    if is_chunked:
        yield b"0\r\n\r\n"


@contextlib.contextmanager
def _network_errors() -> Iterator[None]:
    """Turn the errors of sending a request and of receiving headers into those of requests."""
    try:
        yield
    except TimeoutError as error:
        raise exceptions.ReadTimeout(error) from error
    except ssl.SSLError as error:
        raise exceptions.SSLError(error) from error
    except (OSError, http.client.HTTPException) as error:
        raise exceptions.ConnectionError(error) from error


def _is_of_server(error: Exception) -> bool:
    """Return whether an error on the way through a proxy is of the server behind it: TLS refuses the wrong one."""
    return isinstance(error, ssl.SSLError | Urllib3SSLError | ssl.CertificateError)


def _connect_error(error: Exception, *, by_proxy: bool) -> requests.RequestException:
    """Return the error of requests for a connection that could not be made."""
    if isinstance(error, ssl.SSLError | Urllib3SSLError | ssl.CertificateError):
        return exceptions.SSLError(error)
    if by_proxy:
        return exceptions.ProxyError(error)
    if isinstance(error, ValueError):
        return exceptions.InvalidURL("not a valid URL")
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return exceptions.ConnectTimeout(error)
    return exceptions.ConnectionError(error)


@argosy.hookimpl
def argosy_transport() -> type[Transport]:
    """Register the transport."""
    return RequestsTransport

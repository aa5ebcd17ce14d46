"""What is known about the one request a thread is sending, and the hard deadline on it.

urllib3 makes and reuses connections deep below the adapter. The adapter leaves a `Sending` in a context
variable; our connection class finds it there, takes the lease when the connection stands and the request is ready,
counts the bytes that went out, and puts its socket under the deadline. So the adapter knows whether a failed request can have reached the server.

Signing a request with what an auth plugin's signer adds, once the request has its lease.

The thread that watches the deadlines of requests.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import partial
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.exceptions import InvalidProxyURL
from urllib3 import ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import BaseHTTPResponse

from argosy.errors import PluginError
from argosy.http.body import Body, is_plain
from argosy.http.limits import INTERIM, BodyLimits, Stream, TooMuch, Wire, wire_of
from argosy.http.network import charset_of
from argosy.leasing.lease import Lease
from argosy.models.session import origin_of
from argosy.toolkit.failures import describe_exception

#: Seconds a connection may lie idle before it is made anew. Servers close idle connections after 5 s (Node's
#: default) or later; a request sent into a connection that is just being closed is in doubt.
MAX_IDLE = 4.0

#: Answers lost on a connection that had served before, after which a server's connections serve one request each.
MOST_LOST = 2


class NotSent(Exception):
    """Carries what went wrong when the lease was taken through urllib3, which would take some of it for its own."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class Sending:
    """One request on its way.

    Parameters
    ----------
    seconds
        How long send and headers may take, from the moment the lease is granted.
    watchdog
        Cuts the connection then.
    url
        Where it goes.
    lend
        Returns the lease of the request once it is its turn.
    check
        Raises if the request must not be sent any more; called right before its first byte.
    request
        What is sent; it says whether an auth plugin signs it.
    """

    def __init__(
        self,
        seconds: float,
        watchdog: Watchdog,
        url: str,
        lend: Callable[[], Lease],
        check: Callable[[], None],
        request: requests.PreparedRequest,
    ) -> None:
        self.url = url
        self.bare = False  # whether it carries no credentials, whatever the session has for its URL
        self.request = request
        self._signing = False  # whether a plugin's signer is at work
        self.sent_at = 0.0  # seconds since the epoch
        self.deadline = float("inf")
        self.expired = False
        self.bytes_out = 0
        self.lease: Lease | None = None
        self._seconds = seconds
        self._watchdog = watchdog
        self._lend = lend
        self._check = check
        self._sock: socket.socket | None = None
        self._mutex = threading.Lock()

    def bind(self) -> Lease:
        """Take the lease, last of all.

        Raises
        ------
        NotSent
            If there is none to be had.
        """
        if self.lease is None:  # a second one would wait for the first
            outer = current.set(None)  # it may take a login, whose requests are not this one
            try:
                self.lease = self._lend()
            except Exception as error:
                raise NotSent(error) from None
            finally:
                current.reset(outer)
            self.sent_at = time.time()
            self.deadline = time.monotonic() + self._seconds
        return self.lease

    def check(self) -> None:
        """Return if the request may still be sent: the run may have been stopped while it waited for the lease.

        Raises
        ------
        NotSent
            If it may not.
        """
        try:
            self._check()
        except Exception as error:
            raise NotSent(error) from None

    def fields(self, lease: Lease) -> tuple[Mapping[str, str], requests.PreparedRequest | None]:
        """Return the header fields that say who asks, and the signed request if there is a signer.

        A signer works under the lease, and loses it if it has not returned by the deadline.

        Raises
        ------
        NotSent
            If the signer fails; nothing was sent.
        """
        credentials = {} if self.bare else lease.credentials(self.url)
        signing = signing_of(self.request)
        if signing is None or self.bare:
            return credentials, None
        self._signing = True
        self._watchdog.watch(self)
        try:
            return signing.sign(self.request, dict(credentials))
        except PluginError as error:
            raise NotSent(error) from None
        finally:
            with self._mutex:
                in_time, self._signing = self._signing, False
            if not in_time:
                raise NotSent(signing.signer.fault(f"did not return within {self._seconds:g} s"))
            self._watchdog.forget(self)

    def begin(self, sock: socket.socket) -> None:
        """Put the socket that the request goes through under the deadline.

        Raises
        ------
        TimeoutError
            If the deadline is over already; nothing was sent.
        """
        if self._sock is sock:
            return
        if time.monotonic() >= self.deadline:
            self.expired = True
            raise TimeoutError("the deadline was over before anything was sent")
        self._sock = sock
        self._watchdog.watch(self)

    def finish(self) -> None:
        """Take the socket out of the deadline: the headers are in, or the request failed."""
        with self._mutex:
            sock, self._sock = self._sock, None
        if sock is not None:
            self._watchdog.forget(self)

    def expire(self) -> None:
        """Cut the connection; a thread that waits on it fails at once. Or take the lease from a signer."""
        with self._mutex:
            if self._signing and self.lease is not None:
                self._signing = False
                self.lease.unsent()
                self.lease.end(complete=False)
                return
            sock, self._sock = self._sock, None
            if sock is None:
                return
            self.expired = True
            with contextlib.suppress(OSError):
                # the base class's method: ssl's own would drop its state under the reading thread
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class Reuse:
    """Which servers' connections may serve more than one request.

    Some servers close each connection a moment after an answer that does not say ``Connection: close``. A request that
    goes out just then gets no answer, and nobody knows which token is good.

    Parameters
    ----------
    allowed
        Whether any connection may; for a login, none does, as a form that was lost may have been taken.
    """

    def __init__(self, *, allowed: bool = True) -> None:
        self._allowed = allowed
        self._lost: dict[tuple[str, int], list[float]] = {}

    def allows(self, server: tuple[str, int]) -> bool:
        """Return whether a connection to a server may serve another request."""
        return self._allowed and len(self._lost.get(server, ())) < MOST_LOST

    def lost(self, server: tuple[str, int], sent: float) -> None:
        """Say that a request got no answer on a connection that had served before.

        Parameters
        ----------
        server
            Its host and port.
        sent
            When the request was sent, on the monotonic clock. What was under way at an earlier loss was lost with it:
            a server that restarts loses all requests at once.
        """
        times = self._lost.setdefault(server, [])
        if not times or sent > times[-1]:
            times.append(time.monotonic())


#: The request that the current thread is sending, if it goes through an adapter of ours.
current: ContextVar[Sending | None] = ContextVar("argosy_sending", default=None)


class _Response(http.client.HTTPResponse):
    """Takes no interim response for the final one, and neither broken nor cut headers for the end of them."""

    #: Whether more bytes came than the response has: its length was wrong.
    left_over = False

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp: Any = Stream(Wire(self.fp.detach()))
        self._interim = 0

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            self.fp.begin_headers(False)
            status: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]  # not in the stubs
            self.fp.begin_headers()
            self._interim += 100 <= status[1] < 200
            if self._interim > INTERIM:
                raise TooMuch(f"the server sent more than {INTERIM} interim answers")
            if not 102 <= status[1] < 200:
                return status
            http.client.parse_headers(self.fp)  # 103 Early Hints (RFC 8297): the answer is still to come

    def _close_conn(self) -> None:
        """Look, at the body's end, whether that is all; if not, the connection is of no use any more."""
        if self.length == 0:
            wire: Wire = self.fp.wire
            wire.begin_body(BodyLimits())  # it is whole: nothing can be late any more
            timeout = wire.sock.gettimeout()
            with contextlib.suppress(OSError):
                # what has not come yet is found when the connection is to be used again
                wire.sock.settimeout(0)
                try:
                    self.left_over = bool(self.fp.peek(1))
                finally:
                    wire.sock.settimeout(timeout)
                if self.left_over:
                    socket.socket.shutdown(wire.sock, socket.SHUT_RDWR)
        super()._close_conn()  # type: ignore[misc]  # not in the stubs


def _bound(
    connection: HTTPConnection, url: str, body: Any, headers: Mapping[str, str] | None
) -> tuple[str, Any, Mapping[str, str] | None]:
    """Return target, body and headers of a request with the newest token: the last thing before it goes out.

    The connection is made before, so that nobody waits for a handshake, and for none of what requests and urllib3
    do with a request, while this one holds the session.
    """
    sending = current.get()
    if sending is None:
        return url, body, headers
    if connection.sock is None:
        connection.connect()
    lease = sending.bind()
    if _is_old(connection):  # it waited long for its turn
        _renew(connection)
    credentials, signed = sending.fields(lease)
    sending.check()
    ours = {name.lower() for name in credentials}  # what the request brought along under such a name is older
    fields = {name: value for name, value in (headers or {}).items() if name.lower() not in ours}
    if signed is not None:  # a signature may be in the query or in the body
        before, after = sending.request.path_url, signed.path_url
        url = f"{url.removesuffix(before)}{after}" if before != after else url
        body = signed.body
    return url, body, {**fields, **credentials}


def _renew(connection: Any) -> None:
    """Make a connection anew, through its tunnel if it has one: urllib3 forgets that when it closes."""
    tunnel = {
        "host": connection._tunnel_host,
        "port": connection._tunnel_port,
        "headers": connection._tunnel_headers,
        "scheme": connection._tunnel_scheme,
    }
    connection.close()
    if tunnel["host"]:
        connection.set_tunnel(**tunnel)
    connection.connect()


def _is_old(connection: Any) -> bool:
    """Return whether the server may have closed a connection, or be about to.

    What can be read from a new one is no sign of that: TLS sends tickets when it likes.
    """
    return _is_spent(connection) or (connection.reused and not connection.is_connected)


def _is_spent(connection: Any) -> bool:
    """Return whether a connection serves no more requests, by what is known without a look at it."""
    idle = time.monotonic() - connection.used > MAX_IDLE
    return idle or (connection.reused and not connection.reuse.allows(connection.server))


def _send(connection: HTTPConnection, data: Any, send: Callable[[Any], None]) -> None:
    """Send as `http.client` does, but know how much the system took."""
    sending = current.get()
    if connection.sock is None:
        connection.connect()
    sock = connection.sock
    if sock is None or sending is None or sending.lease is None or not isinstance(data, bytes):
        send(data)
        return
    sending.begin(sock)
    view = memoryview(data)
    while view:
        taken = sock.send(view)
        sending.bytes_out += taken
        view = view[taken:]


class _PlainConnection(HTTPConnection):
    response_class = _Response
    #: When it was made or last used, on the monotonic clock.
    used = 0.0
    reused = False
    #: When its last request was sent, on the monotonic clock.
    sent = 0.0
    reuse = Reuse()

    @property
    def server(self) -> tuple[str, int]:
        """The host and port that it leads to, through a tunnel or not."""
        return self._tunnel_host or self.host, self._tunnel_port or self.port

    def connect(self) -> None:
        super().connect()
        self.used, self.reused = time.monotonic(), False

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> None:
        url, body, headers = _bound(self, url, body, headers)
        self.sent = time.monotonic()
        super().request(method, url, body, headers, **options)

    def getresponse(self):  # type: ignore[no-untyped-def]  # its type is neither http.client's nor public
        try:
            return super().getresponse()
        except ConnectionError:
            sending = current.get()
            if self.reused and not (sending is not None and sending.expired):
                self.reuse.lost(self.server, self.sent)
            raise

    def send(self, data: Any) -> None:
        _send(self, data, super().send)


class _TlsConnection(_PlainConnection, HTTPSConnection):
    """The same over TLS."""


class _FreshPool(HTTPConnectionPool):
    """Does not reuse a connection that has been idle for long, or that a server is about to close."""

    ConnectionCls: Any = _PlainConnection

    def __init__(self, *args: Any, reuse: Reuse, **options: Any) -> None:
        super().__init__(*args, **options)
        self._reuse = reuse

    def _new_conn(self):  # type: ignore[no-untyped-def]  # urllib3's own type is private
        connection: Any = super()._new_conn()
        connection.reuse = self._reuse
        return connection

    def _get_conn(self, timeout: float | None = None):  # type: ignore[no-untyped-def]  # urllib3's own type is private
        connection: Any = super()._get_conn(timeout)
        if connection.reused and _is_spent(connection):
            connection.close()
        return connection

    def _put_conn(self, conn):  # type: ignore[no-untyped-def]  # urllib3's own type is private
        if conn is not None:
            conn.used, conn.reused = time.monotonic(), True
        super()._put_conn(conn)


class _FreshTlsPool(_FreshPool, HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class Adapter(HTTPAdapter):
    """A Transport Adapter whose connections know the request that is sent on them, and bound what is answered.

    Parameters
    ----------
    reuse
        Says which connections may serve more than one request.
    options
        As for `requests.adapters.HTTPAdapter`.
    """

    #: The limits of each body.
    body_limits = BodyLimits()

    def __init__(self, reuse: Reuse, **options: Any) -> None:
        self._pool_classes: dict[str, Any] = {
            "http": partial(_FreshPool, reuse=reuse),
            "https": partial(_FreshTlsPool, reuse=reuse),
        }
        super().__init__(**options)

    def build_response(self, req: requests.PreparedRequest, resp: BaseHTTPResponse) -> requests.Response:
        """Make a response whose body is bounded, whoever reads it."""
        if (wire := wire_of(resp)) is not None:
            wire.begin_body(self.body_limits)
        response = super().build_response(req, resp)
        response.encoding = charset_of(response.encoding)
        if not is_plain(response):
            response.raw = Body(response.raw)
        return response

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Make the pools of connections through a proxy.

        Raises
        ------
        requests.exceptions.InvalidProxyURL
            If the proxy is none that speaks HTTP: its connections are no HTTP connections, and ours would lead past
            it.
        """
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not isinstance(manager, ProxyManager):
            raise InvalidProxyURL("an HTTP proxy is needed; SOCKS proxies cannot be used")
        manager.pool_classes_by_scheme = self._pool_classes
        return manager


#: The attribute of a prepared request that says how it is to be signed. Copies of a request do not have it.
_SIGNING = "argosy_signing"


class PluginSigner:
    """What an auth plugin adds to each request.

    Parameters
    ----------
    signer
        What the plugin gave.
    plugin
        The plugin's name, for messages.
    """

    def __init__(self, signer: AuthBase, plugin: str) -> None:
        self._signer = signer
        self._plugin = plugin

    def attach(self, request: requests.PreparedRequest) -> None:
        """Let a request be signed when it has its lease."""
        setattr(request, _SIGNING, Signing(self, request))

    def sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request in place, or return another one.

        Raises
        ------
        PluginError
            If the signer fails.
        """
        try:
            signed: object = self._signer(request)
        except (Exception, SystemExit) as error:
            raise self.fault(f"failed: {describe_exception(error, self._signer)}") from None
        if not isinstance(signed, requests.PreparedRequest):
            raise self.fault(f"returned {type(signed).__name__} instead of the request")
        if origin_of(signed.url or "") != origin_of(request.url or ""):
            raise self.fault("sent a request to another origin")
        return signed

    def fault(self, how: str) -> PluginError:
        """Return the error of a signer that broke its contract; nothing was sent."""
        return PluginError(
            f"The signer of the auth plugin {self._plugin!r} {how}.",
            hint="Report it to the plugin's author.",
            plugin=self._plugin,
        )


class Signing:
    """How one request is signed.

    Parameters
    ----------
    signer
        Signs it.
    request
        The request, not signed yet.
    """

    def __init__(self, signer: PluginSigner, request: requests.PreparedRequest) -> None:
        self.signer = signer
        self._hooks = {event: list(hooks) for event, hooks in request.hooks.items()}

    def attach(self, request: requests.PreparedRequest) -> None:
        """Let a redirect be signed anew, without the hooks that the signer gave the request before."""
        request.hooks = {event: list(hooks) for event, hooks in self._hooks.items()}
        setattr(request, _SIGNING, self)

    def sign(
        self, request: requests.PreparedRequest, credentials: dict[str, str]
    ) -> tuple[dict[str, str], requests.PreparedRequest]:
        """Return the header fields that say who asks, the credentials and what was added, and the signed request.

        The request itself gets the signer's hooks and nothing else.
        """
        copy = request.copy()
        copy.headers.update(credentials)
        signed = self.signer.sign(copy)
        if signed.body is not request.body:
            signed.prepare_content_length(signed.body)
        return {n: v for n, v in signed.headers.items() if request.headers.get(n) != v}, signed


def signing_of(request: requests.PreparedRequest) -> Signing | None:
    """Return how a request is to be signed, if it is."""
    signing: Signing | None = getattr(request, _SIGNING, None)
    return signing


def first_signing(response: requests.Response) -> Signing | None:
    """Return how the request behind a response was signed; a signer may have sent it again (Digest)."""
    found = map(signing_of, (response.request, *(hop.request for hop in reversed(response.history))))
    return next(filter(None, found), None)


#: Seconds after which the thread that watches deadlines ends where there are none.
IDLE = 60.0


class Watchdog:
    """A thread that expires sendings at their deadline; started with the first."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._watched: dict[Sending, None] = {}  # in the order of their coming
        self._wakes = 0.0  # when the thread looks again
        self._thread: threading.Thread | None = None

    def watch(self, sending: Sending) -> None:
        """Expire a sending at its deadline unless it is forgotten by then."""
        with self._condition:
            self._watched[sending] = None
            if self._thread is None:
                self._wakes = sending.deadline
                self._thread = threading.Thread(target=self._run, name="argosy-deadline", daemon=True)
                self._thread.start()
            elif sending.deadline < self._wakes:
                self._condition.notify()

    def forget(self, sending: Sending) -> None:
        """Leave a sending alone."""
        with self._condition:
            self._watched.pop(sending, None)

    def _run(self) -> None:
        while True:
            with self._condition:
                now = time.monotonic()
                late = [sending for sending in self._watched if sending.deadline <= now]
                for sending in late:
                    del self._watched[sending]
                if not late:
                    idle = not self._watched
                    self._wakes = min((s.deadline for s in self._watched), default=now + IDLE)
                    self._condition.wait(self._wakes - now)
                    if idle and not self._watched:
                        self._thread = None
                        return
            for sending in late:
                sending.expire()

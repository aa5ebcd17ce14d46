"""Connections that know the request sent on them.

urllib3 makes and reuses connections deep below the adapter. The adapter leaves a `Sending` in a context variable. Our
connection class finds it there: it takes the lease when the connection is up and the request is ready, counts the bytes
that went out, and puts its socket under the deadline. So the adapter knows whether a failed request can have reached
the server.
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
from requests.exceptions import InvalidProxyURL
from urllib3 import ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import BaseHTTPResponse

from argosy.http.body import Body, is_plain
from argosy.http.limits import MAX_INTERIM, BodyLimits, Stream, TooMuch, Wire, wire_of
from argosy.http.network import charset_of
from argosy.http.signing import signing_of
from argosy.leasing.lease import Lease

#: Seconds after which an idle connection is made anew. Servers close idle connections after 5 s (Node's default) or
#: later, and a request sent into a closing connection is in doubt.
MAX_IDLE = 4.0

#: Responses lost on reused connections, after which a server's connections serve one request each.
MAX_LOST = 2

#: Seconds after which an idle watchdog thread ends.
WATCHDOG_IDLE = 60.0


class NotSent(Exception):
    """Carries an error raised while taking the lease through urllib3, which would handle some of them itself."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class Sending:
    """One request being sent.

    Parameters
    ----------
    request
        The request.
    seconds
        How long send and headers may take once the lease is granted.
    watchdog
        Cuts the connection then.
    acquire
        Returns the lease when it is the request's turn.
    check
        Raises if the request must not be sent any more; called right before its first byte.
    bare
        Whether it carries no credentials, even if the session has some for its URL.
    """

    def __init__(
        self,
        request: requests.PreparedRequest,
        seconds: float,
        watchdog: Watchdog,
        acquire: Callable[[], Lease],
        check: Callable[[], None],
        *,
        bare: bool = False,
    ) -> None:
        self.request = request
        self.url = request.url or ""
        self.bare = bare
        self.sent_at = 0.0  # seconds since the epoch
        self.deadline = float("inf")
        self.expired = False
        self.bytes_out = 0
        self.lease: Lease | None = None
        self._seconds = seconds
        self._watchdog = watchdog
        self._acquire = acquire
        self._check = check
        self._signing = False  # whether a plugin's signer is running
        self._sock: socket.socket | None = None
        self._mutex = threading.Lock()

    def take_lease(self) -> Lease:
        """Take the lease, last of all.

        Raises
        ------
        NotSent
            If that fails.
        """
        if self.lease is None:  # a second lease would wait for the first
            outer = current.set(None)  # it may take a login, whose requests are not this one
            try:
                self.lease = self._acquire()
            except Exception as error:
                raise NotSent(error) from None
            finally:
                current.reset(outer)
            self.sent_at = time.time()
            self.deadline = time.monotonic() + self._seconds
        return self.lease

    def credentials(self, lease: Lease) -> tuple[Mapping[str, str], requests.PreparedRequest | None]:
        """Return the header fields with credentials, and the signed request if there is a signer.

        A signer runs under the lease, and loses it if it has not returned by the deadline.

        Raises
        ------
        NotSent
            If the signer fails, or the run was stopped while the request waited for its lease.
        """
        credentials = {} if self.bare else lease.credentials(self.url)
        signing, signed = signing_of(self.request), None
        try:
            if signing is not None and not self.bare:
                self._signing = True
                self._watchdog.watch(self)
                try:
                    credentials, signed = signing.sign(self.request, dict(credentials))
                finally:
                    with self._mutex:
                        in_time, self._signing = self._signing, False
                    if not in_time:
                        raise signing.signer.fault(f"did not return within {self._seconds:g} s")
                    self._watchdog.forget(self)
            self._check()
        except Exception as error:
            raise NotSent(error) from None
        return credentials, signed

    def begin(self, sock: socket.socket) -> None:
        """Put the request's socket under the deadline.

        Raises
        ------
        TimeoutError
            If the deadline has passed; nothing was sent.
        """
        if self._sock is sock:
            return
        if time.monotonic() >= self.deadline:
            self.expired = True
            raise TimeoutError("the deadline passed before anything was sent")
        self._sock = sock
        self._watchdog.watch(self)

    def finish(self) -> None:
        """Lift the deadline: the headers are in, or the request failed."""
        with self._mutex:
            sock, self._sock = self._sock, None
        if sock is not None:
            self._watchdog.forget(self)

    def expire(self) -> None:
        """Cut the connection, so that the waiting thread fails; or take the lease from a signer."""
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


#: The request that the current thread is sending through an adapter of ours.
current: ContextVar[Sending | None] = ContextVar("argosy_sending", default=None)


class Watchdog:
    """A thread that expires sendings at their deadline; started by the first one."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._watched: dict[Sending, None] = {}  # in order of arrival
        self._wakes = 0.0  # when the thread looks again
        self._thread: threading.Thread | None = None

    def watch(self, sending: Sending) -> None:
        """Expire a sending at its deadline, unless it is forgotten by then."""
        with self._condition:
            self._watched[sending] = None
            if self._thread is None:
                self._wakes = sending.deadline
                self._thread = threading.Thread(target=self._run, name="argosy-deadline", daemon=True)
                self._thread.start()
            elif sending.deadline < self._wakes:
                self._condition.notify()

    def forget(self, sending: Sending) -> None:
        """Stop watching a sending."""
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
                    self._wakes = min((s.deadline for s in self._watched), default=now + WATCHDOG_IDLE)
                    self._condition.wait(self._wakes - now)
                    if idle and not self._watched:
                        self._thread = None
                        return
            for sending in late:
                sending.expire()


class Reuse:
    """Which servers' connections may serve more than one request.

    Some servers close each connection a moment after a response without ``Connection: close``. A request sent just then
    gets no response, and the session is in doubt.

    Parameters
    ----------
    allowed
        Whether any connection may. Not for logins: a form whose response was lost may have been accepted.
    """

    def __init__(self, *, allowed: bool = True) -> None:
        self._allowed = allowed
        self._lost: dict[tuple[str, int], list[float]] = {}

    def allows(self, server: tuple[str, int]) -> bool:
        """Return whether a connection to a server may serve another request."""
        return self._allowed and len(self._lost.get(server, ())) < MAX_LOST

    def lost(self, server: tuple[str, int], sent: float) -> None:
        """Record that a request got no response on a reused connection.

        Parameters
        ----------
        server
            Its host and port.
        sent
            When the request was sent, on the monotonic clock. Requests under way at an earlier loss do not count: a
            server that restarts loses all requests together.
        """
        times = self._lost.setdefault(server, [])
        if not times or sent > times[-1]:
            times.append(time.monotonic())


class _Response(http.client.HTTPResponse):
    """Skips interim responses, and does not take broken or truncated headers for complete ones."""

    #: Whether more bytes came than the response announced.
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
            if self._interim > MAX_INTERIM:
                raise TooMuch(f"the server sent more than {MAX_INTERIM} interim responses")
            if not 102 <= status[1] < 200:
                return status
            http.client.parse_headers(self.fp)  # 103 Early Hints (RFC 8297): the final response follows

    def _close_conn(self) -> None:
        """At the end of the body, look for more bytes; if there are any, the connection is useless."""
        if self.length == 0:
            wire: Wire = self.fp.wire
            wire.begin_body(BodyLimits())  # nothing can be late any more
            timeout = wire.sock.gettimeout()
            with contextlib.suppress(OSError):
                # bytes that have not arrived yet are found when the connection is reused
                wire.sock.settimeout(0)
                try:
                    self.left_over = bool(self.fp.peek(1))
                finally:
                    wire.sock.settimeout(timeout)
                if self.left_over:
                    socket.socket.shutdown(wire.sock, socket.SHUT_RDWR)
        super()._close_conn()  # type: ignore[misc]  # not in the stubs


class _PlainConnection(HTTPConnection):
    response_class = _Response
    reuse = Reuse()
    reused = False
    #: When it was made or last used, and when its last request was sent, on the monotonic clock.
    used = sent = 0.0

    @property
    def server(self) -> tuple[str, int]:
        """The host and port that it leads to, through a tunnel or not."""
        return self._tunnel_host or self.host, self._tunnel_port or self.port

    @property
    def is_spent(self) -> bool:
        """Whether it must not serve another request, as far as we know without looking at the socket."""
        idle = time.monotonic() - self.used > MAX_IDLE
        return idle or (self.reused and not self.reuse.allows(self.server))

    def connect(self) -> None:
        super().connect()
        self.used, self.reused = time.monotonic(), False

    def _reconnect(self) -> None:
        """Connect again, through the same tunnel: urllib3 forgets it on close."""
        host, port = self._tunnel_host, self._tunnel_port
        headers = self._tunnel_headers  # type: ignore[attr-defined]  # http.client's, not in the stubs
        scheme = self._tunnel_scheme or "http"
        self.close()
        if host:
            self.set_tunnel(host, port, headers, scheme)
        self.connect()

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> None:
        """Add the newest token, and send: the connection is up before the lease is taken.

        So a request does not hold the session during a handshake, or while requests and urllib3 prepare it.
        """
        sending = current.get()
        if sending is not None:
            if self.sock is None:
                self.connect()
            lease = sending.take_lease()
            # it may have waited long for its turn; readable bytes on a new connection are TLS tickets, not a close
            if self.is_spent or (self.reused and not self.is_connected):
                self._reconnect()
            credentials, signed = sending.credentials(lease)
            ours = {name.lower() for name in credentials}  # the request's own fields of these names are older
            headers = {n: v for n, v in (headers or {}).items() if n.lower() not in ours} | dict(credentials)
            if signed is not None:  # the signature may be in the query or in the body
                before, after = sending.request.path_url, signed.path_url
                url = f"{url.removesuffix(before)}{after}" if before != after else url
                body = signed.body
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
        """Send as `http.client` does, but count the bytes that the system took."""
        sending = current.get()
        if self.sock is None:
            self.connect()
        sock = self.sock
        if sock is None or sending is None or sending.lease is None or not isinstance(data, bytes):
            super().send(data)
            return
        sending.begin(sock)
        view = memoryview(data)
        while view:
            taken = sock.send(view)
            sending.bytes_out += taken
            view = view[taken:]


class _TlsConnection(_PlainConnection, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    """Does not reuse connections that were idle for long, or that the server is about to close."""

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
        if connection.reused and connection.is_spent:
            connection.close()
        return connection

    def _put_conn(self, conn):  # type: ignore[no-untyped-def]  # urllib3's own type is private
        if conn is not None:
            conn.used, conn.reused = time.monotonic(), True
        super()._put_conn(conn)


class _TlsPool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class Adapter(HTTPAdapter):
    """A requests adapter on our connections, which bounds every response.

    Parameters
    ----------
    reuse
        Which connections may serve more than one request.
    options
        As for `requests.adapters.HTTPAdapter`.
    """

    #: The limits of each body.
    body_limits = BodyLimits()

    def __init__(self, reuse: Reuse, **options: Any) -> None:
        self._pool_classes = {"http": partial(_Pool, reuse=reuse), "https": partial(_TlsPool, reuse=reuse)}
        super().__init__(**options)

    def build_response(self, req: requests.PreparedRequest, resp: BaseHTTPResponse) -> requests.Response:
        """Build a response with a bounded body."""
        if (wire := wire_of(resp)) is not None:
            wire.begin_body(self.body_limits)
        response = super().build_response(req, resp)
        response.encoding = charset_of(response.encoding)
        if not is_plain(response):
            response.raw = Body(response.raw)
        return response

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the connection pools."""
        super().init_poolmanager(*args, **kwargs)
        manager: Any = self.poolmanager
        manager.pool_classes_by_scheme = self._pool_classes

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Make the connection pools for a proxy.

        Raises
        ------
        requests.exceptions.InvalidProxyURL
            If it is not an HTTP proxy: our connections would bypass it.
        """
        manager: Any = super().proxy_manager_for(proxy, **kwargs)
        if not isinstance(manager, ProxyManager):
            raise InvalidProxyURL("an HTTP proxy is needed; SOCKS proxies cannot be used")
        manager.pool_classes_by_scheme = self._pool_classes  # type: ignore[assignment]  # factories will do
        return manager

"""Connections that know the request sent on them.

urllib3 makes and reuses connections deep below the adapter, so the adapter leaves a `Sending` in a context variable. Our
connection takes its lease when the connection is up and the request is ready, counts the bytes that went out, and
enforces the deadline. So the adapter knows whether a failed request can have reached the server.
"""

from __future__ import annotations

import codecs
import http.client
import math
import threading
import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.exceptions import InvalidProxyURL
from urllib3 import HTTPHeaderDict, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import BaseHTTPResponse

from argosy.errors import PluginError
from argosy.http.body import Body, discard, is_plain
from argosy.http.limits import BodyLimits, Response, wire_of
from argosy.interfaces.transport import Hop, ResponseHeaders
from argosy.leasing.lease import Lease
from argosy.models.session import origin_of
from argosy.ratelimit.limiter import Permit
from argosy.toolkit.failures import describe_exception

if TYPE_CHECKING:
    from argosy.http.adapter import LeasedAdapter

#: Seconds after which an idle connection is made anew. Servers close idle connections after 5 s (Node's default) or
#: later, and a request sent into a closing connection is in doubt.
MAX_IDLE = 4.0

#: Responses lost on reused connections, after which a server's connections serve one request each.
MAX_LOST = 2

#: Python codecs that are not the character set of a page: some raise, some take quadratic time.
_NO_CHARSETS = frozenset({"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "utf-7"})


def is_downgraded(request: requests.PreparedRequest) -> bool:
    """Return whether a request goes over http because a redirect led there from https."""
    return getattr(request, "argosy_redirected_by", None) is not None


class PluginSigner:
    """Signs requests with the signer of an auth plugin, once they have their lease."""

    def __init__(self, signer: AuthBase, plugin: str) -> None:
        self._signer = signer
        self._plugin = plugin

    def attach(self, request: requests.PreparedRequest, redirected: requests.PreparedRequest | None = None) -> None:
        """Have a request signed when it gets its lease; if redirected, without the hooks of the first signature."""
        hooks: Any = getattr(redirected, "argosy_hooks", request.hooks)
        request.argosy_signer, request.argosy_hooks = self, hooks  # type: ignore[attr-defined]  # notes; not copied
        request.hooks = {event: list(each) for event, each in hooks.items()}

    def sign(
        self, request: requests.PreparedRequest, credentials: Mapping[str, str]
    ) -> tuple[dict[str, str], requests.PreparedRequest]:
        """Return the credentials and the fields that the signer added, and a signed copy of the request."""
        copy = request.copy()  # the request itself gets only the signer's hooks
        copy.headers.update(credentials)
        try:
            signed: object = self._signer(copy)
        except (Exception, SystemExit) as error:
            raise self.fault(f"failed: {describe_exception(error, self._signer)}") from None
        if not isinstance(signed, requests.PreparedRequest):
            raise self.fault(f"returned {type(signed).__name__} instead of the request")
        if origin_of(signed.url or "") != origin_of(request.url or ""):
            raise self.fault("sent a request to another origin")
        if signed.body is not request.body:
            signed.prepare_content_length(signed.body)
        return {n: v for n, v in signed.headers.items() if request.headers.get(n) != v}, signed

    def fault(self, how: str) -> PluginError:
        """Return the error of a signer that broke its contract; nothing was sent."""
        text = f"The signer of the auth plugin {self._plugin!r} {how}."
        return PluginError(text, hint="Report it to the plugin's author.", plugin=self._plugin)


class NotSent(Exception):
    """Carries an error raised before a request was sent through urllib3, which would handle some of them itself."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class Sending(Hop):
    """One request being sent by an adapter, through urllib3 or by a transport."""

    def __init__(self, request: requests.PreparedRequest, adapter: LeasedAdapter, permit: Permit) -> None:
        self.request = request
        self.url = request.url or ""
        self.bare = is_downgraded(request)  # without credentials, even if the session has some for its URL
        self.lease: Lease | None = None
        self.sent_at = 0.0  # seconds since the epoch
        self.deadline = math.inf  # for the headers of the response, on the monotonic clock
        self.is_ready = False  # whether bytes count as sent; those of a CONNECT do not
        self.bytes_out = 0
        self.headers: ResponseHeaders | None = None  # of the response, from a transport
        self._manager = adapter.manager
        self._permit = permit
        self._seconds = adapter.deadline  # for sending and the headers, once it has its lease

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self.deadline

    def take_lease(self) -> None:
        """Take the lease; the deadline runs from now on."""
        if self.lease is not None:  # a second lease would wait for the first
            return
        outer = current.set(None)  # it may take a login, whose requests are not this one
        try:
            self.lease = self._manager.lease(self.url, self._permit.admit)
        except Exception as error:
            raise NotSent(error) from None
        finally:
            current.reset(outer)
        self.sent_at = time.time()
        self.deadline = time.monotonic() + self._seconds

    def credentials(self) -> tuple[Mapping[str, str], requests.PreparedRequest]:
        """Return the header fields with credentials, and the request, signed if there is a signer."""
        assert self.lease is not None  # noqa: S101 - `take_lease` was called
        credentials, request = {} if self.bare else self.lease.credentials(self.url), self.request
        signer: PluginSigner | None = getattr(request, "argosy_signer", None)
        try:
            if signer is not None and not self.bare:
                credentials, request = self._sign(signer, self.lease, credentials)
            self._manager.check()
        except Exception as error:
            raise NotSent(error) from None
        self.is_ready = True
        return credentials, request

    def _sign(
        self, signer: PluginSigner, lease: Lease, credentials: Mapping[str, str]
    ) -> tuple[Mapping[str, str], requests.PreparedRequest]:
        """Sign under the lease; a signer that does not return loses it at the deadline, so others can send."""
        first = threading.Lock()  # taken by the signer that returns, or by the deadline

        def expire() -> None:
            if first.acquire(blocking=False):
                lease.unsent()
                lease.end(complete=False)

        timer = threading.Timer(self._seconds, expire)
        timer.daemon = True
        if lease.is_exclusive:
            timer.start()
        try:
            return signer.sign(self.request, credentials)
        finally:
            timer.cancel()
            if not first.acquire(blocking=False):
                timer.join()
                raise signer.fault(f"did not return within {self._seconds:g} s")

    def authorize(self) -> requests.PreparedRequest:
        """Take the lease for a transport, and return the request with its credentials."""
        self.take_lease()
        credentials, request = self.credentials()
        request = request.copy()
        request.headers.update(credentials)
        return request

    def sending(self) -> None:
        """Count the request as sent; a second time, somebody would send a token that may be replaced by now."""
        if self.bytes_out:
            raise ConnectionResetError("the connection was closed before the response")
        self.bytes_out = 1

    def received(self, headers: ResponseHeaders) -> None:
        """Settle the lease for a transport."""
        fields = HTTPHeaderDict(headers.fields)
        self.settle(fields.getlist("Set-Cookie"), fields.get("Date"))
        self.headers = headers

    def settle(self, cookies: Sequence[str], date: str | None) -> None:
        """Store the new token, and release the session unless the body has to come first: the headers are in."""
        assert self.lease is not None  # noqa: S101 - the request was sent
        self.lease.settle(() if self.bare else cookies, self.url, date)
        if not self.lease.to_end:
            self.lease.end()

    def time_left(self) -> float:
        """Return the seconds until the deadline; raise TimeoutError if it has passed."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline passed before everything was sent")
        return left


#: The request that the current thread is sending through an adapter of ours.
current: ContextVar[Sending | None] = ContextVar("argosy_sending", default=None)


class Reuse:
    """Which servers' connections may serve more than one request; for logins, none may (`allowed`).

    Some servers close each connection a moment after a response without ``Connection: close``. A request sent just then
    gets no response, so the session is in doubt, or a login form may have been accepted.
    """

    def __init__(self, *, allowed: bool = True) -> None:
        self._allowed = allowed
        self._lost: dict[tuple[str, int], list[float]] = {}

    def allows(self, server: tuple[str, int]) -> bool:
        """Return whether a connection to a server may serve another request."""
        return self._allowed and len(self._lost.get(server, ())) < MAX_LOST

    def lost(self, server: tuple[str, int], sent: float) -> None:
        """Record when a request was sent that got no response on a reused connection."""
        times = self._lost.setdefault(server, [])
        if not times or sent > times[-1]:  # a server that restarts loses all requests under way together
            times.append(time.monotonic())


class _PlainConnection(HTTPConnection):
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

    def response_class(self, *args: Any, **options: Any) -> Response:  # type: ignore[override]  # http.client calls it
        sending = current.get()
        return Response(*args, deadline=math.inf if sending is None else sending.deadline, **options)

    def connect(self) -> None:
        super().connect()
        self.used, self.reused = time.monotonic(), False

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> None:
        """Add the newest token, and send: the connection is up before the lease is taken.

        So a request does not hold the session during a handshake, or while requests prepares it.
        """
        sending = current.get()
        if sending is not None:
            if self.sock is None:
                self.connect()
            sending.take_lease()
            # it may have waited long for its turn; readable bytes on a new connection are TLS tickets, not a close
            if self.is_spent or (self.reused and not self.is_connected):
                http.client.HTTPConnection.close(self)  # urllib3's own forgets the tunnel
                self.connect()
            credentials, signed = sending.credentials()
            ours = {name.lower() for name in credentials}  # the request's own fields of these names are older
            headers = {n: v for n, v in (headers or {}).items() if n.lower() not in ours} | dict(credentials)
            if signed is not sending.request:  # the signature may be in the query or in the body
                before, after = sending.request.path_url, signed.path_url
                url = f"{url.removesuffix(before)}{after}" if before != after else url
                body = signed.body
        self.sent = time.monotonic()
        super().request(method, url, body, headers, **options)

    def getresponse(self):  # type: ignore[no-untyped-def]  # its type is neither http.client's nor public
        try:
            return super().getresponse()
        except ConnectionError:
            if self.reused:
                self.reuse.lost(self.server, self.sent)
            raise

    def send(self, data: Any) -> None:
        """Send as `http.client` does, but within the deadline, and count the bytes that the system took."""
        sending = current.get()
        if sending is None or not sending.is_ready:
            super().send(data)
            return
        view = memoryview(data).cast("B")
        while view:
            self.sock.settimeout(sending.time_left())
            taken = self.sock.send(view)
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

    def _get_conn(self, timeout: float | None = None):  # type: ignore[no-untyped-def]  # urllib3's own type is private
        connection: Any = super()._get_conn(timeout)
        connection.reuse = self._reuse
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
    """A requests adapter on our connections, which bounds every response."""

    #: The limits of each body.
    body_limits = BodyLimits()

    def __init__(self, reuse: Reuse, **options: Any) -> None:
        self._pool_classes = {"http": partial(_Pool, reuse=reuse), "https": partial(_TlsPool, reuse=reuse)}
        self._pools: dict[Any, Any] = {}
        super().__init__(max_retries=0, **options)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send a request."""
        return self.finish(super().send(request, *args, **options))

    @staticmethod
    def finish(response: requests.Response) -> requests.Response:
        """Drop the body of a redirect before requests reads all of it."""
        if response.is_redirect:
            discard(response)
            response._content = b""
            response._content_consumed = True  # type: ignore[attr-defined]  # not in the stubs
        return response

    def build_response(self, req: requests.PreparedRequest, resp: BaseHTTPResponse) -> requests.Response:
        """Build a response with a bounded body, and a character set that Python knows."""
        if (wire := wire_of(resp)) is not None:
            wire.begin_body(self.body_limits)
        response = super().build_response(req, resp)
        response.encoding = _charset_of(response.encoding)
        if not is_plain(response):
            response.raw = Body(response.raw)
        return response

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Return the connection pool of a URL; to find it as requests does takes a tenth of the time of a small file."""
        parts = urlsplit(request.url or "")
        key = (parts.scheme, parts.netloc, verify, cert, tuple(proxies.items()) if proxies else ())
        pool = self._pools.get(key)
        if pool is None or pool.pool is None:  # urllib3 has closed it, to keep others open
            pool = self._pools[key] = super().get_connection_with_tls_context(request, verify, proxies, cert)
        return pool

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Make the connection pools for a proxy, which must be an HTTP proxy: our connections would bypass another."""
        manager: Any = super().proxy_manager_for(proxy, **kwargs)
        if not isinstance(manager, ProxyManager):
            raise InvalidProxyURL("an HTTP proxy is needed; SOCKS proxies cannot be used")
        manager.pool_classes_by_scheme = self._pool_classes  # type: ignore[assignment]  # factories will do
        return manager


def _charset_of(name: str | None) -> str | None:
    """Return the Python codec for a character set that a service names, or None."""
    try:
        codec = codecs.lookup(name or "")
    except (LookupError, ValueError):  # a null character is a ValueError
        return None
    text = getattr(codec, "_is_text_encoding", True)  # not rot13, not hex
    return None if codec.name in _NO_CHARSETS or not text else codec.name

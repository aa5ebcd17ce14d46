"""The transport that sends requests with libcurl (pycurl): HTTP/2, HTTP/3 and SOCKS proxies.

Each request under way has a multi handle (`_Loop`) to itself, whichever thread reads its response, and the next request
gets that handle with its connections. A response is read as it is asked for: `_Transfer.drive` lets libcurl work until
something has happened, and the write callback pauses while too many bytes wait to be read.

The session is taken in libcurl's pre-request callback, once the connection is up. By then no option can be changed, but
libcurl reads its cookies later, so `_Jar` is how it gets the token. If a hop adds other header fields or signs the request,
the session is taken before libcurl connects, and held meanwhile.
"""

from __future__ import annotations

import errno
import math
import os
import re
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests import exceptions
from requests.utils import DEFAULT_CA_BUNDLE_PATH

import argosy
from argosy.errors import ConfigError
from argosy.interfaces import Hop, Incoming, PluginContext, ResponseHeaders, Transport
from argosy_plugins.transports.requests import Losses

#: Idle connections per loop, and the seconds after which an idle one is not used: many servers close it after 5.
CONNECTIONS, MAX_IDLE = 8, 4

#: Seconds in which a connection that libcurl has just made does not close.
MOMENT = 0.002

#: The longest field ``Cookie`` that libcurl sends whole, with some to spare.
MAX_COOKIES = 6000

#: The event of a socket whose other end is closed.
_CLOSED = getattr(select, "POLLRDHUP", select.POLLHUP)

#: Bytes that libcurl reads at once, and of a body that may wait to be read. It passes them on in pieces of 16 KiB.
BUFFER = 256 * 1024

#: Seconds between two looks at the clock.
LOOK = 1.0

#: Header fields that libcurl or pycurl would add.
_LIBCURLS_OWN = ("Accept", "Content-Type", "Expect", "User-Agent")

#: The option SUPPRESS_CONNECT_HEADERS, which pycurl has no name for.
_SUPPRESS_CONNECT_HEADERS = 265

_STATUS = re.compile(r"(HTTP/[0-9.]+) +([0-9]{3})(?: +(.*))?")
_FIELD = re.compile(r"([!-9;-~]+)[ \t]*:")


class CurlTransport(Transport):
    """Sends requests with libcurl."""

    name = "curl"
    summary = "libcurl: HTTP/2, HTTP/3 and SOCKS proxies"
    proxy_schemes = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})
    options_schema = {
        "type": "object",
        "properties": {
            "http_version": {
                "enum": ["1.1", "2", "3"],
                "default": "1.1",
                "description": "The newest version of HTTP to use; a server that does not know it gets an older one.",
            },
        },
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        try:
            import pycurl
        except ImportError:
            message = "The transport curl needs the package pycurl."
            raise ConfigError(message, hint="Install it: pip install 'argosy[curl]'.") from None
        self._curl: Final[Any] = pycurl
        versions = {
            "1.1": pycurl.CURL_HTTP_VERSION_1_1,
            "2": pycurl.CURL_HTTP_VERSION_2TLS,
            "3": pycurl.CURL_HTTP_VERSION_3,
        }
        newest = options.get("http_version", "1.1")
        self._version = versions[newest]
        feature = {"2": pycurl.VERSION_HTTP2, "3": pycurl.VERSION_HTTP3}.get(newest, 0)
        if feature and not pycurl.version_info()[4] & feature:
            message = f"The libcurl of pycurl {pycurl.version.split()[0].partition('/')[2]} has no HTTP/{newest}."
            raise ConfigError(message, hint="Upgrade pycurl, or choose another http_version.")
        self._free: list[_Loop] = []
        self._is_closed = False
        self._mutex = threading.Lock()
        self._known_options: dict[Any, dict[int, Any]] = {}
        self._losses = Losses()
        self._takes_only_cookies = True  # as far as known, hops add cookies to their requests and nothing else

    def send(
        self,
        hop: Hop,
        *,
        timeout: tuple[float, float],
        verify: bool | str,
        proxy: str | None,
        cert: str | tuple[str, str] | None = None,
    ) -> Incoming:
        """Send the request of a hop."""
        server = _server(hop.request.url or "")
        options, is_distrusted = self._options(verify, proxy, cert), partial(self._losses.are_many, server)
        transfer = _Transfer(self._curl, self._loop(), self._give_back, hop, timeout, is_distrusted)
        try:
            if self._takes_only_cookies:
                transfer.start(options)
            else:
                transfer.start(options, hop.authorize())
            while not transfer.has_headers:
                transfer.drive(hop.deadline)
        except BaseException:
            if transfer.is_lost:
                self._losses.note(server, transfer.sent)
            transfer.close()
            raise
        finally:
            self._takes_only_cookies &= transfer.takes_only_cookies
        return transfer

    def _loop(self) -> _Loop:
        """Return a loop that serves no request, the last one that did."""
        with self._mutex:
            return self._free.pop() if self._free else _Loop(self._curl)

    def _give_back(self, loop: _Loop) -> None:
        """Take back a loop whose request has ended."""
        with self._mutex:
            is_useless = self._is_closed or loop.is_spoiled
            if not is_useless:
                self._free.append(loop)
        if is_useless:
            loop.close()

    def _options(self, verify: bool | str, proxy: str | None, cert: str | tuple[str, str] | None) -> dict[int, Any]:
        """Return the options of libcurl that do not depend on the request, the same object for the same arguments."""
        known = self._known_options.get((verify, proxy, cert))
        if known is not None:
            return known
        curl, authorities = self._curl, verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH
        options = {
            curl.PROTOCOLS: curl.PROTO_HTTP | curl.PROTO_HTTPS,
            curl.HTTP_VERSION: self._version,
            curl.PATH_AS_IS: 1,
            curl.NOSIGNAL: 1,
            curl.PROXY: proxy or "",
            curl.NOPROXY: "",  # or libcurl would ask the environment
            curl.CAINFO: authorities,
            curl.PROXY_CAINFO: authorities,
            curl.MAXAGE_CONN: MAX_IDLE,
            curl.BUFFERSIZE: BUFFER,
            curl.COOKIEFILE: "",
            _SUPPRESS_CONNECT_HEADERS: 1,
        }
        if cert is not None:
            options[curl.SSLCERT], options[curl.SSLKEY] = (cert, cert) if isinstance(cert, str) else cert
        return self._known_options.setdefault((verify, proxy, cert), options)

    def close(self) -> None:
        """Close the connections; those of a response that is still read when it ends."""
        with self._mutex:
            self._is_closed = True
            loops, self._free = self._free, []
        for loop in loops:
            loop.close()


class _Loop:
    """A multi handle, its sockets, and its timer; serves one request at a time."""

    def __init__(self, curl: Any) -> None:
        self._curl = curl
        self.multi = curl.CurlMulti()
        self.multi.setopt(curl.M_MAXCONNECTS, CONNECTIONS)
        self.multi.setopt(curl.M_SOCKETFUNCTION, self._on_socket)
        self.multi.setopt(curl.M_TIMERFUNCTION, self._on_timer)
        self.transfer: _Transfer | None = None
        self.spare: list[tuple[Any, Mapping[int, Any]]] = []  # easy handles with their options
        self._poll = select.poll()
        self._due = math.inf
        self.jar = _Jar(curl)
        self.sockets: set[int] = set()  # some may be closed
        #: The ports, at this end, of connections that have served a request, and whether they speak HTTP/1.
        self.used_ports: dict[int, bool] = {}
        #: Whether a connection must not be used again, which only a new multi handle can prevent: a response had a length
        #: and chunks, and somebody on its way may see another end of its body (RFC 9112 section 6.3).
        self.is_spoiled = False

    def _on_socket(self, event: int, fd: int, multi: Any, data: Any) -> None:
        curl = self._curl
        if event == curl.POLL_REMOVE:
            self._poll.unregister(fd)
            return
        wanted = (select.POLLIN if event & curl.POLL_IN else 0) | (select.POLLOUT if event & curl.POLL_OUT else 0)
        self._poll.register(fd, wanted)

    def _on_timer(self, milliseconds: int) -> None:
        self._due = math.inf if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    def close(self) -> None:
        """Close the connections."""
        for easy, _ in self.spare:
            easy.close()
        self.spare.clear()
        self.multi.close()
        self.jar.close()

    def easy(self, options: Mapping[int, Any]) -> Any:
        """Return an easy handle with options; to set them takes longer than all else that is done for a request."""
        curl = self._curl
        if self.spare:
            easy, has = self.spare.pop()
            if has is options:
                return easy
            easy.reset()
        else:
            easy = curl.Curl()
            self.jar.share_with(easy)  # a reset does not undo that
        for option, value in options.items():
            easy.setopt(option, value)
        easy.unsetopt(curl.CAPATH)  # a folder of the system, whose authorities would be trusted as well
        easy.unsetopt(curl.PROXY_CAPATH)
        easy.setopt(curl.SOCKOPTFUNCTION, self.on_new_socket)
        return easy

    def on_new_socket(self, fd: int, purpose: int) -> int:
        """Note a socket that libcurl has made."""
        self.sockets.add(fd)
        ok: int = self._curl.SOCKOPT_OK
        return ok

    def events_of(self, port: int, wanted: int) -> int:
        """Return the events of the socket with a port at this end."""
        for fd in list(self.sockets):
            own_port = _own_port(fd)
            if own_port == port:
                poll = select.poll()
                poll.register(fd, wanted)
                return sum(event for _, event in poll.poll(0))
            if own_port is None:  # closed, or the descriptor is of something else now
                self.sockets.discard(fd)
        return 0

    def step(self, seconds: float) -> None:
        """Let libcurl work on what is ready; wait for it for so many seconds at most."""
        curl, wait = self._curl, max(min(seconds, self._due - time.monotonic()), 0.0)
        events = self._poll.poll(math.ceil(wait * 1000)) if wait or self._due > time.monotonic() else []
        for fd, event in events:
            mask = (curl.CSELECT_IN if event & (select.POLLIN | select.POLLHUP) else 0) | (
                curl.CSELECT_OUT if event & select.POLLOUT else 0
            )
            self.multi.socket_action(fd, mask or curl.CSELECT_ERR)
        if not events and time.monotonic() >= self._due:
            self._due = math.inf
            self.multi.socket_action(curl.SOCKET_TIMEOUT, 0)
        while True:
            left, done, failed = self.multi.info_read()
            ended = [(0, "") for _ in done] + [(code, text) for _, code, text in failed]
            if self.transfer is not None and ended:
                self.transfer.end(*ended[-1])
            if not left:
                return


class _Jar:
    """The cookies of the next request, which libcurl reads once it has connected."""

    def __init__(self, curl: Any) -> None:
        self._curl = curl
        self._share = curl.CurlShare()
        self._share.setopt(curl.SH_SHARE, curl.LOCK_DATA_COOKIE)
        self._easy = curl.Curl()  # sends nothing
        self.share_with(self._easy)

    def share_with(self, easy: Any) -> None:
        """Let a handle send the cookies."""
        easy.setopt(self._curl.SHARE, self._share)

    def put(self, url: str, header: str | None) -> bool:
        """Keep the value of a field ``Cookie``, and nothing else; return whether libcurl will send exactly that."""
        curl, easy = self._curl, self._easy
        easy.setopt(curl.COOKIELIST, "ALL")
        if header is None:
            return True
        parts, (name, equals, value) = urlsplit(url), header.partition("=")
        # in the file format of Netscape, a value may contain semicolons, so all cookies go in as one
        fields = (parts.hostname or "", "FALSE", "/", str(parts.scheme == "https").upper(), "0", name, value)
        line = "\t".join(fields)
        is_usual = line.isascii() and line.replace("\t", "").isprintable() and name and equals
        if not is_usual or len(header) > MAX_COOKIES:
            return False
        easy.setopt(curl.COOKIELIST, line)
        taken: bool = easy.getinfo(curl.INFO_COOKIELIST) == [line]
        return taken

    def close(self) -> None:
        """Forget the cookies."""
        self._easy.close()
        self._share.close()


class _Transfer(Incoming):
    """One request and its response."""

    def __init__(
        self,
        curl: Any,
        loop: _Loop,
        give_back: Callable[[_Loop], None],
        hop: Hop,
        timeout: tuple[float, float],
        is_distrusted: Callable[[], bool],
    ) -> None:
        self._curl = curl
        self._loop = loop
        self._give_back: Callable[[_Loop], None] | None = give_back
        self._hop = hop
        self._timeout = timeout
        self._is_distrusted = is_distrusted  # whether each connection should serve one request
        self._easy: Any = None
        self._options: Mapping[int, Any] = {}
        self._is_usual = False  # whether its handle can serve the next request as it is
        self._error: BaseException | None = None  # raised in a callback
        self._result: tuple[int, str] | None = None  # code and text, once it has ended
        self._authorized: requests.PreparedRequest | None = None  # once the session is taken
        self._must_restart = False
        self._is_sent = self._is_reused = False
        self.sent = 0.0  # when, on the monotonic clock
        self.is_lost = False  # whether the response was lost on a reused connection
        self.takes_only_cookies = True
        self._status: tuple[str, str, str] | None = None
        self._fields: list[tuple[str, str]] = []
        self.has_headers = False
        self._pending: deque[memoryview] = deque()
        self._waiting = 0  # bytes in `_pending`
        self._is_paused = False

    def start(
        self, options: Mapping[int, Any], request: requests.PreparedRequest | None = None, *, anew: bool = False
    ) -> None:
        """Hand the request of the hop to libcurl, or the one with credentials."""
        curl, easy = self._curl, self._loop.easy(options)
        self._easy, self._options, self._authorized = easy, options, request
        self._has_proxy = bool(options[curl.PROXY])
        initial = request or self._hop.request
        self._url, self._parts = _without_user(initial.url or ""), _parts_of(initial)
        own = {
            curl.URL: self._url,
            curl.HTTPHEADER: _lines_of(initial, with_cookies=request is not None),
            curl.CONNECTTIMEOUT_MS: math.ceil(min(self._timeout[0], 1e6) * 1000),
            curl.PREREQFUNCTION: self._on_request,
            curl.HEADERFUNCTION: self._on_line,
            curl.WRITEFUNCTION: self._on_bytes,
        }
        is_single = self._is_distrusted() or str(initial.headers.get("Connection", "")).lower() == "close"
        self._is_usual = initial.method == "GET" and initial.body is None and not is_single and not anew
        if not self._is_usual:
            own |= {curl.FRESH_CONNECT: int(is_single or anew), curl.FORBID_REUSE: int(is_single)}
        if initial.method == "HEAD":
            own[curl.NOBODY] = 1
        elif initial.method != "GET" or initial.body is not None:
            body: Any = initial.body or b""
            if not isinstance(body, str | bytes):
                raise requests.RequestException("the body of a request must be text or bytes")
            own |= {curl.POSTFIELDS: body, curl.CUSTOMREQUEST: initial.method}
        for option, value in own.items():
            easy.setopt(option, value)
        self._loop.jar.put(self._url, None)
        self._loop.transfer = self
        self._loop.multi.add_handle(easy)

    def drive(self, deadline: float) -> None:
        """Let libcurl work until something has happened; raise what went wrong."""
        if self._result is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise exceptions.ReadTimeout(TimeoutError("no response before the deadline"))
            self._loop.step(min(left, LOOK))
        if self._error is not None:
            raise self._error
        if self._result is None or self.has_headers:
            return
        if not self._must_restart:
            raise self._failure(*self._result)
        self._must_restart = False
        self._remove()
        self._result = None
        self.start(self._options, self._authorized, anew=True)

    def end(self, code: int, text: str) -> None:
        """Note how it has ended."""
        self._result = code, text
        names = {name.lower() for name, _ in self._fields}
        if {"content-length", "transfer-encoding"} <= names:
            self._loop.is_spoiled = True

    def readinto(self, buffer: memoryview) -> int:
        """Store the bytes that are there."""
        patience = time.monotonic() + self._timeout[1]
        while not self._pending and self._result is None:
            if self._is_paused:
                self._is_paused = False
                self._easy.pause(self._curl.PAUSE_CONT)
                continue
            if time.monotonic() >= patience:
                raise TimeoutError("no bytes in time")
            self.drive(math.inf)
        count = 0
        while self._pending and count < len(buffer):
            piece = self._pending.popleft()
            taken = min(len(piece), len(buffer) - count)
            buffer[count : count + taken] = piece[:taken]
            count += taken
            if taken < len(piece):
                self._pending.appendleft(piece[taken:])
        self._waiting -= count
        if not count and self._result is not None:
            code, text = self._result
            if self._is_reset(code, text):
                raise ConnectionResetError(errno.ECONNRESET, text or "the connection was reset")
            if code:
                raise OSError(text or "the body ended early, or is damaged")
            self.close()
        return count

    def close(self) -> None:
        """End it: libcurl closes the connection if something of the response is missing."""
        give_back, self._give_back = self._give_back, None
        if give_back is None:
            return
        self._result = self._result or (self._curl.E_ABORTED_BY_CALLBACK, "closed")
        self._remove()
        give_back(self._loop)

    def _remove(self) -> None:
        """Take the request out of the loop."""
        easy, self._easy, loop = self._easy, None, self._loop
        if easy is None:
            return
        if loop.transfer is self:
            loop.transfer = None
            loop.multi.remove_handle(easy)
        if self._is_usual:
            loop.spare.append((easy, self._options))
        else:
            easy.reset()
            loop.spare.append((easy, {}))

    # -- called by libcurl

    def _on_request(self, address: str, own_address: str, port: int, own_port: int) -> int:
        """Take the session, and let the request go.

        But not a second time: libcurl sends it again if a connection turns out to be closed.
        """
        abort: int = self._curl.PREREQFUNC_ABORT
        ok: int = self._curl.PREREQFUNC_OK
        try:
            if self._authorized is None:
                begun = time.monotonic()
                self._authorized = self._hop.authorize()
                if not self._takes(self._authorized) or self._is_spent(begun, own_port):
                    self._must_restart = True
                    return abort
            elif not self._is_sent and self._is_spent(time.monotonic(), own_port):
                self._must_restart = True
                return abort
            else:
                self._loop.jar.put(self._url, None)
        except BaseException as error:
            self._error = error
            return abort
        try:
            self._hop.sending()
        except ConnectionError:
            return abort
        except BaseException as error:
            self._error = error
            return abort
        self._is_sent, self.sent = True, time.monotonic()
        self._is_reused = own_port in self._loop.used_ports
        self._loop.used_ports.setdefault(own_port, False)
        self._port = own_port
        return ok

    def _takes(self, request: requests.PreparedRequest) -> bool:
        """Return whether libcurl will send a request with credentials, although it has the one without."""
        self.takes_only_cookies = _parts_of(request) == self._parts
        return self.takes_only_cookies and self._loop.jar.put(self._url, request.headers.get("Cookie"))

    def _is_spent(self, begun: float, port: int) -> bool:
        """Return whether the connection should not be used anymore.

        The session may have been free only much later: other responses may have been lost meanwhile, and libcurl does not
        look at a connection that was idle for less than a second.
        """
        waited = time.monotonic() - begun
        is_used = port in self._loop.used_ports
        if waited > MAX_IDLE or (is_used and self._is_distrusted()):
            return True
        if waited < MOMENT and not is_used:
            return False
        # with HTTP/1, bytes that nobody asked for would be taken for the response; HTTP/2 has frames of its own
        wrong = _CLOSED | select.POLLHUP | select.POLLERR | (select.POLLIN if self._loop.used_ports.get(port) else 0)
        return bool(self._loop.events_of(port, wrong) & wrong)

    def _on_line(self, line: bytes) -> int | None:
        text = line.decode("latin-1").rstrip("\r\n")
        if (status := _STATUS.fullmatch(text)) is not None and not self.has_headers:
            self._status, self._fields = (status[1], status[2], status[3] or ""), []
        elif text and text[0] in " \t" and self._fields:
            name, value = self._fields.pop()
            self._fields.append((name, f"{value} {text.strip()}"))
        elif (field := _FIELD.match(text)) is not None:
            self._fields.append((field[1], text[field.end() :].strip(" \t")))
        elif not text and self._status is not None and not self.has_headers:
            version, code, reason = self._status
            if int(code) >= 200 or code == "101":  # else an interim response
                try:
                    self._hop.received(ResponseHeaders(int(code), reason, version, tuple(self._fields)))
                except BaseException as error:
                    self._error = error
                    return -1
                self.has_headers = True
                self._loop.used_ports[self._port] = version.startswith("HTTP/1.")
        return None

    def _on_bytes(self, data: bytes) -> int | None:
        if self._waiting >= BUFFER:
            self._is_paused = True
            pause: int = self._curl.WRITEFUNC_PAUSE
            return pause
        self._pending.append(memoryview(data))
        self._waiting += len(data)
        return None

    def _is_reset(self, code: int, text: str) -> bool:
        """Return whether the server has closed the connection. libcurl would send again, and was not allowed to."""
        curl = self._curl
        codes = (curl.E_GOT_NOTHING, curl.E_RECV_ERROR, curl.E_SEND_ERROR, curl.E_ABORTED_BY_CALLBACK)
        return code in codes and "oo large" not in text  # E_RECV_ERROR is also that of endless headers

    def _failure(self, code: int, text: str) -> exceptions.RequestException:
        """Return the error of a request without a response."""
        curl = self._curl
        if code in (curl.E_PEER_FAILED_VERIFICATION, curl.E_SSL_CONNECT_ERROR, curl.E_SSL_CACERT_BADFILE):
            cls = ssl.SSLCertVerificationError if code == curl.E_PEER_FAILED_VERIFICATION else ssl.SSLError
            return exceptions.SSLError(cls(code, text))
        self.is_lost = self._is_reused and self._is_reset(code, text)
        cause = OSError(text or "no response")  # such as headers that libcurl refuses
        if self._is_reset(code, text):
            cause = ConnectionResetError(errno.ECONNRESET, text or "no response")
        elif code == curl.E_COULDNT_RESOLVE_HOST:
            cause = _resolver_error(self._url)
        elif code == curl.E_OPERATION_TIMEDOUT:
            cause = TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        elif code == curl.E_COULDNT_CONNECT and (number := self._easy.getinfo(curl.OS_ERRNO)):
            cause = OSError(number, os.strerror(number))
        if self._has_proxy and not self._is_sent:
            is_answer = code not in (curl.E_OPERATION_TIMEDOUT, curl.E_COULDNT_CONNECT)
            return exceptions.ProxyError(OSError(text) if is_answer else cause)
        if code == curl.E_OPERATION_TIMEDOUT:
            return exceptions.ReadTimeout(cause) if self._is_sent else exceptions.ConnectTimeout(cause)
        return exceptions.ConnectionError(cause)


def _parts_of(request: requests.PreparedRequest) -> tuple[Any, ...]:
    """Return what a request consists of, without its cookies."""
    fields = {name: value for name, value in request.headers.lower_items() if name != "cookie"}
    return request.method, request.url, request.body, fields


def _lines_of(request: requests.PreparedRequest, *, with_cookies: bool) -> list[bytes]:
    """Return header lines for libcurl; raise `requests.exceptions.InvalidHeader` if one would be two."""
    lines, known = [], set()
    headers: Any = request.headers.items()  # requests allows bytes, unlike its types
    for name, given in headers:
        value = given if isinstance(given, str) else given.decode("latin-1")
        known.add(name.lower())
        if with_cookies or name.lower() != "cookie":
            lines.append(f"{name}: {value}" if value.strip() else f"{name};")
    lines += [f"{name}:" for name in _LIBCURLS_OWN if name.lower() not in known]
    text = "\n".join(lines)
    if text.count("\n") != len(lines) - 1 or "\r" in text or "\0" in text:
        raise exceptions.InvalidHeader("a header with a line break")
    return text.encode("latin-1").split(b"\n")


def _own_port(fd: int) -> int | None:
    """Return the port at this end of a socket; None if it is none.

    It is not duplicated: the descriptor may be that of a file by now, whose lock a duplicate would keep.
    """
    try:
        view = socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=fd)
    except OSError:
        return None
    try:
        name = view.getsockname()
        return int(name[1]) if isinstance(name, tuple) else None
    except OSError:
        return None
    finally:
        view.detach()


def _resolver_error(url: str) -> socket.gaierror:
    """Return why the host of a URL does not resolve: libcurl does not tell whether to try again later."""
    try:
        socket.getaddrinfo(urlsplit(url).hostname, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return error
    except ValueError:
        return socket.gaierror(socket.EAI_NONAME, "not a name")
    return socket.gaierror(socket.EAI_AGAIN, "the name did not resolve at first")


def _server(url: str) -> tuple[str, int]:
    """Return the host and port of a URL; raise `requests.exceptions.InvalidURL` if its host cannot be a name."""
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise exceptions.InvalidURL("not a valid URL") from None


def _without_user(url: str) -> str:
    """Return a URL without its user and password, which libcurl would send."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else url


@argosy.hookimpl
def argosy_transport() -> type[Transport]:
    """Register the transport."""
    return CurlTransport

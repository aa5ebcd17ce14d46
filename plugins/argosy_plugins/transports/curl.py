"""The transport that sends requests with libcurl (pycurl): HTTP/2, HTTP/3 and SOCKS proxies, at less cost for small files.

Each thread has a multi handle of its own, so its connections. A response is read as it is asked for: `_Transfer.drive`
lets libcurl work until something has happened, and the write callback pauses while bytes wait to be read.
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
import weakref
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from requests import exceptions
from requests.utils import DEFAULT_CA_BUNDLE_PATH

import argosy
from argosy.errors import ConfigError
from argosy.interfaces import Hop, Incoming, PluginContext, ResponseHeaders, Transport

#: Idle connections per thread, and the seconds after which an idle one is not used: many servers close it after 5.
CONNECTIONS, MAX_IDLE = 8, 4

#: Bytes that libcurl reads at once.
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
    summary = "libcurl: HTTP/2, HTTP/3, SOCKS proxies, and less time for each small file"
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
        self._version = versions[options.get("http_version", "1.1")]
        self._threads = threading.local()
        self._loops: weakref.WeakSet[_Loop] = weakref.WeakSet()  # of all threads
        self._mutex = threading.Lock()

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
        loop: _Loop | None = getattr(self._threads, "loop", None)
        if loop is not None and loop.is_spoiled:
            if not loop.transfers:
                loop.close()
            loop = None
        if loop is None:
            loop = self._threads.loop = _Loop(self._curl)
            with self._mutex:
                self._loops.add(loop)
        transfer = _Transfer(self._curl, loop, hop, timeout)
        try:
            transfer.start(self._version, verify, proxy, cert)
            while not transfer.has_headers:
                transfer.drive(hop.deadline)
        except BaseException:
            transfer.close()
            raise
        return transfer

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._mutex:
            self._threads = threading.local()
            for loop in self._loops:
                loop.close()
            self._loops.clear()


class _Loop:
    """The multi handle of one thread, its sockets, and its timer."""

    def __init__(self, curl: Any) -> None:
        self._curl = curl
        self.multi = curl.CurlMulti()
        self.multi.setopt(curl.M_MAXCONNECTS, CONNECTIONS)
        self.multi.setopt(curl.M_SOCKETFUNCTION, self._on_socket)
        self.multi.setopt(curl.M_TIMERFUNCTION, self._on_timer)
        self.transfers: dict[Any, _Transfer] = {}
        self.spare: list[Any] = []  # easy handles
        self._poll = select.poll()
        self._due = math.inf
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
        for easy in list(self.transfers):
            self.transfers[easy].close()
        for easy in self.spare:
            easy.close()
        self.spare.clear()
        self.multi.close()

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
            for easy in done:
                self.transfers[easy].end(0, "")
            for easy, code, text in failed:
                self.transfers[easy].end(code, text)
            if not left:
                return


class _Transfer(Incoming):
    """One request and its response."""

    def __init__(self, curl: Any, loop: _Loop, hop: Hop, timeout: tuple[float, float]) -> None:
        self._curl = curl
        self._loop = loop
        self._hop = hop
        self._timeout = timeout
        self._easy: Any = None
        self._error: BaseException | None = None  # raised in a callback
        self._result: tuple[int, str] | None = None  # code and text, once it has ended
        self._is_sent = self._has_proxy = False
        self._status: tuple[str, str, str] | None = None
        self._fields: list[tuple[str, str]] = []
        self.has_headers = False
        self._pending = memoryview(b"")
        self._is_paused = False

    def start(self, version: int, verify: bool | str, proxy: str | None, cert: str | tuple[str, str] | None) -> None:
        """Take the session, and hand the request to libcurl."""
        curl = self._curl
        easy = self._easy = self._loop.spare.pop() if self._loop.spare else curl.Curl()
        self._has_proxy = proxy is not None
        request = self._hop.authorize()
        fields = [_line(name, value) for name, value in request.headers.items()]
        known = {name.lower() for name in request.headers}
        fields += [f"{name}:".encode() for name in _LIBCURLS_OWN if name.lower() not in known]
        authorities = verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH
        options = {
            curl.URL: _without_user(request.url or ""),
            curl.PROTOCOLS: curl.PROTO_HTTP | curl.PROTO_HTTPS,
            curl.HTTPHEADER: fields,
            curl.HTTP_VERSION: version,
            curl.PATH_AS_IS: 1,
            curl.NOSIGNAL: 1,
            curl.PROXY: proxy or "",
            curl.NOPROXY: "",  # or libcurl would ask the environment
            curl.CAINFO: authorities,
            curl.PROXY_CAINFO: authorities,
            curl.CONNECTTIMEOUT_MS: math.ceil(min(self._timeout[0], 1e6) * 1000),
            curl.MAXAGE_CONN: MAX_IDLE,
            curl.BUFFERSIZE: BUFFER,
            curl.PREREQFUNCTION: self._on_request,
            curl.HEADERFUNCTION: self._on_line,
            curl.WRITEFUNCTION: self._on_bytes,
            _SUPPRESS_CONNECT_HEADERS: 1,
        }
        if str(request.headers.get("Connection", "")).lower() == "close":
            options |= {curl.FRESH_CONNECT: 1, curl.FORBID_REUSE: 1}
        if cert is not None:
            options[curl.SSLCERT], options[curl.SSLKEY] = (cert, cert) if isinstance(cert, str) else cert
        if request.method == "HEAD":
            options[curl.NOBODY] = 1
        elif request.method != "GET" or request.body is not None:
            body = request.body or b""
            if not isinstance(body, str | bytes):
                raise exceptions.InvalidRequest("the body of a request must be text or bytes")
            options |= {curl.POSTFIELDS: body, curl.CUSTOMREQUEST: request.method}
        for option, value in options.items():
            easy.setopt(option, value)
        easy.unsetopt(curl.CAPATH)  # a folder of the system, whose authorities would be trusted as well
        easy.unsetopt(curl.PROXY_CAPATH)
        self._loop.transfers[easy] = self
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
        if self._result is not None and not self.has_headers:
            raise self._failure(*self._result)

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
        count = min(len(self._pending), len(buffer))
        buffer[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        if not count and self._result is not None:
            code, text = self._result
            if code:
                raise ConnectionResetError(errno.ECONNRESET, text or "the body ended early")
            self.close()
        return count

    def close(self) -> None:
        """End it: libcurl closes the connection if something of the response is missing."""
        easy, self._easy = self._easy, None
        if easy is None:
            return
        if self._loop.transfers.pop(easy, None) is not None:
            self._loop.multi.remove_handle(easy)
        easy.reset()
        self._loop.spare.append(easy)
        self._result = self._result or (self._curl.E_ABORTED_BY_CALLBACK, "closed")

    # -- called by libcurl

    def _on_request(self, *addresses: object) -> int:
        """Let the request go, but not a second time: libcurl sends it again if a connection turns out to be closed."""
        try:
            self._hop.sending()
            self._is_sent = True
        except BaseException as error:
            if not isinstance(error, ConnectionError):
                self._error = error
            abort: int = self._curl.PREREQFUNC_ABORT
            return abort
        ok: int = self._curl.PREREQFUNC_OK
        return ok

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
        return None

    def _on_bytes(self, data: bytes) -> int | None:
        if self._pending:
            self._is_paused = True
            pause: int = self._curl.WRITEFUNC_PAUSE
            return pause
        self._pending = memoryview(data)
        return None

    def _failure(self, code: int, text: str) -> exceptions.RequestException:
        """Return the error of a request without a response."""
        curl = self._curl
        if code in (curl.E_PEER_FAILED_VERIFICATION, curl.E_SSL_CONNECT_ERROR, curl.E_SSL_CACERT_BADFILE):
            cls = ssl.SSLCertVerificationError if code == curl.E_PEER_FAILED_VERIFICATION else ssl.SSLError
            return exceptions.SSLError(cls(text))
        cause: OSError = ConnectionResetError(errno.ECONNRESET, text or "no response")
        if code == curl.E_COULDNT_RESOLVE_HOST:
            cause = socket.gaierror(socket.EAI_NONAME, "the name does not resolve")
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


def _without_user(url: str) -> str:
    """Return a URL without its user and password, which libcurl would send."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else url


def _line(name: str, value: str | bytes) -> bytes:
    """Return a header line for libcurl; raise `requests.exceptions.InvalidHeader` if it would be two."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    if re.search(r"[\r\n\0]", f"{name}{text}"):
        raise exceptions.InvalidHeader("a header with a line break")
    return (f"{name}: {text}" if text.strip() else f"{name};").encode("latin-1")


@argosy.hookimpl
def argosy_transport() -> type[Transport]:
    """Register the transport."""
    return CurlTransport

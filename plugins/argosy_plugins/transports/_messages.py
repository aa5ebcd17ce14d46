"""HTTP/1.1 messages (RFC 9112): writing the head of a request, and reading a response, within bounds.

Reading is `http.client`'s, with three differences: a line that is no header is skipped instead of ending the headers, which
might hide a token; headers that are cut off are an error for the same reason; and no part of a response comes without bounds.
"""

from __future__ import annotations

import contextlib
import http
import http.client
import io
import math
import re
import socket
import ssl
import struct
import time
from collections.abc import Iterable
from typing import Any

from requests.exceptions import InvalidHeader

from argosy.interfaces import ResponseHeaders

#: Bytes of framing in a row, without a byte of a body in between.
MAX_FRAMING = 256 * 1024

#: Header fields of one response.
MAX_FIELDS = 100

#: Bytes that are read at once; a small response is one read.
BUFFER = 64 * 1024

_LONGEST_LINE = 65536

_REQUEST = re.compile(
    r"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/1\.1\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: [^\r\n\0]*\r\n)*"
)

#: A head without oddities, which is nearly every one.
_RESPONSE = re.compile(rb"HTTP/1\.([01]) ([0-9]{3})(?: ([^\r\n]*))?\r\n((?:[!-9;-~]+:[^\r\n]*\r\n)*)\r\n")

_FIELD = re.compile(r"([!-9;-~]+)[ \t]*:")

_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")

#: What a call raises that the kernel has ended, on a plain socket and with TLS.
_LATE = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def request_head(method: str, target: str, fields: Iterable[tuple[str, str | bytes]]) -> bytes:
    """Return the head of a request; raise `requests.exceptions.InvalidHeader` if it would not be a valid one."""
    lines = [f"{method} {target} HTTP/1.1\r\n"]
    for name, value in fields:
        lines.append(f"{name}: {value.decode('latin-1') if isinstance(value, bytes) else value}\r\n")
    text = "".join(lines)
    if _REQUEST.fullmatch(text) is None or text.count("\n") != len(lines):  # a value could hold another field
        raise InvalidHeader("the method, the URL or a header has a character that is not allowed")  # it may be secret
    return f"{text}\r\n".encode("latin-1")


class Wire(io.RawIOBase):
    """A socket on which everything has to be done by a deadline.

    With `by_kernel`, the kernel ends calls at the deadline: with Python's own time limits, each call would be two. TLS
    needs Python's; so does a socket that somebody else goes on to use.
    """

    def __init__(self, sock: socket.socket, *, by_kernel: bool = True) -> None:
        super().__init__()
        self._is_plain = by_kernel and type(sock) is socket.socket
        if self._is_plain:
            sock.settimeout(None)
        self.deadline = math.inf  # on the monotonic clock
        self.is_drained = False  # whether the last read took all that had come
        self.is_shut = False  # whether to read nothing more from the socket
        self.socket = sock
        self._timeout: float | None = None  # the kernel's limit of one call, once it is set

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Receive bytes; raise TimeoutError after the deadline."""
        if self.is_shut:
            return None
        self._limit()
        try:
            count = self.socket.recv_into(buffer)
        except _LATE:
            raise TimeoutError("the deadline passed") from None
        if time.monotonic() > self.deadline:
            raise TimeoutError("the deadline passed")
        self.is_drained = count < len(buffer)
        return count

    def send(self, data: bytes) -> None:
        """Send all bytes; raise TimeoutError after the deadline."""
        view = memoryview(data)
        while view:
            self._limit()
            try:
                view = view[self.socket.send(view) :]
            except _LATE:
                raise TimeoutError("the deadline passed") from None

    def has_more(self) -> bool:
        """Return whether there are bytes on the socket now."""
        if self.is_drained:
            return False
        self._timeout = None
        with contextlib.suppress(OSError):  # there is nothing, or it is closed
            self.socket.settimeout(0)
            try:
                return bool(self.socket.recv(1))
            finally:
                self.socket.settimeout(None)
        return False

    def _limit(self) -> None:
        """Let the next call end at the deadline, unless that is nearly so already."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline passed")
        if self._timeout is None or not left * 0.98 <= self._timeout <= left * 1.02:
            self._timeout = left
            if not self._is_plain:
                self.socket.settimeout(None if left == math.inf else left)
                return
            seconds = 0.0 if left == math.inf else max(left, 1e-6)  # 0 is no limit
            limit = struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6))
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                self.socket.setsockopt(socket.SOL_SOCKET, option, limit)


class Stream(io.BufferedReader):
    """The responses on one connection; bounds all lines of framing."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire, BUFFER)
        self.wire = wire
        self._framing = 0

    def makefile(self, mode: str) -> Stream:
        """Return this stream: `http.client.HTTPResponse` asks its socket for one."""
        self._framing = 0
        return self

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return the next line of framing."""
        line = super().readline(_LONGEST_LINE + 1 if size is None or size < 0 else size)
        self._count(len(line))
        return line

    def skip(self, size: int) -> None:
        """Read so many bytes of framing."""
        super().read(size)
        self._count(size)

    def _count(self, size: int) -> None:
        self._framing += size
        if self._framing > MAX_FRAMING:
            raise http.client.HTTPException(f"the server sent more than {MAX_FRAMING} bytes of framing")

    def readinto1(self, buffer: Any, /) -> int:
        """Store the bytes of a body that are there."""
        self._framing = 0
        return super().readinto1(buffer)

    def buffered(self) -> bytes:
        """Return the bytes that were received and not read yet."""
        self.wire.is_shut = True
        try:
            return self.peek()
        finally:
            self.wire.is_shut = False


class Response(http.client.HTTPResponse):
    """One response on a connection's stream."""

    #: Whether more bytes came than it announced.
    has_excess = False

    #: Its headers, once `begin` has returned.
    head: ResponseHeaders

    def __init__(self, stream: Stream, method: str) -> None:
        sock: Any = stream
        super().__init__(sock, method=method)
        self.fp: Any
        self._stream = stream
        self._has_no_body = method == "HEAD"

    def begin(self) -> None:
        """Read the headers of the final response."""
        while True:
            version, status, reason, fields = self._read_head()
            if len(fields) > MAX_FIELDS:
                raise http.client.HTTPException(f"the server sent more than {MAX_FIELDS} header fields")
            if status >= 200 or status == http.HTTPStatus.SWITCHING_PROTOCOLS:
                break  # else an interim response, such as 103 Early Hints (RFC 8297): another one follows
        head = self.head = ResponseHeaders(status, reason, version, tuple(fields))
        self.code = self.status = status
        lengths = set(head.all("Content-Length"))
        if len(lengths) > 1:  # RFC 9112 section 6.3
            raise http.client.HTTPException("the server sent different values of Content-Length")
        self.chunked = any(value.lower() == "chunked" for value in head.all("Transfer-Encoding"))
        self.chunk_left = None
        length = lengths.pop() if lengths else ""
        self.length = None
        if status in (204, 304) or self._has_no_body:
            self.length, self.chunked = 0, False
        elif length.isascii() and length.isdigit() and not self.chunked:
            self.length = int(length)
        options = ",".join(head.all("Connection")).lower()
        is_kept = "close" not in options and (version != "HTTP/1.0" or "keep-alive" in options)
        # with both lengths, a proxy on the way may take the other one (RFC 9112 section 6.3)
        self.will_close = not is_kept or (self.chunked and bool(length)) or (not self.chunked and self.length is None)
        if self.length == 0:
            self._close_conn()

    def _read_head(self) -> tuple[str, int, str, list[tuple[str, str]]]:
        """Return the version, status, reason and fields of the next response."""
        start = self._stream.peek()
        end = start.find(b"\r\n\r\n") + 4
        whole = _RESPONSE.fullmatch(start, 0, end) if end > 3 else None
        if whole is None:
            version, status, reason = self._read_status()  # type: ignore[attr-defined]  # not in the stubs
            if not version.startswith("HTTP/1."):
                raise http.client.UnknownProtocol(version)
            return version, status, reason.strip(), self._read_fields()
        self._stream.skip(end)
        lines = (line.partition(":") for line in whole[4].decode("latin-1").split("\r\n")[:-1])
        fields = [(name, value.strip(" \t")) for name, _, value in lines]
        return f"HTTP/1.{whole[1].decode()}", int(whole[2]), (whole[3] or b"").decode("latin-1").strip(), fields

    def _read_fields(self) -> list[tuple[str, str]]:
        """Return the header fields line by line, without lines that are none."""
        fields: list[tuple[str, str]] = []
        can_continue = False
        while True:
            line = self.fp.readline(_LONGEST_LINE + 1)
            if len(line) > _LONGEST_LINE:
                raise http.client.LineTooLong("header line")
            if not line.endswith(b"\n"):
                raise http.client.IncompleteRead(line)
            text = line.rstrip(b"\r\n").replace(b"\r", b" ").decode("latin-1")
            if not text:
                return fields
            field = _FIELD.match(text)
            if field is not None:
                fields.append((field[1], text[field.end() :].strip(" \t")))
                can_continue = True
            elif can_continue and text[0] in " \t":  # a folded line (RFC 9112 section 5.2)
                name, value = fields.pop()
                fields.append((name, f"{value} {text.strip()}"))
            else:
                can_continue = False
            if len(fields) > MAX_FIELDS:
                return fields

    def readinto1(self, buffer: Any, /) -> int:
        """Read what is there of the body, in one read; return 0 at its end, and raise OSError if that comes early."""
        if self.fp is None:
            return 0
        if self.chunked:
            return self._chunk_into(buffer)
        count: int = self.fp.readinto1(buffer if self.length is None else buffer[: self.length])
        if self.length is not None:
            if not count:
                raise OSError("the connection was closed before the end of the body")
            self.length -= count
        if not count or self.length == 0:
            self._close_conn()
        return count

    def _chunk_into(self, buffer: Any) -> int:
        """Read from a chunk (RFC 9112 section 7.1); `http.client` skips two bytes after it, whatever they are."""
        if not self.chunk_left:
            if self.chunk_left == 0 and self.fp.readline() not in (b"\r\n", b"\n"):
                raise http.client.HTTPException("a chunk is longer than its size")
            size = _CHUNK.fullmatch(self.fp.readline())
            if size is None:
                raise http.client.HTTPException("a chunk without a size")
            self.chunk_left = int(size[1], 16)
            if self.chunk_left == 0:
                while (line := self.fp.readline()) not in (b"\r\n", b"\n"):  # the trailer
                    if not line:
                        raise http.client.HTTPException("the last chunk is incomplete")
                self._close_conn()
                return 0
        count: int = self.fp.readinto1(buffer[: self.chunk_left])
        if not count:
            raise OSError("the connection was closed before the end of the body")
        self.chunk_left -= count
        return count

    def close(self) -> None:
        """End it as it is; nobody looks for more bytes on a connection that may be closed."""
        self.fp = None
        super().close()

    def _close_conn(self) -> None:
        """At the end of the body, look for more bytes; the stream stays open for the next response."""
        self.fp = None
        if not self.will_close:
            self.has_excess = bool(self._stream.buffered()) or self._stream.wire.has_more()

"""The server of a gateway: each request goes to the session, and its response to the client as it arrives.

The session's requests block, so they run in threads. So does each read of a body: no thread waits for a slow client, and
no more than two pieces of a body are in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import requests
from aiohttp import web
from urllib3.exceptions import HTTPError

from argosy.errors import (
    ArgosyError,
    ConfigError,
    Interrupted,
    PluginError,
    Refused,
    ServiceDown,
    SessionError,
    StorageError,
    TransferError,
)
from argosy.toolkit.failures import reason_of
from argosy.toolkit.redaction import Redactor
from argosy.toolkit.text import one_line
from argosy.toolkit.urls import redact_url
from argosy_gateway import door, fields
from argosy_gateway.door import Denied, Door
from argosy_gateway.routes import Routes

logger = logging.getLogger(__name__)

#: Requests that wait for the session or for the headers of a response at the same time, and reads of bodies; more queue.
THREADS = 64
#: Bytes of a body to read at a time.
PIECE = 256 * 1024
#: Bytes of a request's body that stay in memory, and that it may have; between the two, a temporary file keeps it.
IN_MEMORY, LARGEST = 1 << 20, 1 << 30
#: Seconds after which a client that reads nothing of a body is cut off.
STALLED = 600.0
#: Bytes and seconds to read on after a client has left: the session may wait for the end of the body.
ABANDONED, ABANDONED_SECONDS = 8 << 20, 5.0
#: Bytes of a line of a request's head: URLs may have long signatures.
_LONGEST_LINE = 64 * 1024
#: Methods that may be sent again after a connection broke (RFC 9110 section 9.2.2).
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})

#: aiohttp's own messages, which may have parts of a request, and so the secret.
_silent = logging.getLogger(f"{__name__}.aiohttp")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class Gateway:
    """Passes requests to the session of `argosy.open_session`.

    `tokens` are the names of header fields in which the session has tokens.
    """

    def __init__(
        self,
        session: requests.Session,
        routes: Routes,
        listener: socket.socket,
        redactor: Redactor,
        tokens: frozenset[str] = frozenset(),
    ) -> None:
        self._session = session
        self._routes = routes
        self._listener = listener
        self._path = listener.getsockname() if listener.family == socket.AF_UNIX else None
        self._redactor = redactor
        self._tokens = tokens
        self._door = Door(listener)
        # apart, because a session may wait for the end of a body
        self._senders = ThreadPoolExecutor(THREADS, thread_name_prefix="argosy-gateway")
        self._readers = ThreadPoolExecutor(THREADS, thread_name_prefix="argosy-gateway-body")
        self._active = 0
        self._idle = asyncio.Event()
        self._is_stopping = False
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """The URL that programs use, without a slash at its end."""
        return self._door.url

    @property
    def active(self) -> int:
        """The requests that are not done."""
        return self._active

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins of the service."""
        return self._routes.origins

    async def start(self, on_start: Callable[[], None] = lambda: None) -> None:
        """Accept requests from now on; `on_start` shows the URL, which nothing else may do after it."""
        server = _Server(
            self._handle,
            access_log=None,
            logger=_silent,
            auto_decompress=False,  # bodies go to the service as they are
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.SockSite(self._runner, self._listener).start()
        on_start()
        self._redactor.add(self._door.secret)

    async def refuse(self) -> None:
        """Accept no more requests."""
        self._is_stopping = True
        if self._runner is not None:
            for site in list(self._runner.sites):
                await site.stop()

    async def drain(self) -> None:
        """Accept no more requests, and wait for those that are not done."""
        await self.refuse()
        while self._active:
            self._idle.clear()
            await self._idle.wait()

    def leave(self) -> None:
        """Remove a Unix socket; for an end without `close`."""
        if self._path is not None:
            Path(self._path).unlink(missing_ok=True)

    async def close(self) -> None:
        """End the connections and threads; call it after `drain`."""
        if self._runner is not None:
            await self._runner.cleanup()
        self._senders.shutdown()
        self._readers.shutdown()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        begun = time.monotonic()
        self._active += 1
        exchange = _Exchange()
        try:
            return await self._answer(request, exchange)
        except Denied as error:
            exchange.status = error.status
            refusal = _plain(error.status, error.text)
            if error.location:
                refusal.headers["Location"] = error.location
            return refusal
        except (ArgosyError, requests.RequestException) as error:
            exchange.status, text = _failure(error)
            text = self._redactor.scrub(text)
            exchange.note = one_line(text)
            return self._failed(request, exchange, _plain(exchange.status, text))
        except ConnectionError:
            exchange.note = exchange.note or "the client left"
            raise
        except Exception as error:
            # not its text, which may have secrets
            exchange.status, exchange.note = 500, f"unexpected {type(error).__name__}"
            logger.debug("unexpected error", exc_info=True)
            text = "The gateway failed unexpectedly; its log (-vv) says more."
            return self._failed(request, exchange, _plain(500, text))
        finally:
            self._active -= 1
            self._idle.set()
            milliseconds = (time.monotonic() - begun) * 1000
            note = f" ({exchange.note})" if exchange.note else ""
            logger.info(
                "%s %s %d %d bytes %.0f ms%s",
                one_line(request.method),
                one_line(redact_url(exchange.path)),
                exchange.status,
                exchange.sent,
                milliseconds,
                note,
            )

    def _failed(self, request: web.BaseRequest, exchange: _Exchange, failure: web.Response) -> web.Response:
        """Return the response that says why a request failed; if another one has begun, break that one off."""
        if not exchange.is_begun:
            return failure
        if request.transport is not None:
            request.transport.close()
        raise ConnectionResetError(exchange.note)

    async def _answer(self, request: web.BaseRequest, exchange: _Exchange) -> web.StreamResponse:
        self._lead_back(request, exchange)
        path, base = self._door.enter(request.raw_path, request.headers, request.headers.getall("Host", []))
        exchange.path = path
        url = self._routes.url(path)
        if url is None:
            known = ", ".join(f"{prefix}/..." for prefix in self._routes.paths)
            raise Denied(404, f"Paths of this gateway begin with the host of the service: {known}")
        if self._is_stopping:
            raise Denied(503, "The gateway is stopping.")
        upgrade = request.headers.get("Upgrade", "h2c").lower()
        if upgrade != "h2c" or request.method == "CONNECT":  # HTTP/2 may be ignored (RFC 9110 section 7.8)
            raise Denied(501, "The gateway passes plain requests only.")
        headers = fields.for_service(request.headers.items(), self._routes, base)
        async with contextlib.AsyncExitStack() as stack:
            body = await self._received(request, stack)

            def send() -> requests.Response:
                if request.transport is None or request.transport.is_closing():
                    raise ConnectionResetError  # the client left while its request was queued
                return self._send(request.method, url, headers, body)

            response = await self._in_thread(self._senders, send)
            try:
                return await self._passed(request, response, base, exchange)
            finally:
                await self._in_thread(self._readers, _end, response)

    def _lead_back(self, request: web.BaseRequest, exchange: _Exchange) -> None:
        """Redirect a request that a link of a page led away, as the link begins with ``/``."""
        page, target = self._door.page(request.headers.get("Referer", "")), request.raw_path
        if page is None or not target.startswith("/") or target.startswith(f"/{self._door.secret}"):
            return
        prefix = next((prefix for prefix in self._routes.paths if page.startswith(f"{prefix}/")), "")
        exchange.path = target
        raise Denied(307, "The link leads to the gateway.", f"/{self._door.secret}{prefix}{target}")

    async def _in_thread(self, pool: ThreadPoolExecutor, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(pool, function, *arguments)

    async def _received(self, request: web.BaseRequest, stack: contextlib.AsyncExitStack) -> bytes | _Upload | None:
        """Return the body of a request once all of it is here: others wait while it goes to the service.

        It may be sent again after a refusal, too.
        """
        if not request.body_exists:
            return None
        if (request.content_length or 0) > LARGEST:
            raise Denied(413, f"The gateway takes no more than {LARGEST} bytes.")
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        data, file, size = bytearray(), None, 0
        async for piece in request.content.iter_any():
            size += len(piece)
            if size > LARGEST:
                raise Denied(413, f"The gateway takes no more than {LARGEST} bytes.")
            if file is None and size > IN_MEMORY:
                file = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
                await self._in_thread(self._readers, file.write, data)
            if file is None:
                data += piece
            else:
                await self._in_thread(self._readers, file.write, piece)
        return bytes(data) if file is None else _Upload(file, size)

    def _send(self, method: str, url: str, headers: dict[str, str], body: bytes | _Upload | None) -> requests.Response:
        """Send a request on the session; return the response with its body unread."""
        options: dict[str, Any] = {"headers": headers, "stream": True, "allow_redirects": False}
        if body is not None:
            options["data"] = body
        try:
            return self._session.request(method, url, **options)
        except (requests.exceptions.SSLError, requests.exceptions.ProxyError, requests.Timeout):
            raise
        except requests.ConnectionError:
            # most often, the service closed an idle connection
            if method not in _REPEATABLE or body is not None:
                raise
            return self._session.request(method, url, **options)

    async def _passed(
        self, request: web.BaseRequest, response: requests.Response, base: str, exchange: _Exchange
    ) -> web.StreamResponse:
        """Send a response to the client, at its speed."""
        raw: Any = response.raw
        url = response.request.url or ""
        pairs = fields.for_client(raw.headers.items(), self._routes, url, base, self._redactor, self._tokens)
        passed = web.StreamResponse(status=response.status_code, reason=_reason(response.reason))
        for name, value in pairs:
            passed.headers.add(name, value)
        has_body = request.method != "HEAD" and not response.is_redirect and response.status_code not in (204, 304)
        length = response.headers.get("Content-Length", "")
        if response.is_redirect and request.method != "HEAD":  # argosy does not keep its body
            passed.headers.popall("Content-Type", None)
            passed.content_length = 0
        elif length.isascii() and length.isdecimal() and "Transfer-Encoding" not in response.headers:
            passed.headers["Content-Length"] = length
        exchange.status = response.status_code
        exchange.is_begun = True
        await passed.prepare(request)
        if has_body:
            await self._stream(request, raw, passed, exchange)
        await passed.write_eof()
        return passed

    async def _stream(
        self, request: web.BaseRequest, raw: Any, passed: web.StreamResponse, exchange: _Exchange
    ) -> None:
        """Send a body; read the next piece while the client takes one."""
        reading: asyncio.Future[memoryview] = asyncio.ensure_future(self._in_thread(self._readers, _piece, raw))
        try:
            while piece := await reading:
                reading = asyncio.ensure_future(self._in_thread(self._readers, _piece, raw))
                async with asyncio.timeout(STALLED):
                    await passed.write(piece)
                exchange.sent += len(piece)
        except (HTTPError, TransferError, OSError) as error:
            # the client must see that the body is incomplete: a connection that ends, without the last chunk
            left = isinstance(error, (ConnectionError, TimeoutError))
            exchange.note = "the client left" if left else f"the body ended early: {reason_of(error)}"
            if request.transport is not None:
                request.transport.close()
            raise ConnectionResetError(exchange.note) from None
        finally:
            with contextlib.suppress(Exception):
                await reading  # nothing else may use the response meanwhile


class _Exchange:
    """What the log says about a request and its response."""

    path = "-"  # of requests without the secret
    status = 0
    sent = 0  # bytes of the body
    note = ""
    is_begun = False  # whether the client has a part of the response


class _Upload:
    """The body of a request in a file; each iteration starts at its beginning."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        while piece := self._file.read(IN_MEMORY):
            yield piece


class _Server(web.Server):
    """Closes the connections of other users at once."""

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        """Take a connection."""
        super().connection_made(handler, transport)
        connection = transport.get_extra_info("socket")
        try:
            if door.is_own(connection):
                return
        except OSError:  # the client has left
            return
        logger.warning("a connection of another user was refused")
        transport.abort()


def _piece(raw: Any) -> memoryview:
    """Return the bytes of a body that are there; none at its end."""
    buffer = memoryview(bytearray(PIECE))
    return buffer[: raw.readinto(buffer)]


def _end(response: requests.Response) -> None:
    """End a response; one whose client left is read on for a moment."""
    raw: Any = response.raw
    end, left = time.monotonic() + ABANDONED_SECONDS, ABANDONED
    with contextlib.suppress(OSError, HTTPError, TransferError, ValueError):
        while left > 0 and time.monotonic() < end and (piece := _piece(raw)):
            left -= len(piece)
    response.close()


def _reason(reason: str | None) -> str | None:
    return reason if reason and reason.isascii() and reason.isprintable() else None


def _plain(status: int, text: str) -> web.Response:
    """Return a response of the gateway itself."""
    return web.Response(status=status, text=f"argosy gateway: {text}\n", headers={"Cache-Control": "no-store"})


def _failure(error: Exception) -> tuple[int, str]:
    """Return the status and the text for a request that got no response."""
    if isinstance(error, ArgosyError):
        text = f"{error.message} {error.hint}" if error.hint else error.message
        kinds: list[tuple[type[ArgosyError] | tuple[type[ArgosyError], ...], int]] = [
            (Refused, 403),
            ((SessionError, ServiceDown, Interrupted), 503),
            ((ConfigError, PluginError, StorageError), 500),
        ]
        is_down = isinstance(error, TransferError) and error.kind == "down"
        return next((status for kind, status in kinds if isinstance(error, kind)), 503 if is_down else 502), text
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader)):
        return 400, "The service cannot be asked for this: the URL or a header field is not valid."
    if isinstance(error, requests.Timeout):
        return 504, "The service did not respond in time."
    if isinstance(error, requests.ConnectionError):
        return 502, f"The service cannot be reached: {reason_of(error)}."
    return 502, f"The request failed: {reason_of(error)}."

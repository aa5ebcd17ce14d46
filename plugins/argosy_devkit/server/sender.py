"""Sends a planned response."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from argosy_devkit.server.answer import Answer
from argosy_devkit.server.counters import Counters
from argosy_devkit.server.http import Connection, http_date, render_head

_SLICE_SECONDS = 0.02
_CHUNK = 262_144
_SMALL = 65_536


def _head(answer: Answer, now: float) -> bytes:
    headers = [("Date", http_date(now)), *answer.first_headers]
    headers += [("Set-Cookie", value) for value in answer.set_cookies]
    headers += answer.token_fields
    headers += [(name, value) for name, value in answer.headers if value]
    length = str(answer.size) if answer.length is None else answer.length
    own = {"Content-Type": answer.content.type, "Content-Length": length}
    if answer.status == 206:
        own["Content-Range"] = f"bytes {answer.start}-{answer.stop - 1}/{answer.content.size}"
    given = {name.lower() for name, _ in answer.headers}
    headers += [(name, value) for name, value in own.items() if value and name.lower() not in given]
    return answer.before + render_head(answer.status, headers)


async def send(
    connection: Connection, answer: Answer, counters: Counters, now: float, before_last: Callable[[], None]
) -> bool:
    """Send a response; return whether its body was sent completely.

    `now` is the server's time in seconds since the epoch; `before_last` is called before the last bytes of a complete body.
    """
    head = _head(answer, now)
    if answer.head_pause:
        for index in range(len(head)):
            await connection.send(head[index : index + 1])
            await asyncio.sleep(answer.head_pause)
        head = b""
    if not answer.body:
        before_last()
        await connection.send(head)
        return True
    with counters.streaming():
        stop = answer.stop if answer.send_until is None else answer.start + answer.send_until
        sent = await _send_body(connection, answer, counters, head, stop, before_last)
        if answer.extra:
            await connection.send(answer.extra)
        return sent == answer.size


async def _send_body(
    connection: Connection,
    answer: Answer,
    counters: Counters,
    head: bytes,
    stop: int,
    before_last: Callable[[], None],
) -> int:
    step = _CHUNK if not answer.rate else max(1, min(_SMALL, int(answer.rate * _SLICE_SECONDS)))
    offset, began = answer.start, time.monotonic()
    if head and (answer.rate or stop - offset > _SMALL or stop < answer.stop):
        await connection.send(head)
        head = b""
    while offset < stop:
        data = answer.content.read(offset, min(step, stop - offset))
        if not data:
            break  # the file has become shorter
        offset += len(data)
        if answer.rate:  # scheduled by the body's own clock, so delays do not add up
            await asyncio.sleep(began + (offset - answer.start) / answer.rate - time.monotonic())
        if offset == answer.stop:
            before_last()
        counters.bytes_sent += len(data)
        wire = b"%x\r\n%b\r\n" % (len(data), bytes(data)) if answer.chunked else data
        await connection.send(b"".join((head, wire)) if head else wire)
        head = b""
        if stop - offset > _SMALL:
            await asyncio.sleep(0)  # let other connections run
    if answer.size == 0:
        before_last()
    if head or (answer.chunked and offset == answer.stop):
        await connection.send(head + (b"0\r\n\r\n" if answer.chunked else b""))
    return offset - answer.start

"""The plan of one answer: all that will be put on the wire. Faults change the plan before it is sent."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, auto

from argosy_devkit.server.content import Content, Page
from argosy_devkit.server.http import Request

_RANGE = re.compile(r"bytes=(\d*)-(\d*)\s*")


class Ending(Enum):
    """What happens to the connection after the answer."""

    KEEP = auto()
    CLOSE = auto()
    RESET = auto()
    HANG = auto()


@dataclass(slots=True)
class Answer:
    """One answer.

    Parameters
    ----------
    status
        The final status.
    content
        Where the body comes from.
    start, stop
        Which bytes of it are the body.
    headers
        All but ``Set-Cookie``, and what the plan itself says unless it stands here: ``Content-Type``, ``Content-Length``
        and ``Content-Range``. One without a value is left out.
    first_headers
        Stand before ``Set-Cookie``; one without a name stands as it is.
    set_cookies
        The values of ``Set-Cookie``.
    length
        ``Content-Length`` as text; None for the true one, empty for none at all.
    body
        Whether the body is sent (not for HEAD, 204 and 304).
    before
        Bytes before the status line.
    send_until
        Bytes of the body after which the connection ends; None for all of it.
    extra
        Bytes after the body's end.
    chunked
        Whether the body comes in chunks.
    rate
        Bytes per second; 0 for as fast as can be.
    late
        Seconds before the headers, beside those of every answer.
    head_pause
        Seconds between two bytes of the headers.
    silent
        Whether nothing at all is sent.
    ending
        What happens to the connection then.
    hang_seconds
        How long it hangs (None for as long as the client does), or stays open before it is closed.
    library
        Whether the body is what was asked for, and no page about it.
    """

    status: int
    content: Content
    start: int = 0
    stop: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    first_headers: list[tuple[str, str]] = field(default_factory=list)
    set_cookies: list[str] = field(default_factory=list)
    length: str | None = None
    body: bool = True
    before: bytes = b""
    send_until: int | None = None
    extra: bytes = b""
    chunked: bool = False
    rate: float = 0.0
    late: float = 0.0
    head_pause: float = 0.0
    silent: bool = False
    ending: Ending = Ending.KEEP
    hang_seconds: float | None = None
    library: bool = False

    @property
    def size(self) -> int:
        """The length of the body as it should be."""
        return self.stop - self.start

    def replace_content(self, status: int, content: Content, headers: list[tuple[str, str]]) -> None:
        """Answer with something else, whole; cookies and all that was changed already stay."""
        self.content.close()
        self.status, self.content, self.headers = status, content, headers
        self.start, self.stop, self.library = 0, content.size, False

    def set_header(self, name: str, value: str) -> None:
        """Give a header another value, or leave it out where that is empty."""
        self.headers = [header for header in self.headers if header[0].lower() != name.lower()]
        self.headers.append((name, value))

    def cut_at(self, fraction: float) -> None:
        """End the connection after this part of the body, and before its end."""
        self.send_until = min(int(self.size * fraction), max(self.size - 1, 0))
        self.ending = Ending.CLOSE


def plain(status: int, text: str, headers: list[tuple[str, str]] | None = None) -> Answer:
    """Return an answer of one line of text."""
    page = Page(f"{text}\n".encode(), "text/plain; charset=utf-8")
    return Answer(status, page, 0, page.size, headers or [])


def page(status: int, html: str) -> Answer:
    """Return an answer that is an HTML page."""
    content = Page(html.encode())
    return Answer(status, content, 0, content.size, [("Cache-Control", "no-store")])


def of_content(content: Content, request: Request) -> Answer:
    """Return the answer to a request for content: 200, 206, 304 or 416 (RFC 9110 sections 13 and 14)."""
    validators = [("ETag", content.etag), ("Last-Modified", content.last_modified)] if content.etag else []
    headers = [("Accept-Ranges", "bytes"), *validators]
    if _is_unchanged(content, request):
        return Answer(304, content, 0, 0, headers, length="", body=False)
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if asked is None or asked.groups() == ("", "") or not _range_applies(content, request):
        return Answer(200, content, 0, content.size, headers, library=True)
    start, stop = _bounds(asked.group(1), asked.group(2), content.size)
    if asked.group(2) and asked.group(1) and int(asked.group(2)) < int(asked.group(1)):
        return Answer(
            200, content, 0, content.size, headers, library=True
        )  # no valid range: as if there were none
    if start >= stop:
        answer = plain(
            416, "There is no such range.", [*headers, ("Content-Range", f"bytes */{content.size}")]
        )
        content.close()
        return answer
    return Answer(206, content, start, stop, headers, library=True)


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(size - int(last), 0), size
    return int(first), min(int(last) + 1, size) if last else size


def _is_unchanged(content: Content, request: Request) -> bool:
    if not content.etag or request.method not in ("GET", "HEAD"):
        return False
    tags = request.headers.get("if-none-match")
    if tags is not None:
        return tags.strip() == "*" or content.etag in [tag.strip() for tag in tags.split(",")]
    return request.headers.get("if-modified-since") == content.last_modified


def _range_applies(content: Content, request: Request) -> bool:
    condition = request.headers.get("if-range")
    return request.method == "GET" and (
        condition is None or condition in (content.etag, content.last_modified)
    )

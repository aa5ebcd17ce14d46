"""The plan of a response: everything that will be sent. Faults change the plan first."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, auto

from argosy_devkit.server.content import Content, Page
from argosy_devkit.server.http import Request

_RANGE = re.compile(r"bytes=(\d*)-(\d*)\s*")


class Ending(Enum):
    """What happens to the connection after the response."""

    KEEP = auto()
    CLOSE = auto()
    RESET = auto()
    HANG = auto()


@dataclass(slots=True)
class Answer:
    """A response.

    `headers` exclude ``Set-Cookie``; they override ``Content-Type``, ``Content-Length`` and ``Content-Range`` of the plan, and
    one without a value is removed. `first_headers` come before ``Set-Cookie``; one without a name is sent unchanged.
    `token_fields` are the header fields with new tokens. `length` is the text of ``Content-Length``: None for the true one, empty for none.
    """

    status: int
    content: Content
    start: int = 0
    stop: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    first_headers: list[tuple[str, str]] = field(default_factory=list)
    set_cookies: list[str] = field(default_factory=list)
    token_fields: list[tuple[str, str]] = field(default_factory=list)
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
        """The correct length of the body."""
        return self.stop - self.start

    def replace_content(self, status: int, content: Content, headers: list[tuple[str, str]]) -> None:
        """Replace the content; tokens, cookies and earlier changes remain."""
        self.content.close()
        self.status, self.content, self.headers = status, content, headers
        self.start, self.stop, self.library = 0, content.size, False

    def set_header(self, name: str, value: str) -> None:
        """Give a header another value, or remove it if that is empty."""
        self.headers = [header for header in self.headers if header[0].lower() != name.lower()]
        self.headers.append((name, value))

    def cut_at(self, fraction: float) -> None:
        """End the connection after this fraction of the body, but before its end."""
        self.send_until = min(int(self.size * fraction), max(self.size - 1, 0))
        self.ending = Ending.CLOSE


def plain(status: int, text: str, headers: list[tuple[str, str]] | None = None) -> Answer:
    """Return a response with one line of text."""
    page = Page(f"{text}\n".encode(), "text/plain; charset=utf-8")
    return Answer(status, page, 0, page.size, headers or [])


def page(status: int, html: str) -> Answer:
    """Return a response with an HTML page."""
    content = Page(html.encode())
    return Answer(status, content, 0, content.size, [("Cache-Control", "no-store")])


def of_content(content: Content, request: Request) -> Answer:
    """Return the response to a request for content: 200, 206, 304 or 416 (RFC 9110 sections 13 and 14)."""
    validators = [("ETag", content.etag), ("Last-Modified", content.last_modified)] if content.etag else []
    headers = [("Accept-Ranges", "bytes"), *validators]
    if _is_unchanged(content, request):
        return Answer(304, content, 0, 0, headers, length="", body=False)
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if asked is None or asked.groups() == ("", "") or not _range_applies(content, request):
        return Answer(200, content, 0, content.size, headers, library=True)
    start, stop = _bounds(asked.group(1), asked.group(2), content.size)
    if asked.group(2) and asked.group(1) and int(asked.group(2)) < int(asked.group(1)):
        return Answer(200, content, 0, content.size, headers, library=True)  # an invalid range is ignored
    if start >= stop:
        answer = plain(416, "Range not satisfiable.", [*headers, ("Content-Range", f"bytes */{content.size}")])
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
    return request.method == "GET" and (condition is None or condition in (content.etag, content.last_modified))

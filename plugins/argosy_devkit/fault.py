"""A fault of a library server."""

from __future__ import annotations

from dataclasses import dataclass

from argosy.errors import ConfigError

#: The kinds of faults.
FAULT_KINDS = (
    "cut",  # the connection ends in the middle of the body
    "status",  # an error status, with an optional Retry-After
    "lost",  # the request is accepted and the token replaced, but the connection closes without a response
    "reset",  # like lost, but with a reset; with a fraction: in the middle of the body
    "hang",  # the request is accepted, but no response comes
    "close_after",  # a complete response, then the connection closes without notice (after some seconds)
    "drip_headers",  # the headers arrive byte by byte
    "slow_drip",  # the body arrives at a few bytes per second
    "wrong_range",  # 206 with another range than requested
    "ignore_range",  # 200 for a request for a range
    "no_length",  # no Content-Length: the body ends with the connection
    "chunked",  # no Content-Length: the body comes in chunks
    "longer",  # the body is longer than its Content-Length
    "bad_length",  # an invalid Content-Length
    "redirect",  # some hops, a loop, or a redirect to another URL
    "login_page",  # the session ends, and the login page comes with status 200
    "gzip_truncated",  # a truncated gzip body with a matching Content-Length
    "late",  # the headers arrive some seconds late
    "early_hints",  # 103 before the response
    "broken_headers",  # an invalid header line before Set-Cookie
    "huge_headers",  # a header that is too long, or too many headers, before Set-Cookie
    "header",  # a response header has another value or is missing
    "etag_change",  # the resource changes permanently: other bytes, another ETag
    "delete_cookie",  # the token is deleted (Max-Age=0), and the session ends
    "foreign_cookie",  # also cookies for other domains and for a public suffix
)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault and when it occurs.

    A fault only affects accepted requests for content, unless `path` is the login page. It counts the requests that match
    `path` and `session`; `first`, `every`, `probability` and `times` must all allow the current one.

    Parameters
    ----------
    kind
        One of `FAULT_KINDS`.
    path
        Only requests with this text in their target.
    session
        Only requests of the session of this login, counted from 1.
    every
        Only every n-th match.
    first
        Only the first n matches.
    times
        At most n times.
    probability
        Only with this probability.
    each_path
        Whether `every`, `first` and `times` count separately for each path.
    fraction
        The part of the body that arrives (``cut``, ``reset``, ``gzip_truncated``).
    status
        The status (``status``).
    retry_after
        Its ``Retry-After``: seconds, or any text.
    retry_after_date
        The same as an HTTP date, in seconds from now.
    to
        The target (``redirect``).
    hops
        The number of redirects before the content; 0 for a loop.
    seconds
        The duration of ``hang``, or until ``close_after`` closes the connection; the delay of the headers (``late``); or
        the pause between two of their bytes (``drip_headers``).
    rate
        Bytes per second (``slow_drip``).
    size
        Additional bytes (``longer``), or the size of each header line (``huge_headers``).
    count
        The number of header lines (``huge_headers``).
    length
        The value of ``Content-Length`` (``bad_length``).
    header, value
        A header and its value; an empty value removes it (``header``).
    only
        Only responses with this status; 0 for any (``header``).
    """

    kind: str
    path: str = ""
    session: int | None = None
    every: int = 1
    first: int | None = None
    times: int | None = None
    probability: float = 1.0
    each_path: bool = False
    fraction: float | None = None
    status: int = 503
    retry_after: float | str | None = None
    retry_after_date: float | None = None
    to: str = ""
    hops: int = 1
    seconds: float | None = None
    rate: float = 5.0
    size: int | None = None
    count: int = 1
    length: str = "-5"
    header: str = ""
    value: str = ""
    only: int = 0

    def __post_init__(self) -> None:
        if self.kind not in FAULT_KINDS:
            raise ConfigError(
                f"Unknown fault {self.kind!r}.",
                hint=f"Available: {', '.join(FAULT_KINDS)}.",
            )
        if self.every < 1:
            raise ConfigError(f"Invalid value {self.every} for every: it must be at least 1.")

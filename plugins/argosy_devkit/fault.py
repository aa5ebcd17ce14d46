"""A fault that a library server is told to have."""

from __future__ import annotations

from dataclasses import dataclass

from argosy.errors import ConfigError

#: What can go wrong.
FAULT_KINDS = (
    "cut",  # the connection ends in the middle of the body
    "status",  # an error status, with Retry-After if wanted
    "lost",  # accepted, the token replaced, and closed without an answer
    "reset",  # as lost, but by a reset; with a fraction: in the middle of the body
    "hang",  # accepted, and nothing ever comes
    "close_after",  # a whole answer, then the connection is closed without a word (after so many seconds)
    "drip_headers",  # the headers come byte by byte
    "slow_drip",  # the body comes at a few bytes a second
    "wrong_range",  # 206 with another range than asked for
    "ignore_range",  # 200 to a request for a range
    "no_length",  # no Content-Length: the body ends with the connection
    "chunked",  # no Content-Length: the body comes in chunks
    "longer",  # the body is longer than its Content-Length
    "bad_length",  # a Content-Length that is no length
    "redirect",  # some hops, a loop, or away to another URL
    "login_page",  # the session ends, and the login page comes with status 200
    "gzip_truncated",  # a gzip body that ends early, with a Content-Length that fits
    "late",  # the headers come so many seconds later
    "early_hints",  # 103 before the answer
    "broken_headers",  # a line that is no header before Set-Cookie
    "huge_headers",  # too long a header, or too many, before Set-Cookie
    "header",  # a header of the answer has another value, or is left out
    "etag_change",  # the resource changes for good: other bytes, another ETag
    "delete_cookie",  # the token is deleted (Max-Age=0), and the session ends
    "foreign_cookie",  # cookies for other domains and a public suffix as well
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, and when.

    A fault considers accepted requests for content only, unless `path` names the login page. Among those
    that match it counts; `first`, `every`, `probability` and `times` say which of them it strikes, and must all agree.

    Parameters
    ----------
    kind
        One of `FAULT_KINDS`.
    path
        Strikes only where this stands in the request's target.
    session
        Strikes only requests of the session of this login, counted from 1.
    every
        Strikes every so manieth match.
    first
        Strikes the first so many matches only.
    times
        Strikes so often at most.
    probability
        Strikes a match with this probability.
    each_path
        Whether `every`, `first` and `times` count for each path by itself.
    fraction
        How much of the body comes (``cut``, ``reset``, ``gzip_truncated``).
    status
        The status (``status``).
    retry_after
        Its ``Retry-After``: seconds, or any text.
    retry_after_date
        The same as an HTTP date, so many seconds from now.
    to
        Where to (``redirect``).
    hops
        How many redirects before the content comes; 0 for a loop.
    seconds
        How long ``hang`` lasts, or ``close_after`` keeps the connection open, reading nothing; how much later the headers come (``late``); or the pause between two of their bytes
        (``drip_headers``).
    rate
        Bytes per second (``slow_drip``).
    size
        Bytes too many (``longer``), or in each header line (``huge_headers``).
    count
        How many header lines (``huge_headers``).
    length
        The text of ``Content-Length`` (``bad_length``).
    header, value
        A header, and its value; left out where the value is empty (``header``).
    only
        Strikes answers with this status only; 0 for any (``header``).
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
                f"The library server knows no fault {self.kind!r}.",
                hint=f"There are: {', '.join(FAULT_KINDS)}.",
            )
        if self.every < 1:
            raise ConfigError(f"A fault strikes every {self.every} requests; that must be at least 1.")

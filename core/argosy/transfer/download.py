"""Downloading one resource into staging: request, resume, verify, retry.

`Downloader.download` is the entry; `_Download` holds the state of one resource and reads from top to bottom.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests

from argosy.errors import Refused, TransferError, VerificationError
from argosy.events import EventKind
from argosy.http.body import coding_of, discard, inflated, is_plain, left_over, peek
from argosy.models.items import Resource, StagedFile
from argosy.ratelimit.limiter import RateLimiter, retry_after
from argosy.state.staging import Staging
from argosy.toolkit.failures import UNREACHED, disk_errors
from argosy.toolkit.login_pages import is_html, is_page_for_file
from argosy.toolkit.names import safe_part
from argosy.toolkit.stop import Stop
from argosy.transfer.classify import network_errors
from argosy.transfer.content_disposition import content_disposition, renamed
from argosy.transfer.limits import CHECK_EVERY, Limits
from argosy.transfer.response_record import response_record
from argosy.transfer.resume import (
    RESUME_MIN,
    Partial,
    ResumeState,
    content_range,
    strong_date,
    strong_etag,
    unsatisfied_length,
)
from argosy.transfer.verify import (
    CHUNK,
    Digests,
    content_digest,
    content_md5,
    hash_file,
    representation_digest,
    verify_file,
)

#: Digits of a length that are accepted: no file has 10^18 bytes, and int() takes quadratic time.
MAX_DIGITS = 18

#: Statuses that may be different next time, even without ``Retry-After``.
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})

#: Throttled responses (429, 503 with ``Retry-After``) per resource, beside `max_retries`.
MAX_THROTTLED = 20

#: Attempts per resource at a host that worked before and cannot be reached now.
MAX_UNREACHED = 100

#: The longest pause between two attempts, in seconds.
MAX_BACKOFF = 60.0

#: A piece of the body is written at this size, or after so many seconds: a slow body shows progress and can be stopped.
PIECE_BYTES, PIECE_SECONDS = CHUNK // 2, 0.25

#: Bytes of a body that tell whether it is an HTML page.
PAGE_START = 512

#: Takes the events of a resource: the kind, and the data described at `EventKind`.
Report = Callable[[EventKind, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Downloader:
    """Downloads resources; any number of threads may use it.

    Parameters
    ----------
    get
        Sends an authorized GET: ``get(url, headers=...)`` returns a response whose body is unread.
    rate_limiter
        Knows which hosts worked before.
    stop
        Tells when to stop.
    limits
        The limits of the run.
    max_retries
        Further attempts in a row that make no progress, per resource.
    retry_delay
        Seconds; the pause before retry n is random between 0 and ``retry_delay * 2**n`` (full jitter).
    redact
        Removes secrets from the parts of a response that are kept.
    """

    get: Callable[..., requests.Response]
    rate_limiter: RateLimiter
    stop: Stop
    limits: Limits
    max_retries: int
    retry_delay: float
    redact: Callable[[str], str]

    def download(
        self, resource: Resource, number: int, staging: Staging, report: Report, *, last: bool = False
    ) -> StagedFile:
        """Download a resource into staging, complete and verified.

        Parameters
        ----------
        resource
            The resource.
        number
            Its number in the item.
        staging
            The item's staging folder.
        report
            Takes the events.
        last
            Whether it is the item's last resource.

        Raises
        ------
        TransferError
            If it cannot be downloaded.
        SessionError, StorageError, Interrupted
            If the run cannot continue.
        """
        return _Download(self, resource, number, staging, report, last=last).run()


class _Retries:
    """Decides whether and when to try a resource again. Not reaching a host that worked before is no attempt."""

    def __init__(self, options: Downloader) -> None:
        self.count = 0
        self._most = options.max_retries
        self._delay = options.retry_delay
        self._was_there = options.rate_limiter.was_there
        self._used = self._throttled = self._unreached = 0

    def renew(self) -> None:
        """Start counting again: the last attempt made progress."""
        self._used = self._unreached = 0

    def after(self, error: TransferError) -> float:
        """Return the seconds to wait before the next attempt; raise the error if there is none."""
        self.count += 1
        throttled = error.retry_after is not None or getattr(error, "status", None) == 429
        if throttled and self._throttled < MAX_THROTTLED:
            self._throttled += 1
            return self._backoff(self._throttled) if error.retry_after is None else error.retry_after
        unreached = error.kind in UNREACHED and self._unreached < MAX_UNREACHED
        if unreached and self._was_there(getattr(error, "host", "")):
            self._unreached += 1
            return self._backoff(self._unreached)
        if error.retryable and self._used < self._most:
            self._used += 1
            return self._backoff(self._used)
        raise error

    def _backoff(self, number: int) -> float:
        return random.uniform(0, min(self._delay * 2 ** (number - 1), MAX_BACKOFF))  # noqa: S311 - not a secret


class _Expected(NamedTuple):
    """What a response will bring, according to its headers."""

    #: The length of the whole file; None if unknown or compressed.
    length: int | None = None
    #: The position in the file after the last byte of this response, if known.
    end: int | None = None
    #: Digests of the content of this response alone.
    content: Mapping[str, str] = {}


class _Download:
    """The download of one resource."""

    def __init__(
        self,
        options: Downloader,
        resource: Resource,
        number: int,
        staging: Staging,
        report: Report,
        *,
        last: bool,
    ) -> None:
        self._options = options
        self._resource = resource
        self._limits = options.limits
        self._notes = staging.notes
        self._report = report
        self._last = last
        self._final = staging.whole(number, resource)
        self._partial = Partial(staging.partial(number, resource))

    def run(self) -> StagedFile:
        """Return the complete and verified file."""
        staged = self._finished_before() or self._with_retries()
        data = {"url": staged.resource.url, "path": staged.resource.path, "bytes": staged.size}
        self._report(EventKind.RESOURCE_FINISHED, {**data, "verification": staged.verification.value})
        return staged

    def _finished_before(self) -> StagedFile | None:
        """Return the file if an earlier attempt at the item completed it."""
        if not self._final.exists():
            return None
        try:
            staged = verify_file(self._resource, self._final, hash_file(self._resource, self._final))
        except VerificationError:  # it was damaged since
            self._final.unlink()
            return None
        name, response = self._notes.read(self._final)
        resource = renamed(self._resource, name) if self._resource.content_disposition else self._resource
        return replace(staged, resource=resource, response=response)

    def _with_retries(self) -> StagedFile:
        options, partial, most = self._options, self._partial, 0
        retries = _Retries(options)
        while True:
            try:
                with disk_errors(partial.path), partial.lock():
                    return self._attempt()
            except TransferError as error:
                if partial.size >= most + RESUME_MIN:
                    retries.renew()
                most = max(most, partial.size)
                delay = retries.after(error)
                data = {"url": self._resource.url, "attempt": retries.count, "cause": error.message}
                self._report(EventKind.RESOURCE_RETRY, {**data, "seconds": round(delay, 3)})
                options.stop.sleep(delay)

    def _attempt(self) -> StagedFile:
        """Request the file or the rest of it; after a failure, keep what the next attempt can resume."""
        partial = self._partial
        try:
            if partial.is_complete:  # killed between the last byte and the verification
                return self._finish(self._digests(), length_known=True)
            conditions = partial.conditions(provable=bool(self._expected_digests))
            while (staged := self._request(conditions)) is None:
                conditions = {}  # the rest is not available: request all of it
            return staged
        except VerificationError:
            partial.discard()
            raise
        except BaseException:
            partial.keep()
            raise

    def _request(self, conditions: Mapping[str, str]) -> StagedFile | None:
        """Send one request and receive the file; None if a conditional request did not get the rest."""
        partial, resource = self._partial, self._resource
        try:
            with network_errors(resource):
                response = self._options.get(resource.url, headers=conditions)
        except Refused:
            if not conditions:
                raise
            return None
        with contextlib.closing(response):
            try:
                expected = self._prepare(response, conditional=bool(conditions))
            except TransferError as error:
                discard(response)
                if conditions and _rejects_range(error):
                    return None  # the partial file stays until the whole one comes
                raise
            if expected is None:
                discard(response)
                partial.empty()
                return None
            size = expected.length if expected.length is not None else resource.size
            data = {"url": resource.url, "path": resource.path, "size": size, "offset": partial.size}
            self._report(EventKind.RESOURCE_STARTED, data)
            digests = self._digests()
            if response.status_code == 416:
                discard(response)
            else:
                with network_errors(resource):
                    self._receive(response, expected, digests)
            if left_over(response) and not self._expected_digests:
                raise VerificationError(
                    f"The body is longer than the announced {expected.length} bytes.",
                    kind="length",
                    retryable=True,
                )
        return self._finish(digests, length_known=expected.length is not None)

    def _prepare(self, response: requests.Response, *, conditional: bool) -> _Expected | None:
        """Check the headers and position the partial file; None if the response is not the rest of it."""
        if conditional and response.status_code == 416:
            # RFC 9110 section 15.5.17: we may have it all
            length = unsatisfied_length(response.headers.get("Content-Range"))
            if length != self._partial.size or self._unchanged(response, length) is None:
                return None
            return _Expected(length, 0)
        if conditional and response.status_code == 206:
            return self._prepare_rest(response)
        return self._prepare_all(response)

    def _prepare_all(self, response: requests.Response) -> _Expected:
        """Get ready for the whole file."""
        check_status(response)
        self._refuse_page(response)
        length, size = content_length(response), self._resource.size
        plain = is_plain(response)
        if plain and length is not None and size is not None and length != size:
            raise VerificationError(f"Wrong size: {length} bytes announced, {size} expected.", kind="size")
        self._limits.max_bytes(size, length)
        self._limits.check_room((length or 0) - self._partial.size)
        record = response_record(response, self._options.redact)
        if not plain:  # the file differs from the bytes received: ranges and digests do not apply to it
            self._partial.begin(ResumeState(name=self._name(response), response=record), resumable=False)
            return _Expected()
        state = _state_of(response, length)
        # the content is the whole here
        digests = state.digests or content_digest(response.headers) or content_md5(response.headers)
        state = replace(state, digests=digests, name=self._name(response), response=record)
        provable = bool(self._resource.digests or digests)
        self._partial.begin(state, resumable=provable or state.validator is not None)
        return _Expected(length, length)

    def _prepare_rest(self, response: requests.Response) -> _Expected | None:
        """Get ready for the rest; None if the response is not the rest of our file (RFC 9110 section 15.3.7)."""
        part = content_range(response.headers.get("Content-Range"))
        if part is None or part.first != self._partial.size or not is_plain(response):
            return None
        if "multipart/byteranges" in response.headers.get("Content-Type", "").lower():
            return None
        state = self._unchanged(response, part.length)
        if state is None or state.length is None or part.last >= state.length:
            return None
        if content_length(response) not in (None, part.size):
            return None
        self._limits.max_bytes(self._resource.size, state.length)
        self._limits.check_room(part.size)
        self._partial.resume(state)
        return _Expected(state.length, part.last + 1, content_digest(response.headers))

    def _unchanged(self, response: requests.Response, length: int | None) -> ResumeState | None:
        """Return the state of the partial file; None if the response is of another representation."""
        state = self._partial.state
        if state is None:
            return None
        lengths = {n for n in (length, self._resource.size, state.length) if n is not None}
        if len(lengths) > 1:
            return None
        now, headers = _state_of(response, None), response.headers
        if state.etag is not None and "ETag" in headers and now.etag != state.etag:
            return None
        if state.modified is not None and headers.get("Last-Modified", state.modified) != state.modified:
            return None
        if any(now.digests.get(name, value) != value for name, value in state.digests.items()):
            return None
        if now.place != state.place and not self._resource.digests:
            return None
        return replace(state, length=lengths.pop() if lengths else None)

    def _refuse_page(self, response: requests.Response) -> None:
        """Raise if an HTML page comes instead of another kind of file; a promised size or digest decides instead."""
        resource = self._resource
        promised = resource.digests or resource.size is not None
        if self._limits.pages or promised or not is_html(response.headers):
            return
        path = renamed(resource, self._name(response)).path
        with network_errors(resource):
            start = peek(response, PAGE_START)
        if is_page_for_file(resource.url, path, start):
            raise TransferError(
                f"An HTML page came instead of the file {path.rpartition('/')[2]!r}.",
                kind="page",
                hint="Open the URL in a browser: it may ask for a login. If you want the page, give the resource a path"
                " that ends in .html.",
            )

    def _receive(self, response: requests.Response, expected: _Expected, digests: Digests) -> None:
        """Write the body to the partial file."""
        partial, size, stop = self._partial, self._resource.size, self._options.stop
        most = self._limits.max_bytes(size, None) if expected.end is None else expected.end
        content = Digests(expected.content)
        next_check = partial.size + CHECK_EVERY
        for data in _decoded(response, stop.check):
            stop.check()
            if partial.size + len(data) > most:
                raise self._too_long(most, known=expected.end is not None or size is not None)
            partial.write(data)
            digests.update(data)
            content.update(data)
            if partial.size >= next_check:
                next_check = partial.size + CHECK_EVERY
                self._limits.check_room()
            self._report(EventKind.RESOURCE_PROGRESS, {"bytes": len(data)})
        if content.mismatch(expected.content) is not None and not self._resource.digests:
            raise VerificationError(
                "The content does not match its Content-Digest.", kind="digest", retryable=True
            )
        if is_plain(response) and partial.size < (size or expected.length or 0):
            raise TransferError("The body ended early.", kind="cut", retryable=True)

    @staticmethod
    def _too_long(most: int, *, known: bool) -> VerificationError:
        if known:
            return VerificationError(f"The body is longer than the expected {most} bytes.", kind="size")
        return VerificationError(
            f"Too large: more than {most} bytes, and the length is unknown.",
            kind="too-large",
            hint='Raise "max_size" in the configuration, or give the size in the manifest.',
        )

    def _finish(self, digests: Digests, *, length_known: bool) -> StagedFile:
        """Verify and sync the file, then rename it."""
        staged = verify_file(
            self._resource,
            self._final,
            digests,
            announced=self._expected_digests,
            length_known=length_known,
        )
        self._partial.sync()
        state = self._partial.state
        if state is not None:
            self._notes.write(self._final, state.name, state.response, later=self._last)
            staged = replace(staged, resource=renamed(self._resource, state.name), response=state.response)
        self._partial.finish(self._final)
        return staged

    def _name(self, response: requests.Response) -> str | None:
        """Return the file name that the server gives, if it is asked for."""
        if not self._resource.content_disposition:
            return None
        name = content_disposition(response.headers)
        return name and safe_part(self._options.redact(name), keep_suffix=True)

    @property
    def _expected_digests(self) -> Mapping[str, str]:
        """The digests of the whole file: the source's, or else the server's."""
        if self._resource.digests or self._partial.state is None:
            return self._resource.digests
        return self._partial.state.digests

    def _digests(self) -> Digests:
        """Return the digests of the bytes so far."""
        digests = Digests({"sha256", *self._expected_digests})
        for data in self._partial.read():
            digests.update(data)
        return digests


def content_length(response: requests.Response) -> int | None:
    """Return the announced length (RFC 9110 section 8.6), or None.

    Raises
    ------
    TransferError
        If the field is not a length.
    """
    value = response.headers.get("Content-Length")
    if value is None or "chunked" in response.headers.get("Transfer-Encoding", "").lower():
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS):
        raise TransferError(f"Invalid Content-Length {value[:40]!r}.", kind="length", retryable=True)
    return int(value)


def check_status(response: requests.Response) -> None:
    """Check that a response brings the resource.

    Raises
    ------
    TransferError
        If not; it says whether and when to try again.
    """
    status = response.status_code
    if status not in (200, 203):
        raise TransferError(
            f"The server answered {status} {response.reason or ''}".rstrip() + ".",
            kind="status",
            retryable=status in TRANSIENT,
            retry_after=retry_after(status, response.headers),
            status=status,
        )


def _rejects_range(error: TransferError) -> bool:
    """Return whether a status may be about the range or its condition rather than the resource.

    Known cases: 403 from services that do not allow ranges, 431 for a long entity tag in ``If-Range``.
    """
    transient = error.retryable or error.retry_after is not None
    return error.kind == "status" and not transient and getattr(error, "status", None) not in (404, 410)


def _state_of(response: requests.Response, length: int | None) -> ResumeState:
    """Return what a response says about its representation."""
    headers = response.headers
    # a date is only a validator if there is no entity tag at all, not even a weak one (RFC 9110 section 13.1.5)
    modified = None if "ETag" in headers else strong_date(headers.get("Last-Modified"), headers.get("Date"))
    place = urlsplit(response.url)._replace(query="", fragment="").geturl()
    return ResumeState(
        etag=strong_etag(headers.get("ETag")),
        modified=modified,
        place=hashlib.blake2b(place.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest(),
        length=length,
        digests=representation_digest(headers),
    )


def _decoded(response: requests.Response, check: Callable[[], None]) -> Iterator[bytes]:
    """Yield the body, decompressed if it was compressed although we did not ask for it.

    `check` is called after each read, as a compressed body may yield nothing for long.
    """
    raw = _pieces(response.raw.read1, check)
    yield from raw if is_plain(response) else inflated(raw, coding_of(response.headers))


def _pieces(read1: Callable[..., bytes], check: Callable[[], None]) -> Iterator[bytes]:
    """Yield the raw body in pieces worth writing; before an error, yield the bytes that came first."""
    parts: list[bytes] = []
    size, since = 0, time.monotonic()
    while True:
        try:
            data = read1(CHUNK, decode_content=False)
        except BaseException:
            if parts:
                yield b"".join(parts)
            raise
        now = time.monotonic()
        if data:
            parts.append(data)
            size += len(data)
        if parts and (not data or size >= PIECE_BYTES or now - since >= PIECE_SECONDS):
            yield parts[0] if len(parts) == 1 else b"".join(parts)
            parts, size, since = [], 0, now
        if not data:
            return
        check()

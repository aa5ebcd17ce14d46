"""Reading a response: its status and its length.

When a resource is tried again: how often, and after which pause.

One attempt at a resource: ask for all of it or for the rest, take what comes, check it.

Fetching one resource into staging: how often it is tried.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial as partial_call
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import requests

from argosy.errors import Refused, TransferError, VerificationError
from argosy.http.body import discard, is_plain, left_over, peek
from argosy.models.items import Resource, StagedFile
from argosy.models.response_record import ResponseRecord
from argosy.ratelimit.limiter import RateLimiter
from argosy.ratelimit.retry_after import retry_after
from argosy.state.staging import Staging
from argosy.toolkit.failures import UNREACHED
from argosy.toolkit.login_pages import is_html, is_page_for_file
from argosy.toolkit.names import safe_part
from argosy.toolkit.stop import Stop
from argosy.transfer.body import iter_body
from argosy.transfer.classify import causes, disk
from argosy.transfer.content_disposition import content_disposition, renamed
from argosy.transfer.limits import LOOK_EVERY, Limits
from argosy.transfer.response_record import record_of
from argosy.transfer.resume import (
    WORTH,
    Partial,
    ResumeState,
    content_range,
    strong_date,
    strong_etag,
    unsatisfied_length,
)
from argosy.transfer.verify import (
    Digests,
    checked,
    content_digest,
    content_md5,
    digests_of,
    representation_digest,
)

#: Digits of a length that are believed: 10^18 bytes are more than any file has, and int() refuses thousands.
MOST_DIGITS = 18

#: Statuses that may be different next time, though the server did not ask for patience.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


def content_length(response: requests.Response) -> int | None:
    """Return the announced length (RFC 9110 section 8.6); a length that is none is an error."""
    value = response.headers.get("Content-Length")
    if value is None or "chunked" in response.headers.get("Transfer-Encoding", "").lower():
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= MOST_DIGITS):
        raise TransferError(
            f"The server announces {value[:40]!r} as a length.", kind="length", retryable=True
        )
    return int(value)


def judge_status(response: requests.Response) -> None:
    """Raise where the response does not bring the resource.

    Raises
    ------
    TransferError
        With what a later attempt needs to know: whether it makes sense, and when.
    """
    status = response.status_code
    if status in (200, 203):
        return
    raise TransferError(
        f"The server answered {status} {response.reason or ''}".rstrip() + ".",
        kind="status",
        retryable=status in PASSING,
        retry_after=retry_after(status, response.headers),
        status=status,
    )


#: Times a server may ask for patience (429, 503) for one resource, beside `max_retries`.
MOST_THROTTLES = 20

#: Times a host that was there may be out of reach for one resource; before that the outage is over, or the run.
MOST_UNREACHED = 100

#: The longest pause between two attempts, in seconds.
LONGEST_BACKOFF = 60.0


class Retries:
    """The further attempts of one resource.

    Parameters
    ----------
    most
        How many there are.
    delay
        Seconds; the pause before attempt n is random between 0 and ``delay * 2**n`` (full jitter).
    was_there
        Says of a host whether it was there before in this run, and an outage of it is waited for. Then a
        request that did not reach it is no attempt: it is the host's fault alone.
    """

    def __init__(self, most: int, delay: float, was_there: Callable[[str], bool]) -> None:
        self.count = 0
        self._most = most
        self._delay = delay
        self._was_there = was_there
        self._used = self._throttles = self._unreached = 0

    def renew(self) -> None:
        """Begin anew with the attempts: the last one got on."""
        self._used = self._unreached = 0

    def after(self, error: TransferError) -> float:
        """Return the seconds to wait before the next attempt.

        Raises
        ------
        TransferError
            The error itself, if there is no further attempt.
        """
        self.count += 1
        patience = error.retry_after is not None or getattr(error, "status", None) == 429
        if patience and self._throttles < MOST_THROTTLES:
            self._throttles += 1
            return self._backoff(self._throttles) if error.retry_after is None else error.retry_after
        if (
            error.kind in UNREACHED
            and self._unreached < MOST_UNREACHED
            and self._was_there(getattr(error, "host", ""))
        ):
            self._unreached += 1
            return self._backoff(self._unreached)
        if error.retryable and self._used < self._most:
            self._used += 1
            return self._backoff(self._used)
        raise error

    def _backoff(self, number: int) -> float:
        longest = min(self._delay * 2 ** (number - 1), LONGEST_BACKOFF)
        return random.uniform(0, longest)  # noqa: S311 - no secret


#: Bytes of a body that tell whether it is a page.
START = 512


class Get(Protocol):
    """Sends an authorised GET with some more headers, and returns the response with its body unread."""

    def __call__(self, url: str, *, headers: Mapping[str, str]) -> requests.Response:
        """Send it."""


#: Writes down what a server calls a file, and the head of its response.
Note = Callable[[str | None, ResponseRecord | None], None]


@dataclass(frozen=True, slots=True)
class _Expected:
    """What a response will bring, as its headers say.

    Parameters
    ----------
    length
        The length of the whole file; None where nobody says it, or where the body is compressed.
    stop
        The position in the file behind the last byte of this response, where it is known.
    content
        Digests of what this response alone brings.
    """

    length: int | None = None
    stop: int | None = None
    content: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at one resource.

    Parameters
    ----------
    get
        Sends the requests.
    resource
        What is wanted.
    partial
        What has come of it so far, opened.
    limits
        What may be taken at most.
    stop
        Says whether to go on.
    started
        Called at the headers, with the whole length where it is known, and the bytes that are there already.
    received
        Called with the size of each piece.
    redact
        Takes secrets out of what is kept of a response.
    note
        Writes down the name and the head that came with the whole, before it is called whole.
    """

    get: Get
    resource: Resource
    partial: Partial
    limits: Limits
    stop: Stop
    started: Callable[[int | None, int], None]
    received: Callable[[int], None]
    redact: Callable[[str], str]
    note: Note

    def run(self, whole: Path) -> StagedFile:
        """Get the resource, check it, and give it the name of a whole file.

        What came is kept for the next attempt where that can go on from it.

        Parameters
        ----------
        whole
            The name.

        Raises
        ------
        TransferError
            If it did not come, or not all of it, or something else.
        StorageError
            If the disk fails.
        """
        try:
            with disk(self.partial.path):
                if self.partial.is_whole:  # a kill came between its last byte and its check
                    return self._finished(self._digests(), whole, length_known=True)
                conditions = self.partial.conditions(provable=bool(self._promises))
                while (staged := self._ask(whole, conditions)) is None:
                    conditions = {}  # the rest cannot be had, so ask for all of it
                return staged
        except VerificationError:
            with disk(self.partial.path):
                self.partial.discard()
            raise
        except BaseException:
            self.partial.keep()
            raise

    def _ask(self, whole: Path, conditions: Mapping[str, str]) -> StagedFile | None:
        """Send one request and take its answer; None if it was conditional and did not get the rest."""
        partial, resource = self.partial, self.resource
        try:
            with causes(resource):
                response = self.get(resource.url, headers=conditions)
        except Refused:
            if not conditions:
                raise
            return None
        with contextlib.closing(response):
            try:
                if conditions and response.status_code == 416:
                    length = self._nothing_left(response)
                    expected = None if length is None else _Expected(length, 0)
                elif conditions and response.status_code == 206:
                    expected = self._rest(response)
                else:
                    expected = self._all(response)
            except TransferError as error:
                discard(response)
                if conditions and _refuses_range(error):
                    return None  # what is there is kept until the whole comes
                raise
            if expected is None:
                discard(response)
                partial.empty()
                return None
            self.started(expected.length if expected.length is not None else resource.size, partial.size)
            digests = self._digests()
            if response.status_code == 416:
                discard(response)
            else:
                with causes(resource):
                    self._take(response, expected, digests)
            if left_over(response) and not self._promises:
                raise VerificationError(
                    f"The body is longer than the {expected.length} bytes that the server announces.",
                    kind="length",
                    retryable=True,
                )
        return self._finished(digests, whole, length_known=expected.length is not None)

    def _all(self, response: requests.Response) -> _Expected:
        """Make ready for the whole file: at first, and where the server or the file is not what it was."""
        judge_status(response)
        self._refuse_page(response)
        length, size = content_length(response), self.resource.size
        plain = is_plain(response)
        if plain and length is not None and size is not None and length != size:
            raise VerificationError(
                f"The server announces {length} bytes where {size} are promised.", kind="size"
            )
        self.limits.cap(size, length)
        self.limits.check_room((length or 0) - self.partial.size)
        if not plain:  # what is written is not what is on the wire: neither ranges nor digests speak of it
            known = ResumeState(name=self._name(response), response=record_of(response, self.redact))
            self.partial.begin(known, worth=False)
            return _Expected()
        known = _known(response, length)
        if not known.digests:  # the content is the whole
            whole = content_digest(response.headers) or content_md5(response.headers)
            known = replace(known, digests=whole)
        known = replace(known, name=self._name(response), response=record_of(response, self.redact))
        provable = bool(self.resource.digests or known.digests)
        self.partial.begin(known, worth=provable or known.validator is not None)
        return _Expected(length, length)

    def _refuse_page(self, response: requests.Response) -> None:
        """Raise if an HTML page came for a file that is none by its name; a promised size or digest decides instead."""
        resource = self.resource
        if (
            self.limits.pages
            or resource.digests
            or resource.size is not None
            or not is_html(response.headers)
        ):
            return
        path = renamed(resource, self._name(response)).path
        with causes(resource):
            start = peek(response, START)
        if is_page_for_file(resource.url, path, start):
            raise TransferError(
                f"An HTML page came instead of the file {path.rpartition('/')[2]!r}.",
                kind="page",
                hint="Look at it with a browser: it may ask for a login. If the page is what you want, give the"
                " resource a path that ends in .html.",
            )

    def _rest(self, response: requests.Response) -> _Expected | None:
        """Make ready for the rest; None where it is not the rest of what is there (RFC 9110 section 15.3.7)."""
        part = content_range(response.headers.get("Content-Range"))
        if part is None or part.first != self.partial.size or not is_plain(response):
            return None
        if "multipart/byteranges" in response.headers.get("Content-Type", "").lower():
            return None
        known = self._same(response, part.length)
        if known is None or known.length is None or part.last >= known.length:
            return None
        if content_length(response) not in (None, part.size):
            return None
        self.limits.cap(self.resource.size, known.length)
        self.limits.check_room(part.size)
        self.partial.resume(known)
        return _Expected(known.length, part.last + 1, content_digest(response.headers))

    def _nothing_left(self, response: requests.Response) -> int | None:
        """Return the length of what is there, if the server says that this is all (RFC 9110 section 15.5.17)."""
        length = unsatisfied_length(response.headers.get("Content-Range"))
        if length != self.partial.size or self._same(response, length) is None:
            return None
        return length

    def _same(self, response: requests.Response, length: int | None) -> ResumeState | None:
        """Return what is known of the file now; None where the response is of another one than what is there."""
        known = self.partial.known
        if known is None:
            return None
        lengths = {n for n in (length, self.resource.size, known.length) if n is not None}
        if len(lengths) > 1:
            return None
        now, given = _known(response, None), response.headers
        if known.etag is not None and "ETag" in given and now.etag != known.etag:
            return None
        if known.modified is not None and given.get("Last-Modified", known.modified) != known.modified:
            return None
        if any(now.digests.get(name, value) != value for name, value in known.digests.items()):
            return None
        if now.place != known.place and not self.resource.digests:
            return None
        return replace(known, length=lengths.pop() if lengths else None)

    def _take(self, response: requests.Response, expected: _Expected, digests: Digests) -> None:
        """Take the body."""
        partial, size = self.partial, self.resource.size
        cap = self.limits.cap(size, None) if expected.stop is None else expected.stop
        content = Digests(expected.content)
        look = partial.size + LOOK_EVERY
        for piece in iter_body(response, self.stop.check):
            self.stop.check()
            if partial.size + len(piece) > cap:
                raise self._too_long(cap, announced=expected.stop is not None)
            partial.write(piece)
            digests.update(piece)
            content.update(piece)
            if partial.size >= look:
                look = partial.size + LOOK_EVERY
                self.limits.check_room()
            self.received(len(piece))
        if content.differing(expected.content) is not None and not self.resource.digests:
            raise VerificationError(
                "What came is not what the server announced of it (Content-Digest).",
                kind="digest",
                retryable=True,
            )
        if is_plain(response) and partial.size < (size or expected.length or 0):
            raise TransferError(
                "The body ended early: the rest is still to come.", kind="cut", retryable=True
            )

    def _too_long(self, cap: int, *, announced: bool) -> VerificationError:
        if self.resource.size is not None or announced:
            who = "are promised" if self.resource.size is not None else "the server announces"
            return VerificationError(f"The body is longer than the {cap} bytes that {who}.", kind="size")
        return VerificationError(
            f"The body goes on after {cap} bytes, and nobody says how long it is.",
            kind="too-large",
            hint='Raise "max_size" in the configuration, or give the size in the manifest.',
        )

    def _finished(self, digests: Digests, whole: Path, *, length_known: bool) -> StagedFile:
        """Check what is there, put it on the disk, and give it its name."""
        announced = {} if self.resource.digests else self._promises
        staged = checked(self.resource, whole, digests, announced=announced, length_known=length_known)
        self.partial.sync()
        known = self.partial.known
        if known is not None:
            self.note(known.name, known.response)
            staged = replace(staged, resource=renamed(self.resource, known.name), response=known.response)
        self.partial.finish(whole)
        return staged

    def _name(self, response: requests.Response) -> str | None:
        if not self.resource.content_disposition:
            return None
        name = content_disposition(response.headers)
        return name and safe_part(self.redact(name), keep_suffix=True)

    @property
    def _promises(self) -> Mapping[str, str]:
        """The digests that decide about the whole: the source's, or else the server's."""
        if self.resource.digests or self.partial.known is None:
            return self.resource.digests
        return self.partial.known.digests

    def _digests(self) -> Digests:
        """Return the digests of what is there: of nothing, at the start."""
        return Digests({"sha256", *self._promises}).take(self.partial.iter_body())


def _refuses_range(error: TransferError) -> bool:
    """Return whether a status may be the answer to the range or its condition, rather than to the request.

    Known cases: 403 by services that allow no ranges, 431 for a long entity tag in ``If-Range``.
    """
    passing = error.retryable or error.retry_after is not None
    return error.kind == "status" and not passing and getattr(error, "status", None) not in (404, 410)


def _known(response: requests.Response, length: int | None) -> ResumeState:
    """Return what a response says of its representation."""
    headers = response.headers
    etag = strong_etag(headers.get("ETag"))
    # a date may be used only where there is no entity tag, not even a weak one (RFC 9110 section 13.1.5)
    modified = None if "ETag" in headers else strong_date(headers.get("Last-Modified"), headers.get("Date"))
    place = urlsplit(response.url)._replace(query="", fragment="").geturl()
    return ResumeState(
        etag=etag,
        modified=modified,
        place=hashlib.blake2b(place.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest(),
        length=length,
        digests=representation_digest(headers),
    )


@dataclass(frozen=True, slots=True)
class Progress:
    """Whom a fetch tells how it goes on; each is called with the data of its event.

    Parameters
    ----------
    started, received, retry, finished
        Called at the headers (with the whole size, and the bytes that are there already), with each piece,
        before a further attempt, and at the end.
    """

    started: Callable[[Resource, int | None, int], None]
    received: Callable[[int], None]
    retry: Callable[[Resource, int, TransferError, float], None]
    finished: Callable[[Resource, StagedFile], None]


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches resources.

    Parameters
    ----------
    get
        Sends an authorised GET with some more headers, and returns the response with its body unread.
    pacer
        Knows which hosts were there before, for outages.
    stop
        Says whether to go on.
    limits
        What may be taken at most.
    max_retries
        Further attempts in a row that bring nothing worth speaking of, for each resource.
    retry_delay
        Seconds; the pause before attempt n is random between 0 and ``retry_delay * 2**n`` (full jitter).
    redact
        Takes secrets out of what is kept of a response.
    """

    get: Get
    rate_limiter: RateLimiter
    stop: Stop
    limits: Limits
    max_retries: int
    retry_delay: float
    redact: Callable[[str], str]

    def fetch(
        self, resource: Resource, number: int, staging: Staging, progress: Progress, *, last: bool = False
    ) -> StagedFile:
        """Return the resource, whole and checked, in staging.

        Parameters
        ----------
        resource
            What is wanted.
        number
            Which one of the item's it is.
        staging
            The item's staging.
        progress
            Told how it goes on.
        last
            Whether it is the last of the item's.

        Raises
        ------
        TransferError
            If it cannot be had, with its typed cause.
        SessionError, StorageError, Interrupted
            If the run cannot go on.
        """
        whole = staging.whole(number, resource)
        if whole.exists():  # finished by an earlier try that did not come to the end of its item
            try:
                staged = checked(resource, whole, digests_of(resource, whole))
            except VerificationError:  # it was damaged since: fetched as if it had not been there
                whole.unlink()
            else:
                name, response = staging.notes.read(whole)
                called = renamed(resource, name) if resource.content_disposition else resource
                staged = replace(staged, resource=called, response=response)
                progress.finished(staged.resource, staged)
                return staged
        partial, most = Partial(staging.partial(number, resource)), 0
        note = partial_call(staging.notes.write, whole, later=last)
        retries = Retries(self.max_retries, self.retry_delay, self.rate_limiter.was_there)
        while True:
            try:
                staged = self._attempt(resource, partial, whole, progress, note)
            except TransferError as error:
                if partial.size >= most + WORTH:
                    retries.renew()  # it gets on, so that patience begins anew
                most = max(most, partial.size)
                delay = retries.after(error)
                progress.retry(resource, retries.count, error, delay)
                self.stop.sleep(delay)
            else:
                progress.finished(staged.resource, staged)
                return staged

    def _attempt(
        self, resource: Resource, partial: Partial, whole: Path, progress: Progress, note: Note
    ) -> StagedFile:
        with disk(partial.path), partial.opened():
            attempt = Attempt(
                self.get,
                resource,
                partial,
                self.limits,
                self.stop,
                lambda size, there: progress.started(resource, size, there),
                progress.received,
                self.redact,
                note,
            )
            return attempt.run(whole)

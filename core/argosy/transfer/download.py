"""Downloading one resource into staging: request, resume, verify, retry. Start at `Downloader.download`."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import requests
import urllib3.exceptions

from argosy.errors import Refused, TransferError, VerificationError
from argosy.events import EventKind
from argosy.http.body import coding_of, discard, inflated, is_plain, peek
from argosy.models.header_fields import referer_of
from argosy.models.items import Resource, StagedFile, Verification
from argosy.models.response_record import ResponseRecord
from argosy.ratelimit.limiter import THROTTLES, RateLimiter, retry_after
from argosy.state.staging import Notes, Staging
from argosy.toolkit.failures import UNREACHED, cure_of, disk_errors, is_unknown_name, kind_of, reason_of
from argosy.toolkit.hosts import host_key
from argosy.toolkit.names import safe_part
from argosy.toolkit.pages import is_html, is_page_for_file
from argosy.toolkit.responses import DOWNGRADE_HINT, Downgraded, InvalidAnswer
from argosy.toolkit.stop import Stop
from argosy.transfer.headers import (
    content_disposition,
    content_length,
    content_range,
    digest_in,
    response_record,
    unsatisfied_length,
)
from argosy.transfer.limits import CHECK_EVERY, Limits, too_large
from argosy.transfer.names import renamed
from argosy.transfer.resume import RESUME_MIN, Partial, ResumeState

#: Statuses that may be different next time.
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})

#: Statuses that are about the resource. Any other may only refuse the range or its condition: 403 from services that
#: do not allow ranges, 416, 431 for a long entity tag in ``If-Range``.
_OF_RESOURCE = TRANSIENT | {200, 203, 404, 410}

#: Attempts without progress in between, per resource: throttled ones (429, or 503 with ``Retry-After``), and ones that
#: did not reach a host that was reached before.
MAX_THROTTLED, MAX_UNREACHED = 20, 100

#: The longest pause between two attempts, in seconds.
MAX_BACKOFF = 60.0

#: Bytes of each thread's buffer; large enough that the GIL is free most of the time.
BUFFER = 256 * 1024

#: The body is written in pieces of this many bytes, or seconds: a slow body shows progress and can be stopped.
PIECE_BYTES, PIECE_SECONDS = 64 * 1024, 0.25

#: Seconds between two reports of progress.
PROGRESS_SECONDS = 0.1

_of_thread = threading.local()

Bytes = bytes | memoryview

#: Takes the events of a resource: the kind, and the data described at `EventKind`.
Report = Callable[[EventKind, dict[str, Any]], None]


class Digests:
    """Running digests of the same bytes, and their count."""

    def __init__(self, names: Iterable[str]) -> None:
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in names}
        self.size = 0

    def update(self, data: Bytes) -> None:
        """Add bytes."""
        self.size += len(data)
        for digest in self._hashes.values():
            digest.update(data)

    def hex(self, name: str) -> str:
        """Return the digest of an algorithm in hex."""
        return self._hashes[name].hexdigest()

    def mismatch(self, expected: Mapping[str, str]) -> str | None:
        """Return the first algorithm whose digest differs from the expected one, or None."""
        return next((name for name, value in expected.items() if self.hex(name) != value.lower()), None)


class Downloader(NamedTuple):
    """Downloads resources; any number of threads may use it."""

    get: Callable[..., requests.Response]  # sends an authorized GET, or a POST of `data`; the response's body is unread
    rate_limiter: RateLimiter
    stop: Stop
    limits: Limits
    redact: Callable[[str], str]  # removes secrets from a text

    def download(
        self, resource: Resource, number: int, staging: Staging, report: Report, *, last: bool = False
    ) -> StagedFile:
        """Download one resource of an item into staging, complete and verified, or raise TransferError."""
        partial = Partial(staging.whole(number, resource))
        download = _Download(self, resource, partial, staging.notes, report, last)
        staged = download.finished_before() or download.with_retries()
        data = {"url": staged.resource.url, "path": staged.resource.path, "bytes": staged.size}
        report(EventKind.RESOURCE_FINISHED, data | {"verification": staged.verification.value})
        return staged


@dataclass(slots=True)
class _Download:
    """The download of one resource."""

    options: Downloader
    resource: Resource
    partial: Partial
    notes: Notes
    report: Report
    is_last: bool  # of its item

    def finished_before(self) -> StagedFile | None:
        """Return the file if an earlier attempt at the item completed it."""
        whole = self.partial.whole
        if not os.path.exists(whole):  # noqa: PTH110 - for each file: Path.exists takes longer
            return None
        try:
            name, response = self.notes.read(whole)
            return self._verify(self._digests(whole), name if self.resource.content_disposition else None, response)
        except VerificationError:  # it was damaged since
            whole.unlink()
            return None

    def with_retries(self) -> StagedFile:
        failures: Counter[str] = Counter()
        attempts = largest = 0
        while True:
            try:
                with disk_errors(self.partial.whole), self.partial.lock():
                    return self._attempt()
            except TransferError as error:
                attempts += 1
                if self.partial.size >= largest + RESUME_MIN:
                    failures.clear()
                largest = max(largest, self.partial.size)
                delay = self._delay_after(error, failures)
                data = {"url": self.resource.url, "attempt": attempts, "cause": error.message, "kind": error.kind}
                self.report(EventKind.RESOURCE_RETRY, {**data, "seconds": round(delay, 3)})
                self.options.stop.sleep(delay)

    def _delay_after(self, error: TransferError, failures: Counter[str]) -> float:
        """Return the seconds to wait before the next attempt; raise the error if it is final."""
        if error.retry_after is not None or getattr(error, "status", None) == 429:
            cause, most = "throttled", MAX_THROTTLED
        elif error.kind in UNREACHED and self.options.rate_limiter.was_there(getattr(error, "host", "")):
            cause, most = "unreached", MAX_UNREACHED
        else:
            cause, most = "failed", self.options.limits.settings.max_retries if error.retryable else 0
        if self.resource.once and not getattr(error, "unsent", error.kind == "busy"):
            most = 0
            if error.retryable:
                error.hint = 'Check what became of the POST: it is repeated by itself only if it is "repeatable".'
        failures[cause] += 1
        if failures[cause] > most:
            raise error
        if error.retry_after is not None:
            return error.retry_after
        longest = min(self.options.limits.settings.retry_delay * 2 ** (failures[cause] - 1), MAX_BACKOFF)
        return random.uniform(0, longest)  # noqa: S311 - full jitter, not a secret

    def _attempt(self) -> StagedFile:
        """Request the file or the rest of it; if that fails, keep what the next attempt can resume."""
        try:
            if self.partial.size == self.partial.state.length:  # killed before the verification
                return self._finish(self._digests(Path(self.partial.path)))
            conditions = self.partial.conditions(provable=bool(self._expected_digests))
            while (staged := self._request(conditions)) is None:
                conditions = {}  # the rest is not available: request all of it
            return staged
        except VerificationError:
            self.partial.discard()
            raise
        except BaseException:
            self.partial.keep()
            raise

    def _request(self, conditions: Mapping[str, str]) -> StagedFile | None:
        """Send one request and receive the file; return None if a conditional request did not get the rest."""
        resource = self.resource
        fields = {**resource.headers, **referer_of(resource.referer, resource.url), **conditions}
        posted = {} if resource.body is None else {"data": resource.body.encode()}
        fields |= {"Content-Type": resource.content_type} if resource.content_type else {}
        try:
            with network_errors(resource):
                response = self.options.get(resource.url, headers=fields, **posted)
        except Refused:
            if conditions:
                return None
            raise
        with contextlib.closing(response):
            times = {name: getattr(response, f"argosy_{name}_at", None) for name in ("sent", "answered")}
            self.report(EventKind.RESOURCE_ANSWERED, {"url": resource.url, "status": response.status_code, **times})
            end, is_wanted = None, False
            try:
                end = self._prepare(response, conditional=bool(conditions))
                is_wanted = end is not None and response.status_code != 416
            finally:
                if not is_wanted:
                    discard(response)
            if end is None:
                return None
            digests = self._digests(Path(self.partial.path)) if self.partial.size else self._new_digests()
            if is_wanted:
                self._receive(response, end, digests)
        return self._finish(digests)

    def _prepare(self, response: requests.Response, *, conditional: bool) -> int | None:
        """Position the partial file, and return where the body ends at the latest; None if it is not the rest."""
        status = response.status_code
        if conditional and status == 206:
            return self._prepare_rest(response)
        if conditional and status == 416:  # perhaps all bytes are here (RFC 9110 section 15.5.17)
            length = unsatisfied_length(response.headers.get("Content-Range"))
            if length != self.partial.size or not self._matches(response, length):
                return None
            self.partial.resume(length)
            return length
        if conditional and status not in _OF_RESOURCE:
            return None
        check_status(response)
        record = response_record(response, self.options.redact)
        name = content_disposition(response.headers) if self.resource.content_disposition else None
        name = name and safe_part(self.options.redact(name), keep_suffix=True)
        self._refuse_page(response, name)
        length, size, plain = content_length(response), self.resource.size, is_plain(response)
        if plain and None not in (length, size) and length != size:
            raise VerificationError(f"Wrong size: {length} bytes announced, {size} expected.", kind="size")
        end = self.options.limits.max_bytes(size, length if plain else None)
        self.options.limits.check_room((length or 0) - self.partial.size)
        if not plain:  # the file differs from the bytes received: ranges and digests do not apply to it
            self.partial.begin(ResumeState(name=name, response=record), resumable=False)
            return end
        state = ResumeState.of(response, length=length, name=name, response=record)
        # the content is the whole file here
        if not state.digests and (digests := digest_in(response.headers, "Content-Digest", "Content-MD5")):
            state = replace(state, digests=digests)
        # only GET has ranges (RFC 9110 section 14.2)
        resumable = self.resource.body is None and bool(self.resource.digests or state.digests or state.validator)
        self.partial.begin(state, resumable=resumable)
        return end

    def _prepare_rest(self, response: requests.Response) -> int | None:
        """Do the same for a 206 (RFC 9110 section 15.3.7)."""
        part = content_range(response.headers.get("Content-Range"))
        is_single = "multipart/byteranges" not in response.headers.get("Content-Type", "").lower()
        if part is None or not is_single or not is_plain(response) or not self._matches(response, part[2]):
            return None
        first, last, length = part
        size, lengths = last + 1 - first, (length, self.partial.state.length, self.resource.size)
        length = next((known for known in lengths if known is not None), 0)
        if first != self.partial.size or last >= length or content_length(response) not in (None, size):
            return None
        self.options.limits.max_bytes(self.resource.size, length)
        self.options.limits.check_room(size)
        self.partial.resume(length)
        return last + 1

    def _matches(self, response: requests.Response, length: int | None) -> bool:
        """Return whether a response is of the representation that the partial file belongs to."""
        state, now, headers = self.partial.state, ResumeState.of(response), response.headers
        if len({length, self.resource.size, state.length} - {None}) > 1:
            return False
        if state.validator is not None:
            field = "ETag" if state.validator.startswith('"') else "Last-Modified"
            if headers.get(field, state.validator).strip(" \t") != state.validator:
                return False
        if any(now.digests.get(name, value) != value for name, value in state.digests.items()):
            return False
        return now.place == state.place or bool(self.resource.digests)

    def _refuse_page(self, response: requests.Response, name: str | None) -> None:
        """Raise if an HTML page comes instead of another kind of file; a promised size or digest decides instead."""
        resource = self.resource
        promised = resource.digests or resource.size is not None
        if self.options.limits.pages or promised or not is_html(response.headers):
            return
        path = renamed(resource, name).path
        with network_errors(resource):
            start = peek(response, 512)
        if is_page_for_file(resource.url, path, start):
            text = f"An HTML page came instead of the file {path.rpartition('/')[2]!r}."
            hint = "Open the URL in a browser: it may ask for a login. To save the page, use a path that ends in .html."
            raise TransferError(text, kind="page", hint=hint)

    def _receive(self, response: requests.Response, end: int, digests: Digests) -> None:
        """Write the body to the partial file."""
        partial, resource, options = self.partial, self.resource, self.options
        size = resource.size if partial.state.length is None else partial.state.length
        started = {"url": resource.url, "path": resource.path, "size": size, "offset": partial.size}
        times = {name: getattr(response, f"argosy_{name}_at", None) for name in ("sent", "answered")}  # the adapter's
        self.report(EventKind.RESOURCE_STARTED, {**started, **times})
        announced = digest_in(response.headers, "Content-Digest") if response.status_code == 206 else {}
        content = Digests(announced)
        next_check = partial.size + CHECK_EVERY
        raw: Any = response.raw  # an `argosy.http.body.Body`
        body: Iterator[Bytes] = _pieces(raw.readinto, options.stop.check)
        if not is_plain(response):  # the server compressed it unasked
            body = inflated(body, coding_of(response.headers))
        told, told_at = partial.size, time.monotonic()
        try:
            with network_errors(resource):
                for data in body:
                    if partial.size + len(data) > end:
                        if size is None:
                            raise too_large(f"more than {end} bytes, and the length is unknown")
                        raise VerificationError(f"The body is longer than the expected {end} bytes.", kind="size")
                    partial.write(data)
                    digests.update(data)
                    content.update(data)
                    if partial.size >= next_check:
                        next_check = partial.size + CHECK_EVERY
                        options.limits.check_room()
                    if (now := time.monotonic()) - told_at >= PROGRESS_SECONDS:
                        self.report(EventKind.RESOURCE_PROGRESS, {"bytes": partial.size - told})
                        told, told_at = partial.size, now
        finally:
            if partial.size > told:
                self.report(EventKind.RESOURCE_PROGRESS, {"bytes": partial.size - told})
        if content.mismatch(announced) is not None and not resource.digests:
            text = "The content does not match its Content-Digest."
            raise VerificationError(text, kind="digest", retryable=True)
        if is_plain(response) and partial.size < (size or 0):
            raise TransferError("The body ended early.", kind="cut", retryable=True)
        if raw.has_excess and not self._expected_digests:
            text = f"The body is longer than the announced {size} bytes."
            raise VerificationError(text, kind="length", retryable=True)

    def _finish(self, digests: Digests) -> StagedFile:
        """Verify and sync the file, then rename it."""
        state = self.partial.state
        staged = self._verify(digests, state.name, state.response)
        if self.options.limits.settings.syncs_files:
            self.partial.sync()
        self.notes.write(self.partial.whole, state.name, state.response, later=self.is_last)
        self.partial.finish()
        return staged

    def _verify(self, digests: Digests, name: str | None, response: ResponseRecord | None) -> StagedFile:
        """Return the complete file, renamed to the server's `name` if any; a VerificationError if it breaks a promise."""
        resource, expected = self.resource, self._expected_digests
        if resource.size not in (None, digests.size):
            text = f"Wrong size: {digests.size} bytes instead of {resource.size}."
            raise VerificationError(text, kind="size", retryable=True)
        if (algorithm := digests.mismatch(expected)) is not None:
            text = f"Wrong {algorithm}: {digests.hex(algorithm)} instead of {expected[algorithm]}."
            raise VerificationError(text, kind="digest", retryable=True)
        is_size_known = resource.size is not None or self.partial.state.length is not None
        otherwise = Verification.LENGTH if is_size_known else Verification.NONE
        verification = Verification.DIGEST if expected else otherwise
        resource = renamed(resource, name)
        return StagedFile(resource, self.partial.whole, digests.size, digests.hex("sha256"), verification, response)

    @property
    def _expected_digests(self) -> Mapping[str, str]:
        """The digests of the whole file: the source's, or else the server's."""
        return self.resource.digests or self.partial.state.digests

    def _new_digests(self) -> Digests:
        return Digests({"sha256", *self._expected_digests})

    def _digests(self, path: Path) -> Digests:
        """Return the digests of the bytes in a file."""
        digests = self._new_digests()
        with path.open("rb") as file:
            while data := file.read(BUFFER):
                digests.update(data)
        return digests


def check_status(response: requests.Response) -> None:
    """Raise TransferError if a response does not bring the resource."""
    status = response.status_code
    if status not in (200, 203):
        text = f"The server answered {status} {response.reason or ''}".rstrip() + "."
        wait, retryable = retry_after(status, response.headers), status in TRANSIENT
        unsent = status in THROTTLES and not response.history  # it has not begun with the request
        raise TransferError(text, kind="status", retryable=retryable, retry_after=wait, status=status, unsent=unsent)


def _pieces(read: Callable[[memoryview], int], check: Callable[[], None]) -> Iterator[memoryview]:
    """Yield the raw body in pieces worth writing, each in the same buffer; before an error, the bytes that came first."""
    buffer: memoryview | None = getattr(_of_thread, "buffer", None)
    if buffer is None:
        buffer = _of_thread.buffer = memoryview(bytearray(BUFFER))
    size, since = 0, time.monotonic()
    while True:
        try:
            count = read(buffer[size:])
        except BaseException:
            if size:
                yield buffer[:size]
            raise
        size += count
        is_due = not count or size >= PIECE_BYTES or time.monotonic() - since >= PIECE_SECONDS
        if size and is_due:
            yield buffer[:size]
            size, since = 0, time.monotonic()
        if not count:
            return
        check()  # after each read, as a compressed body may yield nothing for long


@contextlib.contextmanager
def network_errors(resource: Resource) -> Iterator[None]:
    """Turn the exceptions of requests and urllib3 into `TransferError`, without their texts, which may hold secrets."""
    try:
        yield
    except requests.TooManyRedirects:
        raise TransferError("Too many redirects.", kind="redirects") from None
    except InvalidAnswer as error:
        raise TransferError(f"Invalid response: {error}.", kind="answer") from None
    except Downgraded as error:
        text = f"Redirect from https to http at {_host(error, resource)}; nothing was sent there."
        raise TransferError(text, kind="downgrade", hint=DOWNGRADE_HINT) from None
    except requests.exceptions.SSLError as error:
        text = f"TLS with {_host(error, resource)} failed: {reason_of(error)}."
        raise TransferError(text, kind="tls", hint=cure_of(error)) from None
    except ValueError:  # of urllib.parse or requests
        text = "The URL, its redirect or a header of the request is not valid."
        raise TransferError(text, kind="url") from None
    except requests.RequestException as error:
        raise _no_response(error, resource) from None
    except urllib3.exceptions.ReadTimeoutError:
        raise TransferError("The body stalled.", kind="stalled", retryable=True) from None
    except urllib3.exceptions.HTTPError as error:
        kind = "reset" if kind_of(error, sent=True) == "reset" else "cut"
        raise TransferError(f"The body broke off: {reason_of(error)}.", kind=kind, retryable=True) from None


def _no_response(error: requests.RequestException, resource: Resource) -> TransferError:
    hop, host = getattr(error, "argosy_hop", None), _host(error, resource)
    sent = hop is None or hop.is_sent
    kind, retryable, hint = kind_of(error, sent=sent), True, None
    if hop is not None and hop.expired:
        kind, text = "deadline", f"No response from {host} before the deadline."
    elif sent:
        text = f"The response of {host} was lost: {reason_of(error)}."
    else:
        where = "The proxy" if isinstance(error, requests.exceptions.ProxyError) else host
        text = f"{where} cannot be reached: {reason_of(error)}."
        # an unknown name is final, unless the host was reached before in this run: the caller decides that
        retryable, hint = not is_unknown_name(error), cure_of(error)
    # not if a redirect was followed: the first request was accepted
    unsent = not sent and hop is not None and (hop.request.method, hop.request.url) == ("POST", resource.url)
    return TransferError(text, kind=kind, retryable=retryable, host=host, hint=hint, unsent=unsent)


def _host(error: requests.RequestException, resource: Resource) -> str:
    """Return the host of the request that failed: the resource's URL may have redirected to it."""
    return host_key((error.request.url if error.request else None) or resource.url)

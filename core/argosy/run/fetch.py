"""Fetching one resource into staging: attempts, causes, streaming, checking."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests

from argosy.cookies.matching import Target
from argosy.errors import TransferError, VerificationError
from argosy.model import Resource, StagedFile
from argosy.run.causes import causes, disk
from argosy.run.checking import Digests, checked
from argosy.run.response import content_length, decoded, is_plain, judge_status
from argosy.run.staging import Staging, sync_file
from argosy.run.stop import Stop
from argosy.transport.body import discard, left_over
from argosy.transport.pacing import Pacer

#: A server that asks for more patience than this many seconds is asked again after it.
LONGEST_RETRY_AFTER = 300.0

#: Times a server may ask for patience (429, 503) for one resource, beside `max_retries`.
MOST_THROTTLES = 20

#: The longest pause between two attempts, in seconds.
LONGEST_BACKOFF = 60.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Whom a fetch tells how it goes on; each is called with the data of its event.

    Parameters
    ----------
    started, received, retry, finished
        Called at the headers, with each piece, before a further attempt, and at the end.
    """

    started: Callable[[Resource, int | None], None]
    received: Callable[[int], None]
    retry: Callable[[Resource, int, TransferError, float], None]
    finished: Callable[[Resource, StagedFile], None]


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches resources.

    Parameters
    ----------
    get
        Sends an authorised GET and returns the response with its body unread.
    pacer
        Told when a host asks for patience.
    stop
        Says whether to go on.
    max_retries
        Further attempts for each resource.
    retry_delay
        Seconds; the pause before attempt n is random between 0 and ``retry_delay * 2**n`` (full jitter).
    """

    get: Callable[[str], requests.Response]
    pacer: Pacer
    stop: Stop
    max_retries: int
    retry_delay: float

    def fetch(self, resource: Resource, number: int, staging: Staging, progress: Progress) -> StagedFile:
        """Return the resource, whole and checked, in staging.

        Raises
        ------
        TransferError
            If it cannot be had, with its typed cause.
        SessionError, StorageError, Interrupted
            If the run cannot go on.
        """
        whole = staging.whole(number)
        if whole.exists():  # finished by an earlier try that did not come to the end of its item
            # where it was damaged since, checked() has removed it, and it is fetched as if it had not been there
            with contextlib.suppress(VerificationError):
                staged = checked(resource, whole, Digests(resource).of_file(whole), length_known=False)
                progress.finished(resource, staged)
                return staged
        retries = throttles = 0
        while True:
            try:
                staged = self._attempt(resource, number, staging, progress)
            except TransferError as error:
                if error.retry_after is not None and throttles < MOST_THROTTLES:
                    throttles += 1
                    delay = min(error.retry_after, LONGEST_RETRY_AFTER)
                    self.pacer.hold_back(Target.of(resource.url).host, delay)
                elif error.retryable and retries < self.max_retries:
                    delay = random.uniform(0, min(self.retry_delay * 2**retries, LONGEST_BACKOFF))  # noqa: S311 - no secret
                    retries += 1
                else:
                    raise
                progress.retry(resource, retries + throttles, error, delay)
                self.stop.sleep(delay)
            else:
                progress.finished(resource, staged)
                return staged

    def _attempt(self, resource: Resource, number: int, staging: Staging, progress: Progress) -> StagedFile:
        with causes(resource):
            response = self.get(resource.url)
        with contextlib.closing(response):
            try:
                judge_status(response)
            except TransferError:
                discard(response)
                raise
            length = content_length(response)
            if (
                length is not None
                and resource.size is not None
                and length != resource.size
                and is_plain(response)
            ):
                raise VerificationError(
                    f"The server announces {length} bytes where {resource.size} are promised.", kind="size"
                )
            progress.started(resource, length if length is not None else resource.size)
            part = staging.partial(number)
            digests = Digests(resource)
            with causes(resource), disk(part):
                self._stream(response, resource, part, digests, progress)
                sync_file(part)
            if left_over(response) and not resource.digests:
                raise TransferError(
                    f"The body is longer than the {length} bytes that the server announces.",
                    kind="length",
                    retryable=True,
                )
        staged = checked(resource, part, digests, length_known=length is not None)
        with disk(part):
            part.replace(staging.whole(number))
        return StagedFile(resource, staging.whole(number), staged.size, staged.sha256, staged.verification)

    def _stream(
        self,
        response: requests.Response,
        resource: Resource,
        part: Path,
        digests: Digests,
        progress: Progress,
    ) -> None:
        limit = resource.size
        with part.open("wb", buffering=0) as file:
            for piece in decoded(response):
                self.stop.check()
                digests.update(piece)
                if limit is not None and digests.size > limit:
                    raise VerificationError(
                        f"The body is longer than the {limit} bytes that are promised.", kind="size"
                    )
                view = memoryview(piece)
                while view:
                    view = view[file.write(view) :]
                progress.received(len(piece))

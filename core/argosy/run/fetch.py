"""Fetching one resource into staging: how often it is tried."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from argosy.cookies.matching import Target
from argosy.errors import TransferError, VerificationError
from argosy.model import Resource, StagedFile
from argosy.run.attempt import Attempt, Get
from argosy.run.causes import disk
from argosy.run.checking import checked, digests_of
from argosy.run.limits import Limits
from argosy.run.partial import WORTH, Partial
from argosy.run.staging import Staging
from argosy.run.stop import Stop
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
        Told when a host asks for patience.
    stop
        Says whether to go on.
    limits
        What may be taken at most.
    max_retries
        Further attempts in a row that bring nothing worth speaking of, for each resource.
    retry_delay
        Seconds; the pause before attempt n is random between 0 and ``retry_delay * 2**n`` (full jitter).
    """

    get: Get
    pacer: Pacer
    stop: Stop
    limits: Limits
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
        whole = staging.whole(number, resource)
        if whole.exists():  # finished by an earlier try that did not come to the end of its item
            try:
                staged = checked(resource, whole, digests_of(resource, whole))
            except VerificationError:  # it was damaged since: fetched as if it had not been there
                whole.unlink()
            else:
                progress.finished(resource, staged)
                return staged
        partial = Partial(staging.partial(number, resource))
        retries = throttles = most = 0
        while True:
            try:
                staged = self._attempt(resource, partial, whole, progress)
            except TransferError as error:
                if partial.size >= most + WORTH:
                    retries = 0  # it gets on, so that patience begins anew
                most = max(most, partial.size)
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

    def _attempt(self, resource: Resource, partial: Partial, whole: Path, progress: Progress) -> StagedFile:
        with disk(partial.path), partial.opened():
            attempt = Attempt(
                self.get,
                resource,
                partial,
                self.limits,
                self.stop,
                lambda size, there: progress.started(resource, size, there),
                progress.received,
            )
            return attempt.run(whole)

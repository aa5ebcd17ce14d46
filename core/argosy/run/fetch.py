"""Fetching one resource into staging: how often it is tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial as partial_call
from pathlib import Path

from argosy.errors import TransferError, VerificationError
from argosy.model import Resource, StagedFile
from argosy.pacing import Pacer
from argosy.run.attempt import Attempt, Get, Note
from argosy.run.causes import disk
from argosy.run.checking import checked, digests_of
from argosy.run.limits import Limits
from argosy.run.partial import WORTH, Partial
from argosy.run.retrying import Retries
from argosy.run.served_name import renamed
from argosy.run.staging import Staging
from argosy.run.stop import Stop


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
    pacer: Pacer
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
        retries = Retries(self.max_retries, self.retry_delay, self.pacer.was_there)
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

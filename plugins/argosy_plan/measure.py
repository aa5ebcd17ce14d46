"""Measures what one request takes, from the events of runs."""

from __future__ import annotations

import itertools
import json
import statistics
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import argosy
from argosy.errors import SourceError
from argosy.events import Event, EventKind
from argosy.models.session import SessionRecord
from argosy_plan.model import Service

#: How often the store is tried.
TRIES = 20

#: The name of the session with which the store is tried.
TRIAL = "argosy-plan"

_HINT = "To write events: argosy download CONFIG --events FILE"


@dataclass(slots=True)
class Request:
    """One request: times in seconds since the epoch."""

    sent: float
    answered: float
    ended: float = 0.0
    size: int = 0
    queued: bool = False  # whether it waited for the session


class Requests:
    """Collects the requests of one run from its events."""

    def __init__(self) -> None:
        self.done: list[Request] = []
        self.workers = 1
        self._open: dict[str, Request] = {}
        self._queued: set[str] = set()

    def take(self, event: Event) -> None:
        """Take an event."""
        item, data = event.item or "", event.data
        if event.kind is EventKind.RUN_STARTED:
            self.workers = int(data.get("max_workers", 1))
        elif event.kind is EventKind.RESOURCE_WAITING and data.get("for") == "lease":
            self._queued.add(item)
        elif event.kind is EventKind.RESOURCE_STARTED and data.get("sent") and data.get("answered"):
            self._open[item] = Request(data["sent"], data["answered"], queued=item in self._queued)
            self._queued.discard(item)
        elif event.kind is EventKind.RESOURCE_FINISHED and item in self._open:
            request = self._open.pop(item)
            self.done.append(replace(request, ended=event.at, size=int(data.get("bytes") or 0)))

    def service(self, store: float | None = None) -> Service:
        """Return what a request takes; `store` is the time of the cookie store if it was measured by itself.

        Raises
        ------
        SourceError
            If no request has finished.
        """
        if not self.done:
            raise SourceError("No request has finished, so nothing was measured.", hint=_HINT)
        done = sorted(self.done, key=lambda request: request.sent)
        pairs = list(itertools.pairwise(done))
        own, handed = 0.0, [after.sent - before.answered for before, after in pairs if after.queued]
        if self.workers == 1 and pairs:
            own = max(statistics.median(after.sent - before.ended for before, after in pairs) - (store or 0.0), 0.0)
        return Service(
            [request.answered - request.sent for request in done],
            [request.ended - request.answered for request in done],
            max(statistics.median(handed), 0.0) if len(handed) > len(done) / 2 else store or 0.0,
            own,
            [request.size for request in done],
        )


def read_requests(path: Path) -> Requests:
    """Return the requests of the events in a file; raise SourceError if it cannot be read, or has other content."""
    requests = Requests()
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            for number, line in enumerate(stream, 1):
                try:
                    value = json.loads(line)
                    event = Event(EventKind(value["kind"]), float(value["at"]), value["item"], dict(value["data"]))
                except (ValueError, LookupError, TypeError):
                    if requests.done and not line.endswith("\n"):
                        break  # the run was killed while it wrote this line
                    raise SourceError(f"{path}:{number} is not an event of a run.", hint=_HINT) from None
                requests.take(event)
    except OSError as error:
        raise SourceError(f"Cannot read the events {path}: {error.strerror}.", hint=_HINT) from None
    return requests


def time_of_store(options: Mapping[str, Any], base: Path) -> float:
    """Return how many seconds it takes to hold a session, change its record, and give it back; the median."""
    store = argosy.open_store(**options)
    taken = []
    try:
        for _ in range(TRIES):
            began = time.perf_counter()
            release = store.acquire(TRIAL)
            record = store.read(TRIAL) or SessionRecord(TRIAL)
            store.write(replace(record, generation=record.generation + 1), record.generation)
            if release is not None:
                release()
            taken.append(time.perf_counter() - began)
        return statistics.median(taken)
    finally:
        store.remove(TRIAL)
        store.close()


def together(runs: Iterable[Service]) -> Service:
    """Return one service of a serial run and a parallel one: each knows what the other cannot."""
    runs = list(runs)
    first = runs[0]
    return Service(
        [value for run in runs for value in run.headers],
        [value for run in runs for value in run.bodies],
        max(run.store for run in runs),
        first.own,
        [value for run in runs for value in run.sizes],
    )

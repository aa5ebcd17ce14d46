"""Measures what one request takes: from the events of runs, or by downloading a few items."""

from __future__ import annotations

import itertools
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import argosy
from argosy.errors import SourceError
from argosy.events import Event, EventKind
from argosy_plan.model import Service

#: A host is slow under load if requests take so many times as long as those of one worker.
SLOWER = 1.25

#: A run says something about a host under load if so many requests were under way at once, on average.
OVERLAP = 1.5

#: With fewer requests, the processor is not measured.
FEWEST = 5

#: The processor is busy if it computes for this share of the time.
BUSY = 0.6

_HINT = "To write events: argosy download CONFIG --events FILE. To measure a configuration: argosy plan CONFIG"


@dataclass(slots=True)
class Request:
    """One request: times in seconds since the epoch."""

    sent: float
    answered: float
    ended: float = 0.0
    size: int = 0
    queued: bool = False  # whether it waited for the session
    delayed: float = 0.0  # seconds for which it waited because of `download_delay`


class Requests:
    """Collects the requests of one run from its events."""

    def __init__(self) -> None:
        self.done: list[Request] = []
        self.items = 0  # that are done
        self.failed = 0
        self.left = 0  # items of the source that this run does not do
        self.workers = self.sessions = 1
        self.lease = "exclusive"
        self.lease_reason = ""
        self.throttled = False  # whether the host asked for fewer requests
        self.computing = 0.0  # seconds of the processor, if they were measured
        self._open: dict[str, Request] = {}
        self._queued: set[str] = set()
        self._delayed: dict[str, float] = {}

    def take(self, event: Event) -> None:
        """Take an event."""
        item, data = event.item or "", event.data
        if event.kind is EventKind.RUN_STARTED:
            self.workers, self.sessions = int(data.get("max_workers", 1)), int(data.get("sessions", 1))
            self.lease = _lease(data.get("lease"))
        elif event.kind is EventKind.RUN_PLANNED:
            self.left = int(data.get("to_do", 0)) + int(data.get("beyond", 0))
        elif event.kind is EventKind.RUN_FINISHED:
            used = data.get("lease") or {}
            self.lease, self.lease_reason = _lease(used.get("used")), str(used.get("reason") or "")
        elif event.kind is EventKind.RESOURCE_WAITING:
            self._wait(item, data)
        elif event.kind is EventKind.RESOURCE_STARTED and data.get("sent") and data.get("answered"):
            delayed = self._delayed.pop(item, 0.0)
            self._open[item] = Request(data["sent"], data["answered"], queued=item in self._queued, delayed=delayed)
            self._queued.discard(item)
        elif event.kind is EventKind.RESOURCE_FINISHED and item in self._open:
            request = self._open.pop(item)
            self.done.append(replace(request, ended=event.at, size=int(data.get("bytes") or 0)))
        elif event.kind is EventKind.ITEM_FINISHED:
            self.items += data.get("state") == "done"
            self.failed += data.get("state") == "failed"
            self.left -= 1

    def _wait(self, item: str, data: Mapping[str, Any]) -> None:
        if data.get("for") == "lease":
            self._queued.add(item)
        elif data.get("for") == "delay":
            self._delayed[item] = self._delayed.get(item, 0.0) + float(data.get("seconds") or 0.0)
            self.throttled |= data.get("why") == "throttled"

    @property
    def span(self) -> float:
        """The seconds from the first request to the end of the last."""
        return max(one.ended for one in self.done) - min(one.sent for one in self.done)

    def service(self) -> Service:
        """Return what a request of this run takes.

        Raises
        ------
        SourceError
            If no request has finished.
        """
        if not self.done:
            raise SourceError("No request has finished, so nothing was measured.", hint=_HINT)
        done = sorted(self.done, key=lambda request: request.sent)
        pairs = list(itertools.pairwise(done))
        own = store = 0.0
        if self.workers == 1 and pairs:
            own = max(_middle([after.sent - before.ended - after.delayed for before, after in pairs]), 0.0)
        if self.sessions == 1 and self.lease != "shared":
            to_end = self.lease == "exclusive-to-end"
            queued = [(before, after) for before, after in pairs if after.queued and not after.delayed]
            handed = [after.sent - (before.ended if to_end else before.answered) for before, after in queued]
            store = max(_middle(handed), 0.0) if len(handed) > len(done) / 4 else 0.0
        return Service(
            [request.answered - request.sent for request in done],
            [request.ended - request.answered for request in done],
            store,
            own,
            [request.size for request in done],
            self.computing / len(done) if len(done) >= FEWEST else 0.0,  # the first request computes more
        )


def _lease(value: object) -> str:
    """Return the lease of the model for one of a run; `auto` begins exclusive."""
    return value if isinstance(value, str) and value in ("shared", "exclusive-to-end") else "exclusive"


def _middle(values: Sequence[float]) -> float:
    """Return the mean of the middle three quarters: a few long pauses are not the rule."""
    cut = len(values) // 8
    return statistics.fmean(sorted(values)[cut : len(values) - cut]) if values else 0.0


def read_requests(path: Path) -> Requests:
    """Return the requests of the events in a file; raise SourceError if it cannot be read, or has other content."""
    requests = Requests()
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            for number, line in enumerate(stream, 1):
                try:
                    value = json.loads(line)
                    event = Event(EventKind(value["kind"]), float(value["at"]), value["item"], dict(value["data"]))
                    requests.take(event)
                except (ValueError, LookupError, TypeError, AttributeError):
                    if requests.done and not line.endswith("\n"):
                        break  # the run was killed while it wrote this line
                    raise SourceError(f"{path}:{number} is not an event of a run.", hint=_HINT) from None
    except OSError as error:
        raise SourceError(f"Cannot read the events {path}: {error.strerror}.", hint=_HINT) from None
    return requests


def measure(config: str | Path, workers: int, limit: int, **options: Any) -> Requests:
    """Download a few items of a configuration with so many workers of this process, and return the requests.

    The other options are those of `argosy.download`, which also raises the errors.
    """
    requests = Requests()
    began = 0.0

    def take(event: Event) -> None:
        nonlocal began
        if event.kind is EventKind.RESOURCE_STARTED and not began:
            began = time.process_time()  # imports and the login are over
        requests.take(event)
        if event.kind is EventKind.ITEM_FINISHED:
            requests.computing = time.process_time() - began

    strategy = "serial" if workers == 1 else "threads"
    argosy.download(config, take, limit=limit, max_workers=workers, strategy=strategy, **options)
    return requests


def together(runs: Sequence[Requests]) -> Service:
    """Return one service of a serial run and a parallel one, in this order: each knows what the other cannot.

    If requests overlapped in the parallel run and took longer, and the processor was not busy, the host or the network is the limit. Then the
    times are those of the serial run, and the host serves as many requests at once as it did.

    Raises
    ------
    SourceError
        If no request of a run has finished.
    """
    found = [run.service() for run in runs]
    serial, parallel = found[0], found[-1]
    store, processor = max(one.store for one in found), max(one.processor for one in found)
    if not store and runs[-1].lease != "shared":
        store = serial.own / 2  # too few requests waited for the session; this is about right for files
    headers = [value for one in found for value in one.headers]
    bodies = [value for one in found for value in one.bodies]
    sizes = [value for one in found for value in one.sizes]
    at_once = None
    under_way = (sum(parallel.headers) + sum(parallel.bodies)) / max(
        runs[-1].span, 1e-9
    )  # requests at once, on average
    slower = _times(serial, parallel) if under_way > OVERLAP else 1.0
    if slower > SLOWER and runs[-1].computing < BUSY * runs[-1].span:
        at_once = max(round(under_way / slower), 1)
        headers = [*serial.headers, *(value / slower for value in parallel.headers)]
        bodies = [*serial.bodies, *(value / slower for value in parallel.bodies)]
    return Service(headers, bodies, store, serial.own, sizes, processor, at_once)


def _times(serial: Service, parallel: Service) -> float:
    """Return how many times as long a request of the parallel run takes; a large body may take longer for its size."""
    ratio = sum(parallel.sizes) / max(sum(serial.sizes), 1) * len(serial.sizes) / len(parallel.sizes)
    bodies = statistics.fmean(serial.bodies) * max(ratio, 1.0)
    usual = statistics.fmean(serial.headers) + bodies
    return (statistics.fmean(parallel.headers) + statistics.fmean(parallel.bodies)) / max(usual, 1e-9)

"""The observer for logs: plain lines, if standard error is not a terminal."""

from __future__ import annotations

import sys
import time

import argosy
from argosy.events import Event, EventKind
from argosy.interfaces.observer import Observer
from argosy.models.items import State
from argosy.toolkit.text import one_line, plural, size_text, time_text

#: Seconds between two lines about the progress of the run.
PROGRESS_EVERY = 10.0

#: Seconds from which a wait that a host asks for gets a line.
LONG = 5.0


class LogObserver(Observer):
    """Writes a line for each event that matters later, and every ten seconds one about the progress.

    Each line begins with the local time. While nothing happens, nothing is written.
    """

    name = "log"
    summary = "Plain lines on standard error"
    _listed: int | None = None  # items that the source has yielded so far, while it is read
    _to_do: int | None = None
    _done = _failed = _received = 0
    _last: tuple[float, int] | None = None
    _told_until = 0.0  # the end of the last wait that got a line

    def on_event(self, event: Event) -> None:
        """Write the line of an event, if it has one."""
        self._count(event)
        line = self._line(event)
        if line:
            self._write(event.at, line)
        self._progress(event.at)

    def _count(self, event: Event) -> None:
        if event.kind is EventKind.RESOURCE_PROGRESS:
            self._received += event.data.get("bytes", 0)
        elif event.kind is EventKind.RUN_LISTING:
            self._listed = event.data.get("items")
        elif event.kind is EventKind.RUN_PLANNED:
            self._to_do, self._listed = event.data.get("to_do"), None
        elif event.kind is EventKind.ITEM_FINISHED:
            self._done += event.data.get("state") == State.DONE
            self._failed += event.data.get("state") == State.FAILED

    def _progress(self, at: float) -> None:
        then, before = self._last or (at, self._received)
        if self._last is None or at < then:  # the first event, or the clock was set back
            self._last = at, self._received
        elif at - then >= PROGRESS_EVERY:
            self._last = at, self._received
            if self._listed is not None:
                self._write(at, f"reading the list: {plural(self._listed, 'item')}")
                return
            done = self._done + self._failed
            items = plural(done, "item") if self._to_do is None else f"{done} of {plural(self._to_do, 'item')}"
            failed = f", {self._failed} failed" if self._failed else ""
            rate = size_text((self._received - before) / (at - then))
            self._write(
                at,
                f"progress: {items}{failed}, {size_text(self._received)}, {rate}/s",
            )

    def _line(self, event: Event) -> str | None:
        data, item = event.data, event.item
        match event.kind:
            case EventKind.RUN_STARTED:
                return (
                    f"start: into {data.get('directory')}, strategy {data.get('strategy')}, at most "
                    f"{data.get('max_workers')} at once, lease {data.get('lease')}, sessions {data.get('sessions')}"
                )
            case EventKind.RUN_PLANNED:
                promised = f", {size_text(data['bytes'])}" if data.get("bytes") else ""
                return (
                    f"plan: {data.get('to_do')} of {plural(data.get('items', 0), 'item')} to do{promised}; "
                    f"{data.get('done')} done already"
                )
            case EventKind.RUN_NOTICE:
                return f"notice: {data.get('message')}"
            case EventKind.RUN_STOPPING:
                return f"stopping: {data.get('message')}"
            case EventKind.LOGIN:
                return f"login {data.get('number')}: {data.get('reason')}"
            case EventKind.REFRESH:
                return f"refresh {data.get('number')}: {data.get('reason')}"
            case EventKind.RESOURCE_WAITING if data.get("why") == "throttled" and data.get("seconds", 0) >= LONG:
                until = event.at + data["seconds"]
                if until <= self._told_until:
                    return None  # other items wait for the same moment, more or less
                self._told_until = until + LONG
                return f"waiting: {data.get('host')} limits the rate, {time_text(data['seconds'])} left"
            case EventKind.RESOURCE_RETRY:
                wait = time_text(data.get("seconds", 0))
                return f"retry {item}: attempt {data.get('attempt')} in {wait}: {data.get('cause')}"
            case EventKind.ITEM_FINISHED:
                return _finished(event)
            case _:
                return None

    def _write(self, at: float, line: str) -> None:
        clock = time.strftime("%H:%M:%S", time.localtime(at))
        sys.stderr.write(f"{clock} {one_line(line)}\n")
        sys.stderr.flush()


def _finished(event: Event) -> str:
    data = event.data
    if data.get("state") == State.FAILED:
        return f"failed {event.item}: {data.get('failure')}"
    if data.get("state") == State.DONE:
        count = data.get("files", 0)
        files = f"{count} file{'s'[: count != 1]}"
        return f"done {event.item}: {files}, {size_text(data.get('bytes', 0))} in {time_text(data.get('seconds', 0))}"
    return f"put back {event.item}: left for the next run"


@argosy.hookimpl
def argosy_observer() -> type[Observer]:
    """Register the observer."""
    return LogObserver

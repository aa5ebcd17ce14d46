"""Passes the events of a run to its observers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from argosy.events import Event, EventKind
from argosy.interfaces.observer import Observer
from argosy.toolkit.failures import describe_exception
from argosy.toolkit.redaction import Redactor

#: Notices to keep for the report.
MOST_NOTICES = 100

#: The log levels of events that are not logged as INFO; NOTSET is for those that are not logged.
_LEVELS = {
    EventKind.RUN_NOTICE: logging.WARNING,
    EventKind.RUN_STOPPING: logging.WARNING,
    EventKind.ITEM_STARTED: logging.DEBUG,
    EventKind.RESOURCE_ANSWERED: logging.DEBUG,
    EventKind.RESOURCE_STARTED: logging.DEBUG,
    EventKind.RESOURCE_FINISHED: logging.DEBUG,
    EventKind.RESOURCE_PROGRESS: logging.NOTSET,
    EventKind.RESOURCE_WAITING: logging.NOTSET,
}

#: The events that are needed even if nobody listens.
ALWAYS = frozenset({EventKind.RUN_NOTICE, EventKind.RUN_STOPPING, EventKind.RESOURCE_RETRY})

logger = logging.getLogger(__name__)


def _log(event: Event) -> None:
    level = _LEVELS.get(event.kind, logging.INFO)
    if event.data.get("offset"):
        level = logging.INFO  # a partial download resumes
    if logger.isEnabledFor(level):
        shown = {key: value for key, value in event.data.items() if isinstance(value, str | int | float)}
        facts = " ".join(f"{key}={value!r}" for key, value in shown.items())
        logger.log(level, "%s%s %s", event.kind.value, f" {event.item!r}" if event.item else "", facts)


class ObserverDispatcher:
    """Passes every event, without secrets, to every observer, one at a time; one that fails gets no more events."""

    def __init__(
        self, observers: Sequence[Observer], redactor: Redactor, on_event: Callable[[Event], None] | None = None
    ) -> None:
        self.notices: list[str] = []
        self.retries = 0
        self._redactor = redactor
        self._observers: list[Observer] = []
        self._listeners: dict[object, Callable[[Event], None]] = {on_event: on_event} if on_event else {}
        self._mutex = threading.RLock()
        for observer in observers:
            self.add(observer)

    def add(self, observer: Observer) -> None:
        """Pass the next events to an observer, too."""
        self._observers.append(observer)
        self._listeners[observer] = observer.on_event

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens to events, or they are logged."""
        return bool(self._listeners) or logger.isEnabledFor(logging.INFO)

    def emit(self, kind: EventKind, item: str | None = None, data: Mapping[str, Any] | None = None) -> None:
        """Pass on an event."""
        if not self.is_heard and kind not in ALWAYS:
            return
        # an id may be a URL with a token
        event = Event(kind, time.time(), self._redactor.scrub(item), self._redactor.scrub(data or {}))
        with self._mutex:
            if kind is EventKind.RUN_NOTICE:
                message = str(event.data["message"])
                if message in self.notices:
                    return  # every worker process reports it, and once is enough
                if len(self.notices) < MOST_NOTICES:
                    self.notices.append(message)
            self.retries += kind is EventKind.RESOURCE_RETRY
            _log(event)
            for listener, on_event in list(self._listeners.items()):
                try:
                    on_event(event)
                except (Exception, SystemExit) as error:
                    del self._listeners[listener]
                    self._failed("and gets no more events", error, listener)

    def close(self) -> None:
        """Close the observers, in reverse order: those of the command line show how the others end."""
        with self._mutex:
            for observer in reversed(self._observers):
                self._listeners.pop(observer, None)
                try:
                    observer.close()
                except (Exception, SystemExit) as error:
                    self._failed("while closing", error, observer)
            self._listeners.clear()

    def _failed(self, how: str, error: BaseException, observer: object) -> None:
        name = getattr(observer, "name", "on_event")
        message = f"The observer {name!r} failed {how}: {describe_exception(error, observer)}"
        self.emit(EventKind.RUN_NOTICE, None, {"message": message})

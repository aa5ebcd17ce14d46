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

#: Events that end the transfer of a file.
_TRANSFER_OVER = frozenset({EventKind.RESOURCE_RETRY, EventKind.RESOURCE_FINISHED, EventKind.ITEM_FINISHED})

#: The levels of the events that are logged; there is no record per piece of a body.
_LEVELS: Mapping[EventKind, int] = {
    EventKind.RUN_STARTED: logging.INFO,
    EventKind.RUN_PLANNED: logging.INFO,
    EventKind.RUN_NOTICE: logging.WARNING,
    EventKind.RUN_STOPPING: logging.WARNING,
    EventKind.RUN_FINISHED: logging.INFO,
    EventKind.LOGIN: logging.INFO,
    EventKind.REFRESH: logging.INFO,
    EventKind.ITEM_STARTED: logging.DEBUG,
    EventKind.ITEM_FINISHED: logging.INFO,
    EventKind.RESOURCE_STARTED: logging.DEBUG,
    EventKind.RESOURCE_RETRY: logging.INFO,
    EventKind.RESOURCE_FINISHED: logging.DEBUG,
}

logger = logging.getLogger(__name__)


def _log(event: Event) -> None:
    """Log an event, whose texts are redacted already."""
    level = (
        logging.INFO if event.data.get("offset") else _LEVELS.get(event.kind)
    )  # a partial download resumes
    if level is not None and logger.isEnabledFor(level):
        facts = " ".join(
            f"{key}={value!r}" for key, value in event.data.items() if isinstance(value, str | int | float)
        )
        logger.log(level, "%s%s %s", event.kind.value, f" {event.item!r}" if event.item else "", facts)


class ObserverDispatcher:
    """Passes every event to every observer, one at a time; an observer that fails gets no more events.

    Parameters
    ----------
    observers
        The observers.
    on_event
        A function of the calling program; treated as another observer.
    redactor
        Removes secrets from every event.
    """

    def __init__(
        self,
        observers: Sequence[Observer],
        redactor: Redactor,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self.notices: list[str] = []
        self.retries = 0
        #: The items with a transfer in progress.
        self.transferring: set[str] = set()
        self._redactor = redactor
        self._observers = list(observers)
        self._targets: list[tuple[str, object, Callable[[Event], None]]] = [
            (o.name, o, o.on_event) for o in observers
        ]
        if on_event is not None:
            self._targets.append(("on_event", on_event, on_event))
        self._mutex = threading.RLock()

    def emit(self, kind: EventKind, item: str | None = None, data: Mapping[str, Any] | None = None) -> None:
        """Pass on an event, without secrets."""
        shown = None if item is None else self._redactor.scrub(item)  # an id may be a URL with a token
        event = Event(kind, time.time(), shown, self._redactor.scrub_all(data or {}))
        with self._mutex:
            if kind is EventKind.RUN_NOTICE:
                message = str(event.data["message"])
                if message in self.notices:
                    return  # every worker process reports it, and once is enough
                if len(self.notices) < MOST_NOTICES:
                    self.notices.append(message)
            elif kind is EventKind.RESOURCE_STARTED:
                self.transferring.add(item or "")
            elif kind in _TRANSFER_OVER:
                self.transferring.discard(item or "")
                self.retries += kind is EventKind.RESOURCE_RETRY
            _log(event)
            for target in list(self._targets):
                try:
                    target[2](event)
                except (Exception, SystemExit) as error:
                    self._targets.remove(target)
                    what = describe_exception(error, target[1])
                    message = f"The observer {target[0]!r} failed and gets no more events of this run: {what}"
                    self.emit(EventKind.RUN_NOTICE, None, {"message": message})

    def close(self) -> None:
        """Close the observers."""
        with self._mutex:
            # in reverse order: the observers of the command line show how the others end
            for observer in reversed(self._observers):
                self._targets = [target for target in self._targets if target[1] is not observer]
                try:
                    observer.close()
                except (Exception, SystemExit) as error:
                    what = describe_exception(error, observer)
                    message = f"The observer {observer.name!r} failed while closing: {what}"
                    self.emit(EventKind.RUN_NOTICE, None, {"message": message})
            self._targets.clear()

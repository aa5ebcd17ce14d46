"""Handing the events of a run to its observers."""

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

#: Notices that are kept for the report; more would be noise.
MOST_NOTICES = 100

#: Events after which the file of an item is not being transferred any more.
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
    """Gives every event to every observer, one at a time; an observer that fails is left out from then on.

    Parameters
    ----------
    observers
        The observers.
    on_event
        One more, a plain function of the calling program; what it raises reaches nobody else.
    redactor
        Keeps secrets out of every event, and of what a failing observer says.
    """

    def __init__(
        self,
        observers: Sequence[Observer],
        redactor: Redactor,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self.notices: list[str] = []
        self.retries = 0
        #: The items of which a file is being transferred.
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
        """Give an event to everybody."""
        event = Event(kind, time.time(), item, self._redactor.scrub_all(data or {}))
        with self._mutex:
            if kind is EventKind.RUN_NOTICE:
                message = str(event.data["message"])
                if message in self.notices:
                    return  # every worker process finds out by itself, and a person is told once
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
                    what = self._redactor.scrub(describe_exception(error, target[1]))
                    message = f"The observer {target[0]!r} failed and sees nothing more of this run: {what}"
                    self.emit(EventKind.RUN_NOTICE, None, {"message": message})

    def close(self) -> None:
        """Close the observers."""
        with self._mutex:
            # the last one first: those of the command line show what becomes of the others
            for observer in reversed(self._observers):
                self._targets = [target for target in self._targets if target[1] is not observer]
                try:
                    observer.close()
                except (Exception, SystemExit) as error:
                    what = self._redactor.scrub(describe_exception(error, observer))
                    message = f"The observer {observer.name!r} failed at its end: {what}"
                    self.emit(EventKind.RUN_NOTICE, None, {"message": message})
            self._targets.clear()

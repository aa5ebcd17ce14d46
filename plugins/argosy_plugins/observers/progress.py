"""The observer for people: a live display on the terminal, or in a notebook."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import argosy
from argosy.events import Event, EventKind
from argosy.interfaces.base import PluginContext
from argosy.interfaces.observer import Observer
from argosy.models.items import State
from argosy.toolkit.text import one_line, plural, size_text
from argosy_plugins.observers._progress import RunProgress

#: Seconds between two refreshes of the display.
REFRESH = 0.125

#: Messages that wait to be printed; if a terminal is stopped, the oldest are left out.
MOST_MESSAGES = 500

#: Seconds that a terminal gets to take the last lines.
PATIENCE = 5.0


class ProgressObserver(Observer):
    """Shows a bar for the run and a line for each active item; messages scroll above it.

    Only a separate thread writes to the terminal, so a slow terminal, or one stopped with Ctrl-S, delays nothing. The
    display begins with the first item, or while a source asks a service for a long list: a prompt for a password, before it, has the terminal to itself. If standard
    error is not a terminal, only the messages are written.
    """

    name = "progress"
    summary = "A live display on the terminal, or in a notebook"

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self._run = RunProgress()
        self._messages: deque[tuple[str, str]] = deque(maxlen=MOST_MESSAGES)
        self._left_out = 0
        self._mutex = threading.Lock()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None

    def on_event(self, event: Event) -> None:
        """Note what happened; the display shows it at its next refresh."""
        if self._error is not None:
            raise self._error
        message = None if event.kind is EventKind.RESOURCE_PROGRESS else _message(event)
        with self._mutex:
            self._run.take(event, time.monotonic())
            if message is not None:
                self._left_out += len(self._messages) == MOST_MESSAGES
                self._messages.append(message)
        if self._thread is None and not self._end.is_set():
            self._thread = threading.Thread(target=self._draw, name="argosy-progress", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Print the last messages and remove the display."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def _draw(self) -> None:
        from argosy_plugins.observers._display import Display, is_notebook  # rich takes a while to import

        try:
            display: Any = Display()
            if is_notebook():
                from argosy_plugins.observers._notebook import NotebookDisplay

                display = NotebookDisplay()
            try:
                while not self._end.wait(REFRESH):
                    self._refresh(display)
                display.stop()  # the last messages need no display below them
                self._refresh(display)
            finally:
                display.stop()
        except Exception as error:  # the next event raises it
            self._error = error

    def _refresh(self, display: Any) -> None:
        with self._mutex:
            messages, left_out = list(self._messages), self._left_out
            self._messages.clear()
            self._left_out = 0
            is_shown = self._run.is_shown and not self._end.is_set()
            drawn = display.draw(self._run, time.monotonic()) if is_shown else None
        if left_out:
            messages.insert(0, ("dim", f"... {left_out} messages are left out here"))
        display.show(messages, drawn)


def _message(event: Event) -> tuple[str, str] | None:
    """Return the style and the text of a lasting message, or None."""
    data = event.data
    match event.kind:
        case EventKind.RUN_PLANNED if data.get("to_do") == 0:
            return None  # the summary says that there was nothing to do
        case EventKind.RUN_PLANNED:
            promised = f", {size_text(data['bytes'])}" if data.get("bytes") else ""
            done = f" ({data['done']} done already)" if data.get("done") else ""
            # some items may only lack outputs
            remade = data.get("remade", 0)
            what = {data.get("to_do"): "to make more of", 0: "to download"}.get(remade, "to do")
            return "bold", f"{data.get('to_do')} of {plural(data.get('items', 0), 'item')} {what}{promised}{done}"
        case EventKind.RUN_NOTICE:
            return "yellow", one_line(f"notice: {data.get('message')}")
        case EventKind.RUN_STOPPING:
            return "yellow", one_line(f"stopping: {data.get('message')}")
        case EventKind.LOGIN:
            return "cyan", one_line(f"login {data.get('number')}: {data.get('reason')}")
        case EventKind.ITEM_FINISHED if data.get("state") == State.FAILED:
            return "red", one_line(f"failed {event.item}: {data.get('failure')}")
        case _:
            return None


@argosy.hookimpl
def argosy_observer() -> type[Observer]:
    """Register the observer."""
    return ProgressObserver

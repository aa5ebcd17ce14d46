"""An observer for argosy: appends a line to a file for each finished item."""

from __future__ import annotations

from typing import TextIO

import argosy
from argosy.events import Event, EventKind


class ExampleObserver(argosy.Observer):
    """Appends the result of each item to a file."""

    name = "example"
    summary = "A line in a file for each finished item"
    options_schema = {
        "type": "object",
        "properties": {
            "path": {
                "type": "string",
                "minLength": 1,
                "default": "example.txt",
                "description": "The file to append to, relative to the configuration.",
            }
        },
    }

    _stream: TextIO | None = None

    def on_event(self, event: Event) -> None:
        """Write a line; ignore other kinds of events. Events come one at a time."""
        if event.kind is EventKind.ITEM_FINISHED:
            if self._stream is None:
                path = self.context.path(self.options["path"])
                # ids may be any text, even text that UTF-8 cannot encode
                self._stream = path.open("a", encoding="utf-8", errors="backslashreplace")
            self._stream.write(f"{event.data['state']} {str(event.item)!r}\n")
            self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()


@argosy.hookimpl
def argosy_observer() -> type[argosy.Observer]:
    """Register the observer."""
    return ExampleObserver

"""An observer for argosy: a line in a file for each item that is done or has failed."""

from __future__ import annotations

from typing import TextIO

import argosy
from argosy.events import Event, EventKind


class ExampleObserver(argosy.Observer):
    """Adds to a file what has become of each item."""

    name = "example"
    summary = "A line in a file for each item that is done or has failed"
    options_schema = {
        "type": "object",
        "properties": {
            "path": {
                "type": "string",
                "minLength": 1,
                "default": "example.txt",
                "description": "The file, relative to the configuration; lines are added to it.",
            }
        },
    }

    _stream: TextIO | None = None

    def on_event(self, event: Event) -> None:
        """Write a line. Events come one at a time; kinds that are not known are passed over."""
        if event.kind is EventKind.ITEM_FINISHED:
            if self._stream is None:
                path = self.context.path(self.options["path"])
                # an id is any text, also what UTF-8 cannot say
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

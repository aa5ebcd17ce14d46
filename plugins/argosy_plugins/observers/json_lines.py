"""The observer for programs: every event as a line of JSON."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import argosy
from argosy.errors import StorageError
from argosy.events import Event, EventKind
from argosy.interfaces.base import PluginContext
from argosy.interfaces.observer import Observer
from argosy.toolkit.files import open_special

#: Seconds between two progress events of one item.
INTERVAL = 0.5


class JsonLinesObserver(Observer):
    """Writes one object per line with the keys ``kind``, ``at``, ``item`` and ``data``, as each event happens.

    `argosy.events.EventKind` lists the keys of ``data``. ``resource.progress`` comes at most twice a second per item, with
    the bytes since the last such line; the rest is written before the item's ``item.finished``. Only complete lines are
    written, in UTF-8; standard output gets ASCII, with escapes. The first event of a run empties a file; its mode comes
    from the umask. If a reader closes the pipe, only this observer ends.
    """

    name = "json-lines"
    summary = "Every event as a line of JSON"
    options_schema = {
        "type": "object",
        "properties": {
            "path": {
                "type": "string",
                "minLength": 1,
                "default": "-",
                "description": "The file, which is emptied when a run starts; - for standard output. Links are followed; "
                "pipes and devices are written to.",
            }
        },
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        path = options.get("path", "-")
        self._path = None if path == "-" else context.path(path)
        self._stream: TextIO | None = None
        self._ended = False
        #: For each active item: when its last progress was written, and the bytes held back since, and their time.
        self._held: dict[str | None, tuple[float, int, float]] = {}
        if self._path is not None:
            self._check()

    def on_event(self, event: Event) -> None:
        """Write the event, or hold its bytes back for a later line."""
        if event.kind is EventKind.RESOURCE_PROGRESS:
            written, size, _ = self._held.get(event.item, (0.0, 0, 0.0))
            size += event.data.get("bytes", 0)
            if 0 <= event.at - written < INTERVAL:  # below 0, the clock was set back
                self._held[event.item] = written, size, event.at
                return
            self._held[event.item] = event.at, 0, event.at
            event = Event(event.kind, event.at, event.item, {**event.data, "bytes": size})
        elif event.kind is EventKind.ITEM_FINISHED:
            self._write_held(event.item)
        elif event.kind is EventKind.RUN_FINISHED:
            self._write_all_held()
        self._write(event)

    def close(self) -> None:
        """Write the bytes held back, and close the file."""
        try:
            if self._stream is not None:
                self._write_all_held()
        finally:
            self._end()

    def _write_all_held(self) -> None:
        for item in list(self._held):
            self._write_held(item)

    def _write_held(self, item: str | None) -> None:
        _, size, at = self._held.pop(item, (0.0, 0, 0.0))
        if size:
            self._write(Event(EventKind.RESOURCE_PROGRESS, at, item, {"bytes": size}))

    def _check(self) -> None:
        """Raise before the run starts if the file is not writable; touch nothing."""
        path = self._path
        if path is None:
            return
        if path.is_dir():
            reason = "it is a folder"
        elif not path.parent.is_dir():
            reason = "its folder does not exist"
        elif not os.access(path if path.exists() else path.parent, os.W_OK):
            reason = "writing there is not allowed"
        else:
            return
        raise StorageError(
            f"The events cannot be written to {path}: {reason}. Nothing was started.",
            hint="Give another path, or - for standard output.",
        )

    def _write(self, event: Event) -> None:
        if self._ended:
            return
        value = {"kind": event.kind.value, "at": event.at, "item": event.item, "data": dict(event.data)}
        # complete lines only, so that no part of a line is in a buffer when the reader goes away
        line = json.dumps(value, ensure_ascii=self._path is None, default=str) + "\n"
        try:
            stream = self._stream = self._stream or self._open()
            stream.write(line)
            stream.flush()
        except BrokenPipeError:
            self._end()
        except OSError as error:
            self._end()
            raise StorageError(
                f"The events cannot be written to {self._path or 'standard output'}: {error.strerror or error}."
            ) from error

    def _open(self) -> TextIO:
        if self._path is None:
            return sys.stdout
        # a lone surrogate becomes \udcXX, as in JSON
        special = open_special(self._path)
        where = self._path if special is None else special
        return open(where, "w", encoding="utf-8", errors="backslashreplace")

    def _end(self) -> None:
        stream, self._stream = self._stream, None
        if self._ended or stream is None:
            self._ended = True
            return
        self._ended = True
        if self._path is not None:
            with contextlib.suppress(OSError):  # every line was flushed, or its failure was reported
                stream.close()
            return
        try:
            stream.flush()
        except OSError:
            _discard_output(stream)


def _discard_output(stream: TextIO) -> None:
    """Point standard output at the null device, so that the interpreter's last flush of it prints no error."""
    with contextlib.suppress(OSError, io.UnsupportedOperation):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)


@argosy.hookimpl
def argosy_observer() -> type[Observer]:
    """Register the observer."""
    return JsonLinesObserver

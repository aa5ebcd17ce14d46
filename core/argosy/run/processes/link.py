"""A worker process's end of the line to its run."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from argosy.errors import Interrupted
from argosy.events import EventKind
from argosy.run.processes.hub import remove_if_dead
from argosy.run.stop import Stop

#: Seconds between two events that say how much of an item has come: each of them is a message.
PROGRESS_EVERY = 0.1

#: How often, and every how many seconds, a worker looks whether the run that hung up is gone altogether.
TIDY_TRIES, TIDY_EVERY = 50, 0.01


class Link:
    """Calls the run.

    Parameters
    ----------
    address
        The hub's Unix socket.
    stop
        Told when the run is stopped, or is gone.

    Raises
    ------
    OSError
        If nobody listens: the run is over.
    """

    def __init__(self, address: str, stop: Stop) -> None:
        self._stop = stop
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.connect(address)
        self._folder = Path(address).parent
        self._mutex = threading.Lock()
        self._asking = threading.Lock()
        self._answers: queue.SimpleQueue[tuple[str | None] | None] = queue.SimpleQueue()
        self._progress: dict[str | None, tuple[float, int]] = {}
        threading.Thread(target=self._listen, name="argosy-link", daemon=True).start()

    def emit(self, kind: EventKind, item: str | None = None, data: Mapping[str, Any] | None = None) -> None:
        """Send an event; pieces of a body that come quickly after one another are one event."""
        with self._mutex:
            since, size = self._progress.get(item, (0.0, 0))
            now = time.monotonic()
            if kind is EventKind.RESOURCE_PROGRESS and data is not None:
                size += data["bytes"]
                if now - since < PROGRESS_EVERY:
                    self._progress[item] = since, size
                    return
                self._progress[item] = now, 0
                data = {"bytes": size}
            elif size:
                self._progress[item] = now, 0
                self._send({"event": [EventKind.RESOURCE_PROGRESS, item, {"bytes": size}]})
            if kind is EventKind.ITEM_FINISHED:
                self._progress.pop(item, None)
            self._send({"event": [kind, item, data or {}]})

    def count(self, counts: Mapping[str, int]) -> None:
        """Send figures that are added to those of the run."""
        with self._mutex:
            self._send({"counts": dict(counts)})

    def ask(self, name: str, text: str) -> str | None:
        """Ask the run something, and wait for the answer.

        Raises
        ------
        Interrupted
            If the run is gone.
        """
        with self._asking:
            with self._mutex:
                self._send({"ask": [name, text]})
            answer = self._answers.get()
        if answer is None:
            self._answers.put(None)  # nor is anybody else to wait
            raise Interrupted("The run is over.")
        return answer[0]

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _send(self, message: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the run is gone; the listening thread says so
            self._sock.sendall(json.dumps(message).encode() + b"\n")

    def _listen(self) -> None:
        try:
            with self._sock.makefile("rb") as messages:
                for line in messages:
                    message = json.loads(line)
                    if "answer" in message:
                        self._answers.put((message["answer"],))
                    elif message["stop"] == "abort":
                        self._stop.abort()
                    else:
                        self._stop.drain()
        except (OSError, ValueError):
            pass
        self._tidy()  # first, as the process ends with its jobs
        self._stop.abort()  # nobody is there any more to do anything for
        self._answers.put(None)

    def _tidy(self) -> None:
        """Remove the folder of a run that was killed, and could not do so itself.

        Linux closes the newest descriptors of a killed process first: our end is hung up on a moment before the
        listening socket is gone.
        """
        for _ in range(TIDY_TRIES):
            if remove_if_dead(self._folder):
                return
            time.sleep(TIDY_EVERY)

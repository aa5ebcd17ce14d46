"""Records outcomes in groups. The order of every file: its data is synced, it is renamed, its folder is synced, it is done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from argosy.interfaces.storage import Storage
from argosy.models.items import Outcome, State
from argosy.state.ledger import Ledger
from argosy.state.staging import StagingArea
from argosy.toolkit.failures import disk_error

#: Outcomes that may wait before no more are taken, which bounds the memory of a run.
MOST_WAITING = 256

#: Seconds from the start of one group to the start of the next, so that a fast disk does not get groups of one.
PERIOD = 0.02


class Recorder:
    """A thread that records whatever came since its last group, with one sync per folder and one transaction.

    `recorded` is called for each outcome afterwards. If recording fails, `put` and `flush` raise the error.
    """

    def __init__(
        self,
        directory: Path,
        ledger: Ledger,
        storage: Storage,
        staging: StagingArea,
        recorded: Callable[[Outcome], None],
    ) -> None:
        self._directory = directory
        self._ledger = ledger
        self._storage = storage
        self._staging = staging
        self._recorded = recorded
        self._waiting: list[Outcome] = []
        self._changed = threading.Condition()
        self._is_recording = False
        self._closing = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="argosy-recorder")
        self._thread.start()

    def put(self, outcome: Outcome) -> None:
        """Hand an outcome over; wait while too many are waiting."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or len(self._waiting) < MOST_WAITING)
            self._raise()
            self._waiting.append(outcome)
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until everything is recorded."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or not (self._waiting or self._is_recording))
            self._raise()

    def close(self) -> None:
        """Record what waits, and end the thread."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing.is_set())
                group, self._waiting = self._waiting, []
                self._is_recording = bool(group)
            if not group:
                return
            error = None
            try:
                self._record(group)
            except BaseException as raised:  # `put` and `flush` raise it
                error = raised
            with self._changed:
                self._is_recording = False
                self._error = error
                self._changed.notify_all()
            if error is not None:
                return
            self._closing.wait(PERIOD)

    def _record(self, group: Sequence[Outcome]) -> None:
        names = [file.name for outcome in group for file in outcome.files]
        try:
            self._storage.settle(names)
        except OSError as error:  # the new names are gone again
            fatal = disk_error(self._directory, error)
            undone: dict[str, Any] = {
                "state": State.REQUEUED,
                "files": (),
                "outputs": (),
                "known": None,
                "fatal": fatal,
            }
            group = [replace(each, **undone) if each.state is State.DONE else each for each in group]
        self._storage.learn([file for outcome in group for file in outcome.files])
        self._ledger.record(group)
        for outcome in group:
            if outcome.state is State.DONE:
                self._staging.remove(outcome.item, outcome.staged)
            self._recorded(outcome)

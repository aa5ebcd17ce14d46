"""Records outcomes in groups. The order of every file: its data is synced, it is renamed, its folder is synced, it is done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from argosy.interfaces.storage import Storage
from argosy.models.items import Outcome, State
from argosy.state.ledger import Ledger
from argosy.state.staging import StagingArea
from argosy.toolkit.failures import disk_error
from argosy.toolkit.files import sync_disk

#: Outcomes that may wait before no more are taken, which bounds the memory of a run.
MOST_WAITING = 256

#: Seconds from the start of one group to the start of the next, so that a fast disk does not get groups of one.
PERIOD = 0.02

#: Seconds between two syncs of the whole disk, if files are not synced one by one.
SYNC_PERIOD = 5.0


class Recorder:
    """A thread that records whatever came since its last group, with one sync per folder and one transaction.

    `recorded` is called for each outcome afterwards. If recording fails, `put` and `flush` raise the error. Without
    `syncs_files`, all files are synced together every `SYNC_PERIOD`, and in the end.
    """

    def __init__(
        self,
        directory: Path,
        ledger: Ledger,
        storage: Storage,
        staging: StagingArea,
        recorded: Callable[[Outcome], None],
        *,
        syncs_files: bool = True,
    ) -> None:
        self._directory = directory
        self._ledger = ledger
        self._storage = storage
        self._staging = staging
        self._recorded = recorded
        self._syncs_files = syncs_files
        self._unsynced: list[str] = []
        self._synced_at = time.monotonic()
        self._waiting: list[Outcome] = []
        lock = threading.RLock()
        self._work = threading.Condition(lock)  # the recorder waits for it
        self._done = threading.Condition(lock)  # the others do
        self._is_idle = self._is_recording = self._is_closing = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="argosy-recorder")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        """Record and sync what waits, and end the thread."""
        with self._work:
            self._is_closing = True
            self._work.notify()
        self._thread.join()
        if error is None:
            self._raise()

    def put(self, outcome: Outcome) -> None:
        """Hand an outcome over; wait while too many are waiting."""
        with self._done:
            self._done.wait_for(lambda: self._error or len(self._waiting) < MOST_WAITING)
            self._raise()
            self._waiting.append(outcome)
            if self._is_idle:  # else it looks soon anyway
                self._work.notify()

    def flush(self) -> None:
        """Wait until everything is recorded."""
        with self._done:
            self._done.wait_for(lambda: self._error or not (self._waiting or self._is_recording))
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while self._step():
                pass
        except BaseException as error:  # the caller's thread raises it
            with self._done:
                self._error = error
                self._done.notify_all()

    def _step(self) -> bool:
        """Record one group; return whether there may be another one."""
        with self._work:
            timeout = SYNC_PERIOD if self._unsynced else None
            self._is_idle = True
            self._work.wait_for(lambda: self._waiting or self._is_closing, timeout)
            self._is_idle = False
            group, self._waiting = self._waiting, []
            self._is_recording = bool(group)
        if group:
            self._record(group)
        if self._unsynced and (not group or time.monotonic() - self._synced_at > SYNC_PERIOD):
            self._sync()
        with self._work:
            self._is_recording = False
            self._done.notify_all()
            if group:
                self._work.wait_for(lambda: self._is_closing, PERIOD)
            return bool(group) or not self._is_closing

    def _record(self, group: Sequence[Outcome]) -> None:
        names = [file.name for outcome in group for file in outcome.files]
        try:
            if self._syncs_files:
                self._storage.settle(names)
        except OSError as error:  # the new names are gone again
            fatal = disk_error(self._directory, error)
            group = [
                each if each.state is not State.DONE else Outcome(each.item, State.REQUEUED, fatal=fatal)
                for each in group
            ]
        self._storage.learn([file for outcome in group for file in outcome.files])
        self._ledger.record(group, synced=self._syncs_files)
        for outcome in group:
            if outcome.state is State.DONE:
                self._staging.remove(outcome.item, outcome.staged)
                if not self._syncs_files:
                    self._unsynced.append(outcome.item)
            self._recorded(outcome)

    def _sync(self) -> None:
        ids, self._unsynced, self._synced_at = self._unsynced, [], time.monotonic()
        try:
            sync_disk(self._directory)
        except OSError as error:
            self._ledger.distrust(ids)
            raise disk_error(self._directory, error) from None
        self._ledger.synced(ids)
